# SPDX-License-Identifier: Apache-2.0
"""`memattach watch`: one snapshot before memory runs out, and none without need."""
import os
import select
import signal
import subprocess

import pytest
from target import Target, in_group, wait_until
from unharmed import Unharmed


@pytest.fixture
def watching(memattach):
    """watching(pid, *options) starts the command and returns it when it has said that it is armed, and that line."""
    started = []

    def watch(pid, *options):
        path = memattach.new_path()
        tool = subprocess.Popen([str(memattach.path), "watch", str(pid), "-o", str(path), *options], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, env=memattach.environ())
        started.append(tool)
        tool.snapshot = path
        return tool, tool.stderr.readline()

    yield watch
    for tool in started:
        if tool.poll() is None:
            tool.kill()
        tool.communicate()


def counts(memattach, path):
    done = memattach.run("query", path, "select count from types where type = '__main__.Kept'", "--csv")
    assert done.rc == 0, done
    return int(done.out.split()[1])


def test_cgroup_v1(one_python, cgroup, watching, memattach, need_root):
    group = cgroup("memory", {"memory.limit_in_bytes": 200 << 20})
    t = Target(one_python, "grow", wrap=in_group(group))
    try:
        t.wait_ready()
        tool, armed = watching(t.pid, "--at", "60%")
        assert "its memory cgroup" in armed and "210 MB" in armed and "at 126 MB" in armed, armed
        t.ask("grow 80", "grown")
        # idle and below: a look comes every 250 ms at most, and none of three fires
        with pytest.raises(subprocess.TimeoutExpired):
            tool.wait(0.8)
        with Unharmed(t, quiet=False):
            t.ask("grow 45", "grown")
            out, err = tool.communicate(timeout=60)
        assert tool.returncode == 0 and str(tool.snapshot) in out, (out, err)
        assert "its memory cgroup is at" in err and "later" not in err, err
        assert memattach.run("check", tool.snapshot).rc == 0
        assert 80 < counts(memattach, tool.snapshot) <= 125
        t.end_well()
    finally:
        t.close()


def test_room_for_the_copy(one_python, cgroup, watching, memattach, need_root):
    """At 99 % a copy would be refused: the snapshot comes while there is room for one."""
    group = cgroup("memory", {"memory.limit_in_bytes": 200 << 20})
    t = Target(one_python, "grow", wrap=in_group(group))
    try:
        t.wait_ready()
        tool, _ = watching(t.pid, "--at", "99%")
        for _ in range(180):
            if select.select([tool.stderr], [], [], 0)[0]:
                break  # it has fired; who takes 200 MB/s goes on past any margin
            t.ask("grow 1", "grown")
        out, err = tool.communicate(timeout=60)
        assert tool.returncode == 0 and "later a copy would find no room" in err, (out, err)
        assert memattach.run("check", tool.snapshot).rc == 0
        t.end_well()
    finally:
        t.close()


def test_size_of_the_process(one_python, start, watching, memattach):
    t = start(one_python, "grow")
    tool, armed = watching(t.pid, "--at", "100MB")
    assert "the process has" in armed and "at 100 MB" in armed, armed
    t.ask("grow 99", "grown")
    out, err = tool.communicate(timeout=60)
    assert tool.returncode == 0 and "the process is at" in err, (out, err)
    t.end_well()


def test_process_ends(one_python, start, watching):
    t = start(one_python, "grow")
    tool, _ = watching(t.pid, "--at", "100GB")
    t.end_well()
    out, err = tool.communicate(timeout=10)
    assert tool.returncode == 3 and out == "" and len(err.splitlines()) == 1 and "ended" in err, (out, err)
    assert not tool.snapshot.exists()


def test_interrupted(one_python, start, watching):
    t = start(one_python, "grow")
    tool, _ = watching(t.pid, "--at", "100GB")
    with Unharmed(t):
        tool.send_signal(signal.SIGINT)
        tool.communicate(timeout=10)
    assert tool.returncode == -signal.SIGINT and not tool.snapshot.exists()
    t.end_well()


@pytest.mark.parametrize("at", ["", "0%", "100%", "ninety", "5 parsecs", "-1GB", "nan%", "1e30GB"])
def test_bad_point(memattach, at):
    done = memattach.run("watch", os.getpid(), f"--at={at}")
    assert done.rc == 2 and len(done.err.splitlines()) == 1 and "--at wants" in done.err, done


def test_what_cannot_be_attached_is_said_at_once(memattach):
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        wait_until(lambda: os.readlink(f"/proc/{sleeper.pid}/exe").endswith(("sleep", "coreutils")), what="sleep")
        done = memattach.run("watch", sleeper.pid, "--at", "1%")
        assert done.rc == 5 and len(done.err.splitlines()) == 1 and "not a Python process" in done.err, done
    finally:
        sleeper.kill()
        sleeper.wait()
