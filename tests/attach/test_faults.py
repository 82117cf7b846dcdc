# SPDX-License-Identifier: Apache-2.0
"""The tool is killed at every step of its own list of steps (base/fault_point.h), by the binary memattach-faults, which
names them itself: a new step is walked without a change here."""
import os
import signal

import pytest

from conftest import is_long
from faulty import points
from memattach import check_nothing_left
from target import Harmed, baseline, wait_until
from test_harmless import IPC
from test_races import whole_or_absent
from unharmed import Unharmed, children, stat_fields, state, status, tasks, tracers

# What a mere stop ends with EINTR (man ptrace, BUGS; tests/targets/calls.py): repaired in the registers that a killed
# tracer does not give back any more.
ENDED_BY_A_STOP = ("epoll_wait", "epoll_pwait", "recvfrom", "recvmsg", "recv", "accept", "read 600", "sendto", "rt_sigtimedwait",
                   "semop", "semtimedop", "io_getevents", "io_uring_enter", "io_pgetevents", "send")
ALL_BLOCKED = f"{2**64 - 1 & ~(1 << signal.SIGKILL - 1) & ~(1 << signal.SIGSTOP - 1):016x}"


def test_every_step_is_reached(one_python, start, faulty):
    """The list is what the tool does, not what it once did."""
    seen = []
    for program in (["idle"], ["threads", 4]):
        t = start(one_python, *program)
        faulty.log = faulty.folder / "points"
        with Unharmed(t, quiet=program == ["idle"]):
            faulty.snap(t.pid)
        seen += [line.split()[1] for line in faulty.log.read_text().splitlines()]
        t.end_well()
    assert set(seen) == {p.name for p in points(faulty)}


def test_the_shipped_binary_has_no_points(memattach):
    with open(memattach.path, "rb") as f:
        assert b"MEMATTACH_FAULT" not in f.read()


def chosen(every, action, program, config):
    """Without --long: the tracer at every step of an idle target; each other combination at what is special and at some."""
    if is_long(config) or (action == "kill-tracer" and program == "idle"):
        return every
    step = 7 if program == "idle" else 11
    return [p for i, p in enumerate(every) if i % step == 0 or p.name == "RUN_FORWARD" or (p.harm == "MASKED" and program == "idle")]


def settled(t, faulty):
    wait_until(lambda: not t.alive() or not tracers(t.pid), 10, "no tracer left")
    faulty.wait_gone()


def killed_at(point, action, t, quiet, faulty, memattach):
    """One run that ends at `point`. Returns whether the point was reached and the target may be used on."""
    path = faulty.new_path()
    tracer_dies = action != "kill-command"
    lost = tracer_dies and point.harm == "IN_CALL"
    deaf = action == "kill-both" and point.harm == "MASKED"
    child = action == "kill-both" and point.harm == "UNNAMED"
    oracle = Unharmed(t, quiet=quiet, children=not child, ignore=r"SigBlk$" if deaf else None)
    with oracle if not lost else NoOracle():
        done, reached = faulty.run_with(f"{point.name}:{action}", "snap", t.pid, "-o", path)
        settled(t, faulty)
        if not reached:
            assert done.rc == 0, done
        elif not lost and action == "kill-both":
            memattach.snap(t.pid)  # the next run clears away what nobody was left to see to
        if reached and action != "kill-tracer":
            assert done.rc == -signal.SIGKILL, done
        elif reached and done.rc:
            assert done.rc in ((1, 3) if lost else (1,)) and "the tracer was killed" in done.err, done
            assert done.rc == 3 or "is cleared away" in done.err, done
            check_nothing_left(path)
        whole_or_absent(memattach, path)
        for part in faulty.folder.glob(path.name + ".tmp-*"):
            assert done.rc == -signal.SIGKILL, f"{done} left {part}"
            part.unlink()
    if not reached:
        return False, True
    if lost:
        assert t.popen.wait(10) in (-signal.SIGSEGV, -signal.SIGBUS, -signal.SIGILL), "documented as the end of the target"
        assert t.errors() == "", "it went on somewhere"
    elif deaf:
        assert [tid for tid in tasks(t.pid) if status(t.pid, tid)["SigBlk"] == ALL_BLOCKED], "documented as deaf to signals"
    elif child:
        left = {c: (state(c), stat_fields(f"/proc/{c}/stat")["exit_signal"]) for c in children(t.pid)}
        assert set(left.values()) == {("Z", "0")}, left
    return True, not (lost or deaf or child)


class NoOracle:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False


@pytest.mark.fault(3, "SIGKILL of the command, the tracer, both, at each step of `base/fault_point.h`",
                   "undone at once; in an injected call the target ends (below)", once=True)
@pytest.mark.parametrize("program", ["idle", "threads 8"], ids=["idle", "busy"])
@pytest.mark.parametrize("action", ["kill-tracer", "kill-command", "kill-both"])
def test_killed_at_every_step(one_python, start, faulty, memattach, request, action, program):
    words = program.split()
    t = start(one_python, *words)
    missed, failed = [], []
    for point in chosen(points(faulty), action, words[0], request.config):
        try:
            reached, on = killed_at(point, action, t, program == "idle", faulty, memattach)
            for _ in range(5):  # a stop that meets nobody with the GIL, between two threads, needs no run forward
                if not reached and point.name == "RUN_FORWARD" and program != "idle":
                    reached, on = killed_at(point, action, t, False, faulty, memattach)
            missed += [] if reached else [point.name]
        except Harmed as e:
            raise Harmed("\n".join([*failed, f"{point.name}: {e}"])) from e
        except AssertionError as e:
            failed.append(f"{point.name}: {e}")
            on = False
        if not on:
            t.close()
            t = start(one_python, *words)
    assert not failed, "\n".join(failed)
    assert set(missed) <= {"RUN_FORWARD"} if program == "idle" else not missed, missed
    t.end_well(baseline(one_python, *words))


@pytest.mark.fault(3, "abort, exit, a stop at each step", "undone; a stop only delays", once=True)
@pytest.mark.parametrize("action", ["abort", "exit", "stop"])
def test_ended_otherwise_at_every_step(one_python, start, faulty, memattach, request, action):
    """An abort or an exit of whichever process is there, and one that is stopped for a while: as slow as a tool can be."""
    t = start(one_python, "idle")
    every = [p for p in points(faulty) if p.name != "RUN_FORWARD"]
    for point in every if is_long(request.config) else every[::6]:
        if action != "stop" and point.harm == "IN_CALL":
            continue  # the end of the tracer, by whatever means
        path = faulty.new_path()
        with Unharmed(t):
            acted = faulty.folder / "acted"
            acted.unlink(missing_ok=True)
            faulty.fault = f"{point.name}:{action}"
            p = faulty.start("snap", t.pid, "-o", path)
            if action == "stop":
                stopped = wait_until(lambda: [q for q in faulty.processes() if state(q) == "T"], what=f"stopped at {point.name}")
                for pid in stopped:
                    os.kill(pid, signal.SIGCONT)
            p.communicate(timeout=60)
            faulty.fault = None
            settled(t, faulty)
            assert acted.exists(), point
            assert action != "stop" or p.returncode == 0, (point, p.returncode)
        whole_or_absent(memattach, path)
    t.end_well(baseline(one_python, "idle"))


@pytest.mark.fault(3, "the tracer is killed while 47 kinds of call are stopped",
                   "those that a mere stop ends see EINTR", once=True)
def test_blocked_calls_when_the_tracer_is_killed(one_python, start, faulty):
    """What the kernel restarts stays blocked; what a mere stop ends is ended, with EINTR, as the manual of ptrace has it."""
    for name in ("THREADS_STOPPED", "REGISTERS_RESTORED", "THREAD_DETACHED"):
        t = start(one_python, "blocked", wrap=IPC)
        own = children(t.pid)
        done, reached = faulty.run_with(f"{name}:kill-tracer", "snap", t.pid, "-o", faulty.new_path())
        assert reached and done.rc == 1, done
        settled(t, faulty)
        assert children(t.pid) == own
        lines, code, _ = t.finish()
        early = [line for line in lines if line.startswith("wrong ")]
        assert code == 0
        unknown = [x for x in early if not x[len("wrong "):].startswith(ENDED_BY_A_STOP) or not x.endswith(": -1 4")]
        assert not unknown, (name, unknown)
