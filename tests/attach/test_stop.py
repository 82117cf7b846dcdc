# SPDX-License-Identifier: Apache-2.0
"""--stop: no clone, the target stands still while its memory is copied; for those that no twin may be made of."""
import json
import os
import signal
import sys

import pytest

import target
from memattach import MEMORY_ROWS, Snapshot, check_error, check_nothing_left
from target import baseline, wait_until
from unharmed import Unharmed, tracers

sys.path.insert(0, str(target.TARGETS))
from things import COUNTS  # noqa: E402

CLONE, CLONE3 = 56, 435
IPC = () if os.geteuid() else ("unshare", "--ipc")


def stopped(memattach, pid, *options):
    path = memattach.new_path()
    done = memattach.run(pid, "--stop", "--max-pause", 10000, "-o", path, "--json", *options)
    assert done.rc == 0, done
    snap = Snapshot(path, json.loads(done.out))
    r = snap.report
    assert r["source"] == "stopped" and r["pause_ns"] > 0 and r["attempts"] == 1 and r["faults"] == 0, r
    assert set(snap.rows()) == MEMORY_ROWS
    assert any("without a clone" in n for n in r["notes"])
    return snap


def test_counts(python, start, memattach):
    t = start(python, "idle")
    with Unharmed(t):
        snap = stopped(memattach, t.pid)
    counts = snap.counts()
    assert {name: counts.get(name) for name in COUNTS} == COUNTS
    assert counts.get("__main__.Thing") == 12345
    assert snap.consistency == "gil-free" and snap.report["refcount_excess"] == 0
    assert snap.frames("inner") and snap.python == python.version
    t.end_well()


def test_a_filter_that_kills(one_python, start, memattach):
    """A clone would be the end of it: none is made."""
    t = start(one_python, "seccomp", "kill", CLONE, CLONE3)
    with Unharmed(t):
        snap = stopped(memattach, t.pid)
    assert snap.counts().get("__main__.Kept") == 5000
    t.end_well()


def test_blocking_calls_stay_blocked(one_python, start, memattach):
    wanted = baseline(one_python, "blocked", wrap=IPC)
    t = start(one_python, "blocked", wrap=IPC)
    # what is left of a timeout is put into its register, and restart_syscall is another number
    with Unharmed(t, ignore=r"^thread \d+ syscall$"):
        assert stopped(memattach, t.pid).counts().get("__main__.Kept") == 5000
    t.end_well(wanted)


def test_while_it_runs(one_python, start, memattach):
    t = start(one_python, "busy_python")
    for _ in range(3):
        with Unharmed(t, quiet=False):
            snap = stopped(memattach, t.pid)
        assert snap.counts().get("__main__.Kept") == 5000
    t.end_well()


def test_bounded(one_python, start, memattach):
    t = start(one_python, "idle")
    path = memattach.new_path()
    with Unharmed(t):
        check_error(memattach.run(t.pid, "--stop", "--max-pause", 1, "-o", path), 7, "--max-pause allows 1 ms")
        check_nothing_left(path)
        check_error(memattach.run(t.pid, "--stop", "--core", path, "-o", path), 2, "--stop")
        check_error(memattach.run(t.pid, "--stop", "--raw", "live", "-o", path), 2, "--raw live")
    t.end_well()


def test_offered(one_python, start, memattach):
    t = start(one_python, "uffd")
    if "not on this kernel" in t.lines:
        pytest.skip("no userfaultfd here")
    with Unharmed(t):
        check_error(memattach.run(t.pid, "-o", memattach.new_path()), 5, "userfaultfd", "--stop")
        stopped(memattach, t.pid)
    t.end_well()


@pytest.mark.parametrize("moment", [0, 1, 2, 4, 8, 16])
def test_killed_meanwhile(one_python, start, memattach, moment):
    """SIGKILL of memattach, and of its tracer, while it holds the target: the kernel lets it go."""
    t = start(one_python, "idle")
    with Unharmed(t):
        p = memattach.start(t.pid, "--stop", "--max-pause", 10000, "-o", memattach.new_path())
        for _ in range(moment * 40):
            if tracers(t.pid) or p.poll() is not None:
                break
        for pid in [*memattach.tracer_of(p), p.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        p.wait(30)
        wait_until(lambda: not tracers(t.pid), what="the end of tracing")
        memattach.wait_gone()
    t.end_well()
