# SPDX-License-Identifier: Apache-2.0
"""Ends at the wrong moment: of the target, of memattach, of its tracer; each at many moments of the attach."""
import ctypes
import os
import signal
import time

import pytest

from faulty import points
from memattach import check_error, check_nothing_left
from target import baseline, require, wait_until
from unharmed import Unharmed, children, state, status, tracers


def recovered(t, memattach, seconds=10):
    """After a kill: within a bounded time nobody traces, no child or zombie of ours is there, none of ours runs."""
    wait_until(lambda: not tracers(t.pid), seconds, f"tracers of {t.pid} gone")
    wait_until(lambda: not children(t.pid), seconds, f"children of {t.pid} gone")
    memattach.wait_gone(seconds)


def whole_or_absent(memattach, path):
    """What stands under the final name is a whole snapshot (the end came after it was closed), or nothing does."""
    if path.exists():
        assert memattach.run("check", path).rc == 0, "half a snapshot stands under the final name"
        path.unlink()


def answers(t):
    try:
        t.ping()
        return True
    except AssertionError:
        return False


def moments(count, longest):
    return [longest * n / (count - 1) for n in range(count)]


def time_of_one(memattach, pid):
    begin = time.monotonic()
    memattach.snapshot(pid)
    return time.monotonic() - begin


@pytest.mark.fault(3, "SIGKILL of the command at 20 moments", "the tracer gives everything back", once=True)
@pytest.mark.parametrize("program,count", [("idle", 20), ("threads 8", 20)], ids=["idle", "busy"])
def test_memattach_killed(one_python, start, memattach, program, count):
    """SIGKILL of the command at growing delays: the tracer restores the target and reaps what was there."""
    t = start(one_python, *program.split())
    whole = time_of_one(memattach, t.pid)
    quiet = program == "idle"
    for delay in moments(count, whole * 1.1):
        path = memattach.new_path()
        with Unharmed(t, quiet=quiet):
            p = memattach.start(t.pid, "-o", path)
            time.sleep(delay)
            p.kill()
            p.communicate(timeout=30)
            recovered(t, memattach)
        whole_or_absent(memattach, path)
    memattach.snapshot(t.pid)
    t.end_well(baseline(one_python, *program.split()))


def test_process_group_killed(one_python, start, memattach):
    """SIGKILL of the whole process group, as a closed terminal or a job runner does."""
    t = start(one_python, "threads", 8)
    whole = time_of_one(memattach, t.pid)
    for delay in moments(20, whole * 1.1):
        with Unharmed(t, quiet=False):
            p = memattach.start(t.pid, "-o", memattach.new_path())
            time.sleep(delay)
            os.killpg(p.pid, signal.SIGKILL)
            p.communicate(timeout=30)
            recovered(t, memattach)
    t.end_well(baseline(one_python, "threads", 8))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted(one_python, start, memattach, number):
    """Ctrl-C and its kin: one line or none, no file, no trace, and the command ends promptly."""
    t = start(one_python, "heartbeat", 300000)
    whole = time_of_one(memattach, t.pid)
    early = 0
    for delay in moments(12, whole * 1.1):
        path = memattach.new_path()
        with Unharmed(t, quiet=False):
            p = memattach.start(t.pid, "-o", path)
            time.sleep(delay)
            os.killpg(p.pid, number)
            begin = time.monotonic()
            _, err = p.communicate(timeout=30)
            assert time.monotonic() - begin < 5, "slow to end"
            recovered(t, memattach)
        if p.returncode != 0:
            early += 1
            assert len(err.splitlines()) <= 1 and b"Traceback" not in err, err
            whole_or_absent(memattach, path)
            assert not path.exists() or p.returncode < 0, "an interrupted snapshot is kept"
    assert early > 0
    t.end_well()


@pytest.mark.fault(3, "SIGKILL of the tracer at 30 moments", "the kernel and the command give everything back", once=True)
@pytest.mark.parametrize("program", ["idle", "threads 8"], ids=["idle", "busy"])
def test_tracer_killed(one_python, start, memattach, faulty, program):
    """SIGKILL of the tracer at many moments is survived but inside an injected call: its log says where it was."""
    killed, deaths = 0, []
    harm = {p.name: p.harm for p in points(faulty)}
    faulty.log = faulty.folder / "points"
    t = start(one_python, *program.split())
    whole = time_of_one(memattach, t.pid)
    for i, delay in enumerate(list(moments(30, whole)) * 3):
        if i >= 30 and killed > 5:  # on a busy machine the moments are others than those of the first run
            break
        path = faulty.new_path()
        faulty.log.write_text("")
        p = faulty.start(t.pid, "-o", path)
        time.sleep(delay)
        tracers_met = []
        for pid in faulty.tracer_of(p):
            try:
                os.kill(pid, signal.SIGKILL)
                tracers_met.append(pid)
            except ProcessLookupError:
                pass
        killed += len(tracers_met)
        out, err = p.communicate(timeout=30)
        wait_until(lambda: not t.alive() or not tracers(t.pid), 10, "no tracer left")
        if not answers(t):
            # the step it came to last: the mask is changed just before the registers are
            deaths += [harm.get(faulty.last_point(pid), "no step") for pid in tracers_met] or ["nobody was killed"]
            t = start(one_python, *program.split())
        elif p.returncode:
            assert len(err.splitlines()) <= 1, err
            assert not children(t.pid), "a killed tracer's twin is cleared away by the command"
        whole_or_absent(memattach, path)
    assert killed > 5, "the tracer was never met"
    assert set(deaths) <= {"MASKED", "IN_CALL"}, deaths
    memattach.snapshot(t.pid)
    assert not children(t.pid)
    t.end_well()


@pytest.mark.fault(12, "return, _exit, abort, exec while it is attached", "done, or refused; its exit code is its own", once=True)
@pytest.mark.parametrize("kind", ["return", "_exit", "abort", "exec", "thread"])
def test_target_ends_meanwhile(one_python, start, memattach, kind):
    """Exit, abort or exec of the target at many moments: done or "target gone", never a hang, and its exit code is its own."""
    wanted = None
    for n in range(12):
        t = start(one_python, "exit_at", kind)
        path = memattach.new_path()
        if n == 0:
            t.send("go")
            wanted = t.finish()
            continue
        p = memattach.start(t.pid, "-o", path)
        time.sleep(0.012 * (n - 1))
        t.send("go")
        got = t.finish()
        require(got == wanted, f"{kind}: {got} instead of {wanted}")
        out, err = p.communicate(timeout=30)
        # 5: when memattach first looked, it was another program already, or its interpreter was being taken down
        late = p.returncode == 5 and (b"is not a Python process" in err or b"it starts or ends at this moment" in err)
        assert p.returncode in (0, 3) or late, (p.returncode, err)
        if p.returncode:
            assert len(err.splitlines()) == 1, err
            check_nothing_left(path)
        memattach.wait_gone()


def test_target_killed_meanwhile(one_python, start, memattach):
    for n in range(12):
        t = start(one_python, "threads", 4)
        path = memattach.new_path()
        p = memattach.start(t.pid, "-o", path)
        time.sleep(0.012 * n)
        t.signal(signal.SIGKILL)
        assert t.popen.wait(20) == -signal.SIGKILL, "not reaped: somebody still traces it"
        out, err = p.communicate(timeout=30)
        assert p.returncode in (0, 3), (p.returncode, err)
        if p.returncode:
            check_nothing_left(path)
        memattach.wait_gone()


@pytest.mark.fault(12, "a program that executes itself 80 times", "done, or refused", once=True)
def test_exec_loop(one_python, start, memattach):
    """A program that runs itself anew 80 times, attached all the while."""
    t = start(one_python, "exec_loop", 0, 80)
    codes = set()
    while t.alive():
        done = memattach.run(t.pid, "-o", memattach.new_path(), "--json")
        # 5: between execve and the start of the interpreter there is no Python in it
        assert done.rc in (0, 3, 5), done
        assert done.rc == 0 or len(done.err.splitlines()) == 1, done
        codes.add(done.rc)
        if b"executed" in t.buffer or select_line(t):
            break
    t.end_well((["executed 80", "done"], 0, ""))


def select_line(t):
    import select
    return bool(select.select([t.popen.stdout], [], [], 0)[0])


@pytest.mark.fault(12, "an interpreter that is not up yet", "done, or refused", once=True)
def test_starting_python(one_python, memattach):
    """Attached before it is up: done, gone, or not (yet) a Python; never harmed."""
    import subprocess
    for n in range(20):
        p = subprocess.Popen([*one_python.command, "-c", "import json, sys; print(sum(range(10000)))"], stdout=subprocess.PIPE,
                             start_new_session=True)
        try:
            time.sleep(0.002 * n)
            done = memattach.run(p.pid, "-o", memattach.new_path(), "--json")
            assert done.rc in (0, 3, 5, 6), done
            assert done.rc == 0 or len(done.err.splitlines()) == 1, done
            assert p.communicate(timeout=30)[0] == b"49995000\n" and p.returncode == 0
        finally:
            if p.poll() is None:
                p.kill()
                p.wait()


@pytest.mark.fault(13, "a vfork parent, which no stop reaches", "given up after a second, or walked once the child has executed")
def test_short_of_time_to_stop(one_python, start, memattach, tmp_path):
    """A vfork parent does not stop until its child has exec'd: a bounded wait, then a refusal or a snapshot."""
    t = start(one_python, "vforker", tmp_path)
    t.ask("vfork", "forked")
    path = memattach.new_path()
    begin = time.monotonic()
    done = memattach.run(t.pid, "-o", path, "--json", timeout=30)
    assert time.monotonic() - begin < 10
    if done.rc:
        check_error(done, (1, 3, 5))
        check_nothing_left(path)
    wait_until(lambda: not tracers(t.pid), 10)
    t.ask("release", "released")
    assert t.end_well()[1] == 0


def stuck(start, python, folder, *words):
    """A target with a thread that waits for its FUSE server, which does not answer."""
    folder.mkdir()
    t = start(python, "fuse", *words[:1], folder, *words[1:], wrap=("unshare", "--mount"))
    no_fuse = [line for line in t.lines if line.startswith("no fuse")]
    if no_fuse:
        pytest.skip(no_fuse[0])
    t.ask("stick", "stuck")
    return t


@pytest.mark.fault(13, "a file server (FUSE) that does not answer: stat, read, a page of a mapping", "given up after a second",
                   refused="did not stop in time", once=True)
@pytest.mark.parametrize("kind", ["stat", pytest.param("read", marks=pytest.mark.long), "map"])
def test_server_that_does_not_answer(one_python, start, memattach, need_root, tmp_path, kind):
    """No stop reaches the thread before its server has answered: a bounded wait, a refusal, and all as before."""
    t = stuck(start, one_python, tmp_path / "mnt", kind)
    path = memattach.new_path()
    begin = time.monotonic()
    with Unharmed(t, ignore="State$"):  # the first wait for a server is one that a stop turns into the last
        done = memattach.run(t.pid, "-o", path, "--json", timeout=30)
        check_error(done, 1, "did not stop in time")
        check_nothing_left(path)
        memattach.wait_gone()
    assert time.monotonic() - begin < 10
    t.ask("release", "released")
    memattach.snapshot(t.pid)
    assert t.end_well()[1] == 0


@pytest.mark.fault(13, "the same, and the server gives up what it is told to interrupt",
                   "the call is made again; EINTR is not seen")
def test_server_that_gives_up_when_interrupted(one_python, start, memattach, need_root, tmp_path):
    """As servers do that are written in Go: without a stop the thread would just wait on."""
    t = stuck(start, one_python, tmp_path / "mnt", "stat", "gives up")
    with Unharmed(t, ignore="State$"):
        memattach.snapshot(t.pid)
    t.ask("again", "asked again")
    t.ask("release", "released")
    assert t.end_well()[1] == 0


CLONE3 = 435


def start_as(pid, command):
    """Runs `command` under a number of our choice (clone3, set_tid); None where that is not allowed."""
    wanted = ctypes.c_int(pid)
    args = (ctypes.c_uint64 * 11)(0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, ctypes.addressof(wanted), 1, 0)
    null = os.open("/dev/null", os.O_RDWR)
    made = ctypes.CDLL(None, use_errno=True).syscall(CLONE3, args, ctypes.sizeof(args))
    if made == 0:
        try:
            for n in range(3):
                os.dup2(null, n)
            os.execv(command[0], command)
        finally:
            os._exit(127)
    os.close(null)
    return made if made > 0 else None


@pytest.mark.fault(22, "another process gets the number between the look and the stop", "refused", refused="the process exited")
@pytest.mark.parametrize("point", ["TARGET_LOOKED_AT", "TRACER_SETTLED"])
def test_number_used_again(one_python, start, faulty, need_root, point):
    """The process ends and another one gets its number, while memattach looks elsewhere: that other one is not touched."""
    t = start(one_python, "idle")
    path = faulty.new_path()
    faulty.fault = f"{point}:stop"
    p = faulty.start("snap", t.pid, "-o", path)
    stopped = wait_until(lambda: [q for q in faulty.processes() if state(q) == "T"])
    t.signal(signal.SIGKILL)
    t.popen.wait(10)
    other = start_as(t.pid, [one_python.path, "-c", "import time; time.sleep(600)"])
    try:
        if other:
            wait_until(lambda: "ep" in open(f"/proc/{other}/wchan").read() and state(other) == "S", what="asleep")
            before = status(other)
        for q in stopped:
            os.kill(q, signal.SIGCONT)
        _, err = p.communicate(timeout=60)
        if not other:
            pytest.skip("no clone3 with a number of our choice here")
        assert p.returncode == 3 and b"exited" in err and len(err.splitlines()) == 1, (p.returncode, err)
        check_nothing_left(path)
        after = status(other)
        # signals that wait (SigQ) are counted for all processes of a user together
        assert {k: v for k, v in after.items() if v != before[k] and k != "SigQ"} == {}, "the other process was touched"
    finally:
        if other:
            os.kill(other, signal.SIGKILL)
            os.waitpid(other, 0)


@pytest.mark.fault(22, "the target gives up root before, or during, the stop", "done, or refused")
def test_user_changed_meanwhile(one_python, start, faulty, need_root):
    """It gives up root between the look and the stop: done or refused, and unharmed."""
    t = start(one_python, "idle")
    for point in ("TARGET_LOOKED_AT", "TARGET_OPENED", "THREAD_SEIZED"):
        path = faulty.new_path()
        faulty.fault = f"{point}:stop"
        p = faulty.start("snap", t.pid, "-o", path)
        faulty.fault = None
        stopped = wait_until(lambda: [q for q in faulty.processes() if state(q) == "T"])
        if point == "TARGET_LOOKED_AT":
            t.ask("harm setuid", "harmed")
        (faulty.folder / "acted").unlink()
        with Unharmed(t, quiet=False, ignore="^tracers$"):
            for q in stopped:
                os.kill(q, signal.SIGCONT)
            _, err = p.communicate(timeout=60)
            assert p.returncode in (0, 3, 4), (p.returncode, err)
            faulty.wait_gone()
        whole_or_absent(faulty, path)
    assert t.end_well()[1] == 0
