# SPDX-License-Identifier: Apache-2.0
"""guppy3 walks the heap from inside the program and by other means: it counts the same."""
import os
import subprocess
from pathlib import Path

import pytest

COMPARED = ("str", "int", "float", "tuple", "list", "Plain", "Slots", "Below")


def guppy_for(python):
    """The folder that has guppy3 for this Python: made once, kept in the cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "memattach" / "guppy3" / python.id
    if not (cache / "guppy").is_dir():
        if python.tree:
            pytest.skip("a tree has no pip")
        done = subprocess.run([python.path, "-m", "pip", "install", "-q", "--no-deps", "--target", str(cache), "guppy3"],
                              capture_output=True, text=True, timeout=300)
        if done.returncode or not (cache / "guppy").is_dir():
            pytest.skip(f"guppy3 can not be installed here: {done.stderr.strip()[-200:]}")
    return cache


def check(python, start, memattach):
    t = start(python, "counted", guppy_for(python))
    counts = memattach.snapshot(t.pid).counts()  # first: guppy3 changes the heap
    t.ask("count now", "end", 120)
    said = {line.split()[1]: int(line.split()[2]) for line in t.lines if line.startswith("counted ")}
    wrong = []
    for name in COMPARED:
        own = name[0].isupper()
        seen = counts.get("__main__." + name if own else name, 0)
        if seen != said[name] if own else abs(seen - said[name]) > said[name] / 1000:
            wrong.append(f"{name}: {seen}, guppy3 counts {said[name]}")
    assert not wrong, wrong
    t.end_well()


def test_guppy_counts_the_same(one_python, start, memattach):
    check(one_python, start, memattach)


@pytest.mark.long
def test_guppy_counts_the_same_everywhere(python, start, memattach):
    check(python, start, memattach)
