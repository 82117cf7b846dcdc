# SPDX-License-Identifier: Apache-2.0
"""Python inside of other programs, in every way of linking it."""
import copy
import ctypes
import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

import builds
import matrix
import uwsgi
from target import line_of, wait_until
from unharmed import Unharmed, children, maps

EVERYWHERE = ("shared", "plugin", "static-pie")


@pytest.mark.parametrize("kind", builds.KINDS)
def test_embedded(python, start, memattach, tmp_path, kind, request):
    if kind not in EVERYWHERE and python.minor not in ((3, 8), (3, 11), (3, 13)):
        pytest.skip("3.8, 3.11 and 3.13 stand for all in this kind of build")
    program = builds.build(python, kind, tmp_path)
    t = start(str(program), "idle", env=builds.environment(python, kind))
    doctor = json.loads(memattach.run("doctor", t.pid, "--json").out)
    assert doctor["would_work"] and doctor["python"] == python.version, doctor
    assert ("static" in doctor["build"]) == kind.startswith("static"), doctor["build"]
    assert ("not PIE" in doctor["build"]) == (kind == "static-nopie"), doctor["build"]
    assert ("stripped" in doctor["build"]) == (kind == "static-stripped") or "usr" in python.id, doctor["build"]
    with Unharmed(t):
        snap = memattach.snapshot(t.pid)
        stacks = json.loads(memattach.run("stacks", "--native", t.pid, "--json").out)
    assert snap.counts().get("__main__.Thing") == 12345
    assert line_of("idle", "waits") in [line for s in snap.frames("inner") for _, line in s]
    threads = {th["tid"]: th for th in stacks["threads"]}
    calls = [f["function"] for th in threads.values() for f in th["native"]]
    if kind != "static-stripped":
        assert ("run_host" in calls) and ("main" in calls), calls
    if kind == "shared-thread":
        assert not threads[t.pid]["frames"] and "python" in calls
    for th in threads.values():
        assert [i for f in th["native"] for i in f["python"]] == list(range(len(th["frames"]))), th
    matrix.way("embedded in a C program: " + builds.KINDS[kind], python)
    t.end_well()


# what a tool without the right to open /proc/PID/map_files has left is the memory
PRIVILEGES = {"root": (), "without-map_files": ("setpriv", "--bounding-set=-sys_admin,-cap_40")}


@pytest.mark.parametrize("what", ["removed", "replaced"])
@pytest.mark.parametrize("privileges", PRIVILEGES)
def test_deleted(python, start, memattach, need_root, tmp_path, what, privileges):
    """The files of interpreter and library were removed, or replaced by others, since it started, as an upgrade does."""
    if PRIVILEGES[privileges] and subprocess.run([*PRIVILEGES[privileges], "true"], capture_output=True).returncode:
        pytest.skip("setpriv can not take these capabilities away here")
    root = python.tree or Path("/")
    prefix = os.path.dirname(os.path.dirname(python.path))
    copies = [tmp_path / "python"]
    shutil.copy(f"{root}/{python.path}", copies[0])
    for library in glob.glob(f"{root}/{prefix}/lib/libpython{python.version.rpartition('.')[0]}*.so.*"):
        copies.append(tmp_path / os.path.basename(library))
        shutil.copy(library, copies[-1])
    moved = copy.copy(python)
    moved.path = str(copies[0])
    t = start(moved, "idle", env={"PYTHONHOME": prefix, "LD_LIBRARY_PATH": str(tmp_path)})
    for file in copies:
        file.unlink()
        if what == "replaced":
            shutil.copy("/bin/true", file)
    assert any("(deleted)" in line for line in maps(t.pid))
    doctor = json.loads(memattach.run("doctor", t.pid, "--json", wrap=PRIVILEGES[privileges]).out)
    assert doctor["would_work"], doctor
    assert ("its file is gone" in doctor["build"]) == (privileges != "root"), doctor["build"]
    with Unharmed(t):
        snap = memattach.snapshot(t.pid, wrap=PRIVILEGES[privileges])
        done = memattach.run("stacks", "--native", t.pid, "--json", wrap=PRIVILEGES[privileges])
    assert snap.counts().get("__main__.Thing") == 12345
    assert line_of("idle", "waits") in [line for s in snap.frames("inner") for _, line in s]
    # unwind tables and symbols, too
    for th in json.loads(done.out)["threads"]:
        assert [i for f in th["native"] for i in f["python"]] == list(range(len(th["frames"]))), th
    matrix.way(f"its files {what} since it started, seen " + ("as root" if privileges == "root" else "through its memory only"),
               python)
    t.end_well()


@pytest.fixture(scope="session")
def init(tmp_path_factory):
    compiler = os.environ.get("CC", "cc")
    if not shutil.which(compiler):
        pytest.skip(f"no C compiler '{compiler}'")
    path = tmp_path_factory.mktemp("init") / "init"
    # static: it runs in other roots, too
    subprocess.run([compiler, "-O1", "-static", "-o", path, builds.SOURCE.with_name("init.c")], check=True)
    return path


def test_under_an_init(python, start, memattach, need_root, init):
    """In namespaces of its own below an init that reaps all children, as in a container with tini: it never sees the
    copy, neither while it lives nor when it has ended."""
    spaces = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--uts", "--ipc", "--net")
    if subprocess.run([*spaces, "true"], capture_output=True).returncode:
        pytest.skip("no new namespaces here")
    inside = copy.copy(python)
    inside.wrap = [*spaces, *python.wrap]
    t = start(inside, "idle", wrap=(str(init),), pid_of=program_below)
    with Unharmed(t):
        for _ in range(3):
            snap = memattach.snapshot(t.pid)
            assert children(t.pid) == []
    assert snap.counts().get("__main__.Thing") == 12345
    inner = json.loads(memattach.run("doctor", t.pid, "--json").out)["pid_inside"]
    assert inner > 1, inner
    matrix.way("in namespaces of its own below an init that reaps (tini)", python)
    t.end_well()


def program_below(pid):
    """The program that runs below the wrapper `pid`, behind unshare and the init."""
    def last():
        at = pid
        while children(at):
            at = children(at)[0]
        return at if at != pid and "python" in os.readlink(f"/proc/{at}/exe") else None
    return wait_until(last)


APP = """
class Kept:
    pass

keep = [Kept() for _ in range(5000)]
count = [0]

def application(environ, start_response):
    count[0] += 1
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d" % count[0]]
"""


def fetch(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as answer:
        return int(answer.read())


def test_uwsgi(one_python, memattach, tmp_path):
    """A C server that embeds Python and forks: its worker answers before and after."""
    tool, why = uwsgi.find(one_python)
    if not tool:
        pytest.skip(why)
    (tmp_path / "app.py").write_text(APP)
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    server = subprocess.Popen([tool, "--http-socket", f"127.0.0.1:{port}", "--wsgi-file", tmp_path / "app.py", "--master",
                               "--processes", "1", "--threads", "2", "--die-on-term"], stdout=subprocess.DEVNULL,
                              stderr=(tmp_path / "log").open("wb"), stdin=subprocess.DEVNULL)
    try:
        def answers():
            try:
                return fetch(port)
            except OSError:
                assert server.poll() is None, (tmp_path / "log").read_text()
        assert wait_until(answers, 30) == 1
        worker, = children(server.pid)
        for pid in (worker, server.pid):
            snap = memattach.snapshot(pid)
            kept = {name: n for name, n in snap.counts().items() if name.endswith(".Kept")}
            assert list(kept.values()) == [5000], kept
        assert fetch(port) == 2
        assert children(server.pid) == [worker] and children(worker) == []
        report = json.loads(memattach.run("stacks", "--native", worker, "--json").out)
        calls = [f["function"] for th in report["threads"] for f in th["native"]]
        assert any(name.startswith("uwsgi_") or name == "simple_loop_run" for name in calls), calls
        matrix.way(f"in uWSGI {uwsgi.VERSION}", one_python)
    finally:
        server.terminate()
        server.wait(30)


def just_executed(pid, path):
    """Its arguments and the addresses of its code are those of the new program: the kernel is done with the exec."""
    arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return arguments[0] == path.encode() and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[23] != "0"


def test_just_started(python, memattach):
    """A process of which the dynamic linker has not mapped libpython yet, or whose Python is not initialised yet, is not
    called something else: a moment later it is a Python."""
    for _ in range(5):
        p = subprocess.Popen([*python.command, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, start_new_session=True)
        try:
            wait_until(lambda: just_executed(p.pid, python.path), step=0)
            done = memattach.run("doctor", p.pid, "--json")
            assert done.rc == 0 and json.loads(done.out)["python"] == python.version, done
        finally:
            p.kill()
            p.communicate()


LIBC = ctypes.CDLL(None, use_errno=True)
PTRACE_TRACEME, PTRACE_DETACH = 0, 17


def test_just_executed(one_python, memattach):
    """An old process that has executed Python a moment ago, held before the first step of the dynamic linker: doctor
    waits, and says what it is when it has come up. So is a container's program that a shell script executes at last."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(read, 0)
            time.sleep(1.2)  # more than the second of age for which any process is given time
            LIBC.ptrace(PTRACE_TRACEME, 0, None, None)
            os.execv(one_python.path, [one_python.path, "-c", "import sys; sys.stdin.read()"])
        finally:
            os._exit(1)
    doctor = None
    try:
        assert os.WIFSTOPPED(os.waitpid(pid, 0)[1])
        LIBC.ptrace(PTRACE_DETACH, pid, None, ctypes.c_void_p(signal.SIGSTOP))
        assert os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1])
        assert not any("libc" in line for line in maps(pid))
        doctor = subprocess.Popen([memattach.path, "doctor", str(pid), "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with pytest.raises(subprocess.TimeoutExpired):  # it has looked, and looks again
            doctor.wait(0.3)
        os.kill(pid, signal.SIGCONT)
        out, err = doctor.communicate(timeout=30)
        assert doctor.returncode == 0 and json.loads(out)["python"] == one_python.version, (out, err)
    finally:
        if doctor:
            doctor.kill()
            doctor.communicate()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(read)
        os.close(write)
