# SPDX-License-Identifier: Apache-2.0
"""memattach --stdio, the far side's half of a link, by a client that is written from docs/protocol.md."""
import struct
import subprocess
import time

import pytest

import protocol
from protocol import Far, fields, frame, parse, u32, u64
from target import wait_until
from unharmed import Unharmed, children, tracers


@pytest.fixture
def far(memattach):
    running = []

    def make(**options):
        env = dict(memattach.environ(), **options.pop("env", {}))
        p = subprocess.Popen([memattach.path, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             env=env, start_new_session=True, bufsize=0, **options)
        running.append(p)
        return Far(p)
    yield make
    for p in running:
        if p.poll() is None:
            p.kill()
        p.wait()
        for stream in (p.stdin, p.stdout, p.stderr):
            stream.close()


def end(f, code=0):
    """Ends the link and returns what the far side says on stderr."""
    f.p.stdin.close()
    err = f.p.stderr.read().decode()
    assert f.p.wait(30) == code, err
    return err


def test_snapshot(python, start, memattach, far):
    """The bytes are a whole file, the same as of a local attach but for what changes by itself."""
    t = start(python, "idle")
    f = far()
    f.greet()
    with Unharmed(t):
        f.send(protocol.snapshot(t.pid, _4=u32(protocol.VALUES_NONE)))
        frames = f.answer()
    assert frames[-1][0] == protocol.DONE, frames[-1]
    path = memattach.new_path()
    path.write_bytes(b"".join(data for kind, data in frames if kind == protocol.DATA))
    done = parse(frames[-1][1])
    assert done[7] == u64(path.stat().st_size)
    assert struct.unpack("<Q", done[1])[0] > 0, "no pause"
    assert memattach.run("check", path).rc == 0
    local = memattach.snapshot(t.pid)
    objects = memattach.value(path, "SELECT count(*) FROM objects")
    assert abs(objects - local.report["objects"]) < 50
    assert {kind for kind, _ in frames} <= {protocol.DATA, protocol.PROGRESS, protocol.DONE}
    assert any(kind == protocol.PROGRESS for kind, _ in frames)
    assert end(f) == ""
    memattach.wait_gone()
    t.end_well()


def test_several_requests(one_python, start, memattach, far):
    """A failed request does not end the link."""
    t = start(one_python, "idle")
    f = far()
    f.greet()
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    f.send(protocol.snapshot(gone.pid))
    (kind, payload), = f.answer()[-1:]
    assert kind == protocol.ERROR and parse(payload)[1] == u32(protocol.GONE)
    f.send(frame(protocol.LIST))
    found = {struct.unpack("<I", parse(p)[1])[0]: parse(p) for kind, p in f.answer() if kind == protocol.PROCESS}
    assert t.pid in found and b"idle.py" in found[t.pid][3] and found[t.pid][4].decode() == python_version(one_python)
    f.send(frame(protocol.DOCTOR, fields(_1=u32(t.pid))))
    (kind, payload), done = f.answer()
    got = parse(payload)
    assert kind == protocol.DIAGNOSIS and done[0] == protocol.DONE and got[6] == b"\1" and got[8] == b"\1"
    f.send(frame(99))
    (kind, payload), = f.answer()
    assert kind == protocol.ERROR and parse(payload)[1] == u32(protocol.UNSUPPORTED)
    f.send(protocol.snapshot(t.pid, _2=b"\1"))
    assert f.answer()[-1][0] == protocol.DONE
    assert end(f) == ""
    t.end_well()


def python_version(python):
    return subprocess.run([python.path, "-c", "import platform; print(platform.python_version())"], capture_output=True,
                          text=True, check=True).stdout.strip()


GARBAGE = {"text": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "zeros": bytes(64), "4 GiB": struct.pack("<IHH", 0xffffffff, 1, 0),
           "too long": struct.pack("<IHH", (1 << 20) + 1, 1, 0), "reserved": struct.pack("<IHH", 0, 1, 1),
           "no greeting": frame(protocol.LIST), "magic": protocol.hello(magic=1), "field": frame(1, b"\1\x7f"),
           "varint": frame(1, b"\xff" * 30), "length": frame(1, fields(_1=b"1234567")), "cut": protocol.hello()[:-3]}


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage(memattach, far, what):
    """One line and exit code 6; a client that can still read gets the reason as an ERROR."""
    f = far()
    kind, _ = f.receive()
    assert kind == protocol.HELLO
    f.send(GARBAGE[what])
    f.p.stdin.close()
    got = f.receive()
    assert got and got[0] == protocol.ERROR and parse(got[1])[1] == u32(protocol.BAD_DATA)
    assert f.receive() is None
    err = f.p.stderr.read().decode()
    assert f.p.wait(10) == 6 and len(err.splitlines()) == 1 and err.startswith("memattach: "), err


def test_other_version(memattach, far):
    for hello in (protocol.hello(protocol=0), protocol.hello(protocol=2), protocol.hello(wire=7)):
        f = far()
        f.receive()
        f.send(hello)
        kind, payload = f.receive()
        assert kind == protocol.ERROR and parse(payload)[1] == u32(protocol.UNSUPPORTED)
        assert b"version" in parse(payload)[3]
        assert "version" in end(f, 5)


def test_ends_at_once(memattach, far):
    assert end(far()) == ""


@pytest.mark.parametrize("how", ["cancel", "closed", "second request"])
def test_ended_on_the_way(one_python, start, memattach, far, how):
    """While the walk goes on, at a rate that would take minutes: no twin is left, and the target runs."""
    t = start(one_python, "heartbeat", 1000000)
    f = far()
    f.greet()
    with Unharmed(t, quiet=False):
        f.send(protocol.snapshot(t.pid, _13=u64(2048)))
        while f.receive()[0] != protocol.DATA:
            pass
        if how == "closed":
            f.p.stdin.close()
            assert f.p.wait(30) == 1
        else:
            f.send(frame(protocol.CANCEL) if how == "cancel" else frame(protocol.LIST))
            while True:
                got = f.receive()
                if got is None or got[0] == protocol.ERROR:
                    break
            assert got and parse(got[1])[1] == u32(protocol.CANCELLED if how == "cancel" else protocol.BAD_DATA)
            end(f, 0 if how == "cancel" else 6)
    memattach.wait_gone()
    assert not tracers(t.pid)
    t.end_well()


def test_slow_link(one_python, start, memattach, far):
    """A reader that reads nothing: the twin ends as if the link were fast, what came of it waits, and then all arrives."""
    t = start(one_python, "heartbeat", 1000000)
    f = far()
    f.greet()
    with Unharmed(t, quiet=False):
        began = time.monotonic()
        f.send(protocol.snapshot(t.pid))
        wait_until(lambda: children(t.pid), 30, "the twin is there")
        wait_until(lambda: not children(t.pid), 30, "the twin is gone although nobody reads")
        stopped = time.monotonic() - began
        frames = f.answer()
    assert frames[-1][0] == protocol.DONE
    path = memattach.new_path()
    path.write_bytes(b"".join(data for kind, data in frames if kind == protocol.DATA))
    assert path.stat().st_size > 1 << 18, "the pipe holds it all: this proves nothing"
    assert memattach.run("check", path).rc == 0
    local = memattach.snapshot(t.pid, whole=False)
    assert stopped < local.report["twin_ns"] / 1e9 + 5
    end(f)
    t.end_well()
