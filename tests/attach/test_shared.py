# SPDX-License-Identifier: Apache-2.0
"""The copy runs forward; nothing of that may reach memory that the target shares with others."""
import pytest

from target import baseline
from unharmed import Unharmed


@pytest.mark.parametrize("args", [(), ("threads",)], ids=["one", "threads"])
def test_shared_counters(hazard_python, start, memattach, args):
    """Without protection the prototype of design 5 changed a counter in 25 of 60 snapshots."""
    t = start(hazard_python, "shared", *args)
    for _ in range(20):
        with Unharmed(t, quiet=False):
            memattach.snapshot(t.pid)
    assert t.end_well() == baseline(hazard_python, "shared", *args)


def test_multiprocessing_lock(hazard_python, start, memattach):
    t = start(hazard_python, "mplock")
    other = int(t.lines[0].split()[1])
    for n in range(20):
        with Unharmed(t, quiet=False):
            memattach.snapshot(other if n % 2 else t.pid)
    lines, code, err = t.end_well()
    assert (lines[1:], code, err) == (["done"], 0, "")


def test_memmap(one_python, start, memattach):
    import subprocess
    if subprocess.run([one_python.path, "-c", "import numpy"], capture_output=True).returncode:
        pytest.skip(f"no numpy in {one_python.id}")
    t = start(one_python, "memmap")
    for _ in range(20):
        with Unharmed(t, quiet=False):
            memattach.snapshot(t.pid)
    t.end_well()
