# SPDX-License-Identifier: Apache-2.0
"""`memattach doctor`: its verdict and exit code for targets that can and can not be attached, and that it stops nothing."""
import json
import os
import signal
import subprocess
import sys

import pytest
from target import wait_until
from unharmed import Unharmed

FIELDS = {"schema": int, "pid": int, "pid_inside": int, "command": str, "python": (str, type(None)),
          "build": (str, type(None)), "would_work": bool, "may_attach": bool, "may_attach_text": str, "supported": bool,
          "layouts": str, "obstacle": bool, "in_the_way": str, "note": (str, type(None)), "estimate_ns": int,
          "small_page_bytes": int, "huge_page_bytes": int, "rss_anon_bytes": int, "cgroup_limit_bytes": int,
          "cgroup_usage_bytes": int, "cpu_quota_millicores": int, "threads": int, "raw_bytes": int, "raw_saved_ns": int, "left_kept_out": bool}


def examine(memattach, pid, code, *words, wrap=()):
    """The JSON object; text and JSON give the same exit code, and the reason is in both and on stderr."""
    runs = [subprocess.run([*wrap, str(memattach.path), "doctor", str(pid), *more], capture_output=True, text=True,
                           timeout=60) for more in ((), ("--json",))]
    for done in runs:
        assert done.returncode == code, done
        assert len(done.stderr.splitlines()) == (code != 0), done
        flat = " ".join(done.stdout.split())
        for word in words:
            assert word in flat, done
            assert code == 0 or word in done.stderr, done
    assert runs[0].stdout.startswith(f"pid {pid} ")
    assert max(len(line) for line in runs[0].stdout.splitlines()[1:]) <= 80
    got = json.loads(runs[1].stdout)
    assert {k: isinstance(got[k], v) for k, v in FIELDS.items()} == dict.fromkeys(FIELDS, True), got
    assert got["would_work"] == (code == 0) and got["pid"] == pid
    assert got["small_page_bytes"] + got["huge_page_bytes"] == got["rss_anon_bytes"]
    return got


def switches(pid):
    """Context switches of all threads: a stop shows in them."""
    return [line for tid in sorted(os.listdir(f"/proc/{pid}/task"))
            for line in open(f"/proc/{pid}/task/{tid}/status") if "ctxt_switches" in line]


def asleep(pid):
    return all(open(f"/proc/{pid}/task/{tid}/stat").read().rpartition(")")[2].split()[0] == "S"
               for tid in os.listdir(f"/proc/{pid}/task"))


def test_every_python(python, start, memattach):
    t = start(python, "idle")
    wait_until(lambda: asleep(t.pid))
    before = switches(t.pid)
    with Unharmed(t):
        got = examine(memattach, t.pid, 0, "CPython 3.")
        assert switches(t.pid) == before, "the target was woken"
    assert got["python"].startswith("%d.%d" % python.minor) and got["supported"] and got["may_attach"]
    assert 100_000 < got["estimate_ns"] < 1_000_000_000 and got["threads"] == 2
    t.end_well()


def test_agrees_with_the_attach(one_python, start, memattach):
    """What doctor says, the attach does; both with the same exit code."""
    t = start(one_python, "idle")
    assert examine(memattach, t.pid, 0)["would_work"]
    done = memattach.run(t.pid, "-o", memattach.new_path(), "--json")
    assert done.rc == 0, done
    t.end_well()


def test_other_user(one_python, start, memattach, need_root):
    t = start(one_python, "idle")
    with Unharmed(t):
        got = examine(memattach, t.pid, 4, "it runs as uid 0, this is uid 65534",
                      wrap=("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"))
    assert not got["may_attach"] and not got["supported"]


def test_seccomp_without_the_right_to_lift_it(one_python, start, memattach, need_root):
    t = start(one_python, "seccomp", "kill", 435)  # clone3
    with Unharmed(t):
        got = examine(memattach, t.pid, 5, "CAP_SYS_ADMIN",
                      wrap=("setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"))
        assert got["obstacle"] and "seccomp" in got["in_the_way"]
    t.end_well()


def test_already_traced(one_python, start, memattach):
    t = start(one_python, "idle")
    code = "import ctypes,sys; c=ctypes.CDLL(None); print(c.ptrace(0x4206,%d,0,0),flush=True); sys.stdin.read()" % t.pid
    tracer = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        if tracer.stdout.readline() != b"0\n":
            pytest.skip("this machine does not let us attach")
        examine(memattach, t.pid, 4, f"already traced by pid {tracer.pid} (python")
    finally:
        tracer.communicate()
    examine(memattach, t.pid, 0)
    t.end_well()


def test_not_python(memattach):
    p = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        got = examine(memattach, p.pid, 5, "not a Python process")
        assert got["may_attach"] and not got["supported"] and got["python"] is None
    finally:
        p.kill()
        p.wait()


def test_zombie(memattach):
    p = subprocess.Popen(["sleep", "600"], start_new_session=True)
    p.kill()
    os.waitid(os.P_PID, p.pid, os.WEXITED | os.WNOWAIT)
    try:
        done = memattach.run("doctor", p.pid)
        assert done.rc == 3 and done.out == "" and len(done.err.splitlines()) == 1, done
    finally:
        p.wait()


def test_stopped_process_stays_stopped(one_python, start, memattach):
    t = start(one_python, "idle")
    t.signal(signal.SIGSTOP)
    os.waitid(os.P_PID, t.pid, os.WSTOPPED | os.WNOWAIT)
    examine(memattach, t.pid, 0)
    assert "\nState:\tT" in open(f"/proc/{t.pid}/status").read()
    t.signal(signal.SIGCONT)
    t.end_well()


def test_doctor_reads_no_descriptor(one_python, start, memattach):
    """The kernel holds a file while its entry of /proc/PID/fd is read: a close() in that moment would be late."""
    t = start(one_python, "idle")
    trace = memattach.folder / "trace"
    examine(memattach, t.pid, 0, wrap=("strace", "-f", "-o", str(trace), "-e", "trace=openat,readlinkat,readlink,newfstatat"))
    lines = trace.read_text().splitlines()
    assert any('"status"' in line for line in lines), "strace sees what is read of the target"
    lines = [line for line in lines if 'newfstatat' not in line or '"fd",' not in line]  # their number: no file is held for it
    assert not [line for line in lines if '"fd"' in line or '"fd/' in line or '"fdinfo' in line or f"/{t.pid}/fd" in line]
    t.end_well()
