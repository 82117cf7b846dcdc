# SPDX-License-Identifier: Apache-2.0
"""Programs that are not like most: other allocators, strange memory, many or short threads, interpreters beside the main
one, hostile names, deep structures, io_uring; and a memattach that is short of everything."""
import http.client
import os
import re
import resource
import socket
import subprocess
import sys

import pytest

import matrix
from memattach import check_nothing_left
from target import baseline, line_of, wait_until
from test_core import COUNTS
from unharmed import Unharmed, state, tasks


@pytest.mark.parametrize("allocator", ["malloc", "debug", "malloc_debug", "pymalloc_debug"])
def test_allocators(python, start, memattach, allocator):
    """PYTHONMALLOC: without arenas, or with a frame around each block, every object is found all the same but for what
    neither the collector's lists nor a reference leads to."""
    t = start(python, "idle", env={"PYTHONMALLOC": allocator})
    with Unharmed(t):
        snap = memattach.snapshot(t.pid)
    counts = snap.counts()
    assert {name: counts.get(name) for name in COUNTS} == COUNTS
    matrix.way(f"PYTHONMALLOC={allocator}", python)
    t.end_well()


def test_frozen_objects(one_python, start, memattach):
    """gc.freeze() puts all objects on a list that no collection looks at."""
    t = start(one_python, "idle", "freeze")
    with Unharmed(t):
        snap = memattach.snapshot(t.pid)
    assert {name: snap.counts().get(name) for name in COUNTS} == COUNTS
    t.end_well()


@pytest.mark.parametrize("option", ["-O", "-I", "-Xdev", "-Xtracemalloc=5", "-Xfaulthandler"])
def test_interpreter_options(one_python, start, memattach, option):
    # -I leaves the program's folder out of sys.path
    script = 'import runpy, sys; sys.path.insert(0, sys.argv[1].rpartition("/")[0]); runpy.run_path(sys.argv[1], run_name="__main__")'
    command = f"shift; exec {one_python.path} {option} -c '{script}' \"$@\""
    t = start("/bin/sh", "idle", wrap=("/bin/sh", "-c", command, "sh"))
    with Unharmed(t):
        snap = memattach.snapshot(t.pid)
    assert snap.counts().get("__main__.Thing") == 12345
    t.end_well()


@pytest.mark.fault(20, "DONTFORK, WIPEONFORK, locked, closed, cut off, huge", "as before, and the rest is walked")
def test_strange_memory(hazard_python, start, memattach):
    t = start(hazard_python, "regions")
    with Unharmed(t):
        for _ in range(3):
            snap = memattach.snapshot(t.pid)
    assert snap.counts().get("__main__.Kept") == 5000
    t.end_well(baseline(hazard_python, "regions"))


@pytest.mark.fault(11, "threads that begin and end all the time",
                   "the list of threads is read until it has nothing new", once=True)
def test_thread_storm(hazard_python, start, memattach):
    t = start(hazard_python, "storm")
    for _ in range(15):
        with Unharmed(t, quiet=False):
            snap = memattach.snapshot(t.pid)
        assert snap.counts().get("__main__.Kept") == 5000
    t.end_well(baseline(hazard_python, "storm"))


@pytest.mark.fault(11, "300 threads", "all in one stop")
def test_many_threads(one_python, start, memattach):
    t = start(one_python, "threads", 300)
    with Unharmed(t, quiet=False):
        snap = memattach.snapshot(t.pid)
    assert snap.counts().get("__main__.Kept") == 30000
    assert len(snap.threads) == 301 and len(snap.frames("churn")) == 300
    assert {th["tid"] for th in snap.threads} == {int(x) for x in os.listdir(f"/proc/{t.pid}/task")}
    t.end_well(baseline(one_python, "threads", 300))


def test_subinterpreters(python, start, memattach):
    t = start(python, "subinterpreters")
    with Unharmed(t):
        snap = memattach.snapshot(t.pid)
    assert snap.counts().get("__main__.Kept") == 5000
    assert snap.counts().get("__main__.Inside") == 2000
    t.end_well(baseline(python, "subinterpreters"))


def test_hostile_names(hazard_python, start, memattach):
    """Nothing that a program calls its things reaches a terminal as it is, and JSON and CSV stay what they are."""
    t = start(hazard_python, "names")
    with Unharmed(t):
        snap = memattach.snapshot(t.pid)
    hostile = {x["type"]: x["count"] for x in snap.types if x["type"].startswith("hostile") or not x["type"]}
    assert sum(hostile.values()) == int(t.end_well()[0][-1].split()[1])
    assert "hostile\x1b]0;title\x07.new\nline" in hostile
    assert any("f\x1b[31m\n</script>" in f["function"] for th in snap.threads for f in th["frames"])
    for args in (("report", snap.path), ("report", snap.path, "--type", "*"), ("query", snap.path, "SELECT type, count FROM types"),
                 ("query", snap.path, "SELECT file, function FROM frames")):
        done = memattach.run(*args)
        assert done.rc == 0, done
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", done.out), args
    done = memattach.run("query", snap.path, "SELECT type FROM types WHERE type LIKE 'hostile%'", "--csv")
    assert done.rc == 0 and not re.search("^[=+@-]", done.out, re.M)


def test_deep(python, start, memattach):
    """3,000 frames, a list of 200,000 links, 100,000 nested lists: no recursion of ours gives up."""
    t = start(python, "deep")
    with Unharmed(t):
        snap = memattach.snapshot(t.pid)
    assert snap.counts().get("__main__.Link") == 200001
    stack, = snap.frames("recursive")
    names = [name for name, _ in stack]
    assert names.count("recursive") == 3001 and names.count("chain") == 101
    assert ("recursive", line_of("deep", "recursion")) in stack
    assert memattach.run("report", snap.path).rc == 0
    t.end_well(baseline(python, "deep"))


@pytest.mark.fault(8, "one request polled, one held by a worker of the kernel",
                   "each completes as asked: workers are not stopped")
def test_io_uring(hazard_python, start, memattach):
    wanted = baseline(hazard_python, "uring")
    t = start(hazard_python, "uring")
    for _ in range(5):
        with Unharmed(t, quiet=False):
            memattach.snapshot(t.pid)
    t.end_well(wanted)


@pytest.mark.fault(8, "a thread of the kernel that polls the ring (SQPOLL), requests all the time",
                   "not stopped; each request completes, meanwhile, too", once=True)
def test_io_uring_polled(one_python, start, memattach):
    wanted = baseline(one_python, "uring", "sqpoll")
    t = start(one_python, "uring", "sqpoll")
    assert [n for n in tasks(t.pid) if open(f"/proc/{t.pid}/task/{n}/comm").read().startswith("iou-sqp")]
    with Unharmed(t, quiet=False):
        for _ in range(3):
            running = memattach.start(t.pid, "-o", memattach.new_path(), "--json")
            while running.poll() is None:
                t.ask("more", "good")
            assert running.returncode == 0
    t.ask("more", "good")
    t.end_well(wanted)


def test_real_program(hazard_python, memattach, tmp_path):
    """python -m http.server, which knows nothing of us, answers before, while and after."""
    (tmp_path / "page").write_text("hello")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    p = subprocess.Popen([*hazard_python.command, "-m", "http.server", str(port), "--bind", "127.0.0.1"], cwd=tmp_path,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        def fetch():
            c = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            try:
                c.request("GET", "/page")
                return c.getresponse().read() == b"hello"
            except ConnectionRefusedError:
                return False
            finally:
                c.close()
        wait_until(fetch, 20)
        for _ in range(5):
            running = memattach.start(p.pid, "-o", memattach.new_path(), "--json")
            for _ in range(20):
                assert fetch()
            assert running.wait(60) == 0
        snap = memattach.snapshot(p.pid)
        assert "http.server" in snap.command
        assert snap.frames("serve_forever")
        assert state(p.pid) == "S" and fetch()
    finally:
        p.kill()
        p.wait()


# ---------------------------------------------------------------- a memattach that is short of something
@pytest.mark.parametrize("what,value", [("NOFILE", 8), ("NOFILE", 20), ("AS", 30 << 20), ("AS", 60 << 20), ("DATA", 1 << 20),
                                        ("NPROC", 0), ("STACK", 65536), ("CPU", 1)])
def test_short_of(one_python, start, memattach, what, value):
    """Done, or one line and an exit code; never a crash, and the target is unharmed."""
    limit = getattr(resource, f"RLIMIT_{what}")
    t = start(one_python, "idle")
    path = memattach.new_path()
    with Unharmed(t):
        done = memattach.run(t.pid, "-o", path, "--json", preexec_fn=lambda: resource.setrlimit(limit, (value, value)))
        assert done.rc >= 0, f"killed by signal {-done.rc}: {done}"
        memattach.wait_gone()
    if done.rc:
        assert len(done.err.splitlines()) == 1, done
        check_nothing_left(path)
    t.end_well()


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_descriptors(one_python, start, memattach, closed):
    """A descriptor 0, 1 or 2 that is closed must not become the snapshot's, into which a report is printed then."""
    t = start(one_python, "idle")
    path = memattach.new_path()
    with Unharmed(t):
        done = subprocess.run(["/bin/bash", "-c", f"exec {memattach.path} {t.pid} -o {path} --json {closed}"], env=memattach.environ(),
                              timeout=60, stdin=subprocess.DEVNULL, capture_output=True)
        assert done.returncode in (0, 1), done
        memattach.wait_gone()
    if path.exists():
        assert memattach.run("check", path).rc == 0
    t.end_well()


@pytest.mark.fault(24, "whoever reads the output is slow", "the target runs on")
def test_slow_reader(one_python, start, memattach):
    """Our output is not read for a while: the target does not wait for that."""
    t = start(one_python, "threads", 8)
    p = memattach.start(t.pid, "-o", memattach.new_path(), "--json")
    for _ in range(30):
        t.ping(10)
    out, _ = p.communicate(timeout=60)
    assert p.returncode == 0 and out.startswith(b"{")
    t.end_well()


def test_runs_of_this_suite(memattach, tmp_path):
    """This very process, pytest, is a real program, too."""
    if sys.version_info[:2] not in [(3, n) for n in range(8, 14)]:
        pytest.skip("pytest runs on a Python that is not supported")
    before = len(os.listdir("/proc/self/fd"))
    snap = memattach.snapshot(os.getpid())
    assert snap.counts().get("_pytest.fixtures.FixtureRequest", 0) + snap.counts().get("_pytest.fixtures.SubRequest", 0) >= 1
    assert len(os.listdir("/proc/self/fd")) == before
