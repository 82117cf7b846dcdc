# SPDX-License-Identifier: Apache-2.0
"""The oracle can fail: every harm that it must see is done to a target, by the target itself or by strace and signals."""
import os
import shutil
import signal
import subprocess

import pytest

from target import baseline, wait_until
from unharmed import Unharmed, children, state, tracers

HARMS = {"map": "maps", "descriptor": "descriptors", "offset": "descriptors", "mask": "SigBlk", "handler": "SigIgn",
         "cwd": "cwd", "child": "children", "clone": "children", "thread": "threads", "nice": "nice",
         "oom": "oom_score_adj", "name": "comm"}


@pytest.mark.parametrize("kind", HARMS)
def test_harm_is_seen(one_python, start, kind):
    t = start(one_python, "idle")
    u = Unharmed(t)
    u.__enter__()
    t.ask("harm " + kind, "harmed")
    with pytest.raises(AssertionError, match=HARMS[kind]):
        u.check()


def test_quiet_target_is_unharmed(one_python, start):
    t = start(one_python, "idle")
    with Unharmed(t):
        pass
    assert t.finish() == baseline(one_python, "idle")


def test_changed_output_is_seen(one_python, start):
    t = start(one_python, "idle")
    t.ask("harm output", "harmed")
    assert t.finish() != baseline(one_python, "idle")


def test_stopped_target_is_seen(one_python, start):
    t = start(one_python, "idle")
    u = Unharmed(t, ping=False, settle=0.3)
    u.__enter__()
    t.signal(signal.SIGSTOP)
    with pytest.raises(AssertionError, match="State"):
        wait_until(lambda: state(t.pid) == "T")
        u.check()
    t.signal(signal.SIGCONT)
    u.check()


def test_tracer_is_seen(one_python, start):
    if not shutil.which("strace"):
        pytest.skip("no strace on this machine")
    t = start(one_python, "idle")
    u = Unharmed(t)
    u.__enter__()
    tracer = subprocess.Popen(["strace", "-f", "-o", "/dev/null", "-p", str(t.pid)], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: len(tracers(t.pid)) == 2)
        with pytest.raises(AssertionError, match="tracers"):
            u.check()
    finally:
        tracer.terminate()
        tracer.wait()
    u.check()


def test_child_of_a_target_is_seen(one_python, start):
    t = start(one_python, "idle")
    t.ask("harm clone", "harmed")
    found = wait_until(lambda: children(t.pid))
    wait_until(lambda: state(found[0]) == "Z")
    assert os.path.exists(f"/proc/{found[0]}")
