# SPDX-License-Identifier: Apache-2.0
"""memattach ssh://... --resume --linger: what a cut link leaves on the far side, for how long, and who gets it."""
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

import protocol
from memattach import Snapshot, came, check_error, check_report, parts
from protocol import Far, frame, parse, u32, u64
from target import wait_until
from unharmed import Unharmed, children, tracers

KEY = os.urandom(16)  # the name of the socket is made of it: another run of these tests has another one


def fetch(client, t, path, *args):
    return client.run(t.pid, "-o", path, "--resume", *args)


def cut_half_way(client, t, path, *args, linger="1h"):
    """memattach --resume whose server is killed after some bytes; what it says."""
    before = path.with_name(path.name + ".part")
    least = before.stat().st_size if before.exists() else 0
    p = client.memattach.start(client.sshd.url(t.pid), "-o", path, "--resume", "--linger", linger, "--limit-rate", "200k", *args)
    wait_until(lambda: came(path) > least + 60000, 60, "it comes")
    client.sshd.cut()
    out, err = p.communicate(timeout=60)
    assert p.returncode == 1 and len(err.splitlines()) == 1 and b"fetches the rest" in err, (err, client.sshd.log())
    assert parts(path) == [".part", ".part.resume"]


def there(client):
    """The process on the far side that holds the snapshot, once the walk is over."""
    wait_until(lambda: len(client.memattach.processes()) == 1, 30, "one process is left there")
    pid, = client.memattach.processes()
    return pid


@pytest.mark.parametrize("how", ["installed", "helper"])
def test_resume(one_python, start, client, helper, how):
    """The same command fetches the rest of the same snapshot. Meanwhile one process waits there, with no twin and no file."""
    if how == "installed":
        client.sshd.install(client.memattach.path)
    t = start(one_python, "heartbeat", 500_000)
    path = client.memattach.new_path()
    with Unharmed(t, quiet=False):
        cut_half_way(client, t, path)
        part = path.with_name(path.name + ".part").read_bytes()
        pid = there(client)
        assert os.getsid(pid) == pid
        assert not children(t.pid) and not tracers(t.pid), "the walk goes on to its end without the link, and no further"
        assert [p.name for p in client.sshd.far.iterdir() if p.name != "memattach"] == []
        done = fetch(client, t, path, "--json")
    assert done.rc == 0, (done, client.sshd.log())
    check_report(Snapshot(path, json.loads(done.out)), t.pid)
    assert parts(path) == [""] and client.memattach.run("check", path).rc == 0
    whole = path.read_bytes()
    assert whole.startswith(part) and 60000 < len(part) < len(whole)
    client.nothing_left(t)
    t.end_well()


def test_cut_again(one_python, start, client):
    """While the rest is fetched: it stays there, and the part grows."""
    client.sshd.install(client.memattach.path)
    t = start(one_python, "heartbeat", 500_000)
    path = client.memattach.new_path()
    for _ in range(2):
        cut_half_way(client, t, path)
        there(client)
    assert fetch(client, t, path).rc == 0 and client.memattach.run("check", path).rc == 0
    client.nothing_left(t)
    t.end_well()


@pytest.mark.parametrize("what", ["too late", "another key", "killed"])
def test_nothing_to_resume(one_python, start, client, what):
    client.sshd.install(client.memattach.path)
    t = start(one_python, "heartbeat", 500_000)
    path = client.memattach.new_path()
    note = path.with_name(path.name + ".part.resume")
    with Unharmed(t, quiet=False):
        cut_half_way(client, t, path, linger="1s" if what == "too late" else "1h")
        written = note.read_text()
        if what == "too late":
            client.nothing_left(t)
        elif what == "killed":
            os.kill(there(client), signal.SIGKILL)
            client.nothing_left(t)
        else:
            note.write_text(written[:-2] + ("0" if written[-2] != "0" else "1") + "\n")
        check_error(fetch(client, t, path), 3, f"{path}.part can not be completed")
        assert parts(path) == [".part"], "what came is still there"
        if what == "another key":
            note.write_text(written)
            assert fetch(client, t, path).rc == 0
    client.nothing_left(t)
    t.end_well()


def test_interrupted(one_python, start, client):
    """Ctrl-C means that nobody will come back."""
    client.sshd.install(client.memattach.path)
    t = start(one_python, "heartbeat", 500_000)
    path = client.memattach.new_path()
    p = client.memattach.start(client.sshd.url(t.pid), "-o", path, "--resume", "--linger", "1h", "--limit-rate", "200k")
    wait_until(lambda: came(path) > 60000, 60, "it comes")
    p.terminate()
    p.communicate(timeout=30)
    assert p.returncode == 130 and parts(path) == []
    client.nothing_left(t)
    t.end_well()


@pytest.mark.parametrize("args, word", [(("ssh://h/1", "-o", "x", "--resume"), "--linger TIME"), (("ssh://h/1", "-o", "x", "--linger", "1m"), "--resume"),
                                        (("ssh://h/1", "-o", "x", "--resume", "--linger", "25h"), "24h"), (("1", "-o", "x", "--resume", "--linger", "1m"), "ssh://"),
                                        (("ssh://h/1", "--resume", "--linger", "1m"), "-o FILE"), (("tls://h/1", "-o", "x", "--resume", "--linger", "1m"), "memattachd")])
def test_usage(memattach, args, word):
    check_error(memattach.run(*args), 2, word)


# ------------------------------------------------------------------ memattach --stdio

@pytest.fixture
def stdio(memattach):
    running = []

    def make(wrap=()):
        p = subprocess.Popen([*wrap, memattach.path, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, env=memattach.environ(), bufsize=0)
        running.append(p)
        f = Far(p)
        f.greet()
        return f
    yield make
    for p in running:
        if p.poll() is None:
            p.kill()
        p.wait()
        for stream in (p.stdin, p.stdout):
            stream.close()


def ask_again(f, key=KEY, offset=0):
    f.send(frame(protocol.RESUME, protocol.fields(_1=key, _2=u64(offset))))
    frames = f.answer()
    return frames[-1][0], b"".join(data for kind, data in frames if kind == protocol.DATA)


def test_until_it_is_told(one_python, start, memattach, stdio):
    """What was written to the link may still be lost on it: it stays until the client says that it has all, or asks for more."""
    t = start(one_python, "idle")
    f = stdio()
    f.send(protocol.snapshot(t.pid, _14=KEY, _15=u32(3600)))
    whole = b"".join(data for kind, data in f.answer() if kind == protocol.DATA)
    f.p.stdin.close()
    for attempt in range(2):
        g = stdio()
        assert ask_again(g) == (protocol.DONE, whole)
        if attempt:
            g.send(frame(protocol.RECEIVED))
        g.p.stdin.close()
        assert g.p.wait(30) == 0
        assert attempt or f.p.poll() is None
    assert f.p.wait(30) == 0
    kind, data = ask_again(stdio())
    assert kind == protocol.ERROR and not data
    t.end_well()


def test_without_a_time(one_python, start, memattach, stdio):
    """A key alone keeps nothing; more than a day is refused."""
    t = start(one_python, "idle")
    f = stdio()
    f.send(protocol.snapshot(t.pid, _14=KEY, _15=u32(86401)))
    kind, payload = f.answer()[-1]
    assert kind == protocol.ERROR and parse(payload)[1] == u32(protocol.USAGE)
    f.send(protocol.snapshot(t.pid, _14=KEY))
    assert f.answer()[-1][0] == protocol.DONE
    assert ask_again(stdio())[0] == protocol.ERROR
    f.p.stdin.close()
    assert f.p.wait(30) == 0
    t.end_well()


def names_of(pid):
    """Of the abstract sockets of ours that a process has."""
    inodes = {os.readlink(fd)[8:-1] for fd in Path(f"/proc/{pid}/fd").iterdir() if os.readlink(fd).startswith("socket:[")}
    return {line.split()[-1] for line in open("/proc/net/unix") if "@memattach-" in line and line.split()[6] in inodes}


def test_another_user(need_root, one_python, start, memattach, stdio):
    """Who has the key but is another user gets nothing, nor may he take the place of what is kept."""
    t = start(one_python, "idle")
    f = stdio()
    f.send(protocol.snapshot(t.pid, _14=KEY, _15=u32(3600)))
    assert f.answer()[-1][0] == protocol.DONE
    other = ("setpriv", "--reuid=nobody", "--clear-groups")
    assert ask_again(stdio(other))[0] == protocol.ERROR
    name, = names_of(f.p.pid)
    f.send(frame(protocol.RECEIVED))
    f.p.stdin.close()
    assert f.p.wait(30) == 0
    squat = subprocess.Popen((*other, "python3", "-c", "import socket, sys; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET);"
                              r"s.bind('\0' + sys.argv[1]); s.listen(); print(flush=True); s.accept()[0].recv(1)", name[1:]),
                             stdout=subprocess.PIPE)
    squat.stdout.readline()
    assert ask_again(stdio())[0] == protocol.ERROR
    squat.kill()
    squat.communicate()
    t.end_well()
