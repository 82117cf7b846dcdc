# SPDX-License-Identifier: Apache-2.0
"""Many snapshots in a row of one target that never pauses: no fault, no refcount excess, hardly ever "arbitrary". tools/soak
does so with everything, at random; here is only that it sees a harm."""
import subprocess
import sys
from pathlib import Path

import pytest

from memattach import check_report
from target import baseline
from unharmed import Unharmed


def series(memattach, t, count):
    """Takes `count` snapshots; returns how many of them are "arbitrary"."""
    arbitrary = 0
    wrong = []
    path = memattach.new_path()
    with Unharmed(t, quiet=False):
        for n in range(count):
            snap = memattach.snapshot(t.pid, path, check=False)
            arbitrary += snap.consistency == "arbitrary"
            check_report(snap, t.pid, whole=False)
            if snap.consistency != "arbitrary" and (snap.refcount_excess or snap.counts().get("__main__.Kept") != t.kept):
                wrong.append((n, snap.consistency, snap.refcount_excess, snap.counts().get("__main__.Kept")))
            path.unlink()
    assert not wrong, f"{len(wrong)} of {count}: {wrong[:10]}"
    return arbitrary


def soak(python, start, memattach, count, *program, kept=5000, allowed=0, **options):
    t = start(python, *program, **options)
    t.kept = kept
    arbitrary = series(memattach, t, count)
    assert arbitrary <= allowed, f"{arbitrary} of {count} are arbitrary"
    t.end_well(baseline(python, *program, **options))


@pytest.mark.fault(18, "stopped in the middle of collections, 50 times", "run on to a safe point in the copy", once=True)
def test_collecting(one_python, start, memattach):
    soak(one_python, start, memattach, 50, "gcloop", 2)


@pytest.mark.fault(18, "stopped in the middle of malloc, 50 times", "the same", once=True)
def test_native_malloc(one_python, start, memattach, native):
    """Native threads in malloc with one arena: the copy may meet a lock whose owner is not in it."""
    soak(one_python, start, memattach, 50, "malloc_threads", native("malloc_threads"), allowed=3, env={"MALLOC_ARENA_MAX": "1"})


@pytest.mark.long
@pytest.mark.parametrize("program", ["gcloop 3", "busy_c json"])
def test_long(python, start, memattach, program):
    soak(python, start, memattach, 100, *program.split())


@pytest.mark.long
def test_native_malloc_long(python, start, memattach, native):
    soak(python, start, memattach, 100, "malloc_threads", native("malloc_threads"), allowed=5, env={"MALLOC_ARENA_MAX": "1"})


@pytest.mark.long
def test_shared_long(python, start, memattach):
    t = start(python, "shared", "threads")
    path = memattach.new_path()
    for _ in range(60):
        memattach.snapshot(t.pid, path)
    t.end_well(baseline(python, "shared", "threads"))


def test_the_soak_sees_a_harm(memattach, faulty, tmp_path):
    """With a memattach that kills whatever it is given."""
    for name in ("memattach", "memattach-faults"):
        fake = tmp_path / name
        fake.write_text(f'#!/bin/sh\n[ "$MEMATTACH_FAULT" != list ] || exec {faulty.path}\n'
                        'for word; do case $word in [1-9]*) kill -KILL "$word" ;; esac; done\nexit 1\n')
        fake.chmod(0o755)
    soak = Path(__file__).resolve().parents[2] / "tools" / "soak"
    done = subprocess.run([sys.executable, soak, "--minutes", "0.05", "--jobs", "1", "--seed", "5", "--binary", tmp_path / "memattach"],
                          capture_output=True, text=True, env=memattach.environ())
    assert done.returncode == 1, done
    assert "harmed targets: 0" not in done.stdout and "harmed targets: " in done.stdout
