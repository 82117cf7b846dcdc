# SPDX-License-Identifier: Apache-2.0
"""memattach tls://: through a real memattachd on loopback, and what a client says of everything that is wrong with one."""
import json
import os
import signal
import socket
import ssl
import subprocess
import threading

import pytest

import protocol
from daemon import children_of, expired, front_of
from memattach import Snapshot, came, check_error, check_nothing_left, check_report, parts
from target import wait_until
from unharmed import Unharmed, children, tracers


def files(folder, name="client", ca=None):
    return "--ca", (ca or folder) / "ca.crt", "--cert", folder / f"{name}.crt", "--key", folder / f"{name}.key"


def test_snapshot(python, start, memattach, daemon):
    """The same file and report as of a local attach."""
    t = start(python, "idle")
    d = daemon()
    path = memattach.new_path()
    with Unharmed(t):
        done = memattach.run(d.url(t.pid), "-o", path, "--json", *files(d.dir))
        near = memattach.snapshot(t.pid)
    assert done.rc == 0, (done, d.log())
    far = Snapshot(path, json.loads(done.out))
    check_report(far, t.pid)
    assert memattach.run("check", path).rc == 0
    assert abs(far.report["objects"] - near.report["objects"]) < 50
    d.end()
    memattach.wait_gone()
    t.end_well()


def test_commands(one_python, start, memattach, daemon):
    t = start(one_python, "idle", "unmistakable-argument")
    d = daemon()
    done = memattach.run("stacks", d.url("name:unmistakable-arg"), "--json", *files(d.dir))
    assert done.rc == 0 and json.loads(done.out)["pid"] == t.pid, done
    done = memattach.run("doctor", d.url(t.pid, "localhost"), "--json", *files(d.dir))
    assert done.rc == 0 and json.loads(done.out)["would_work"] is True, done
    path = memattach.new_path()
    done = memattach.run("snap", d.url(t.pid), "-o", path, *files(d.dir))
    assert done.rc == 0 and str(path) in done.out, done
    check_error(memattach.run(d.url("name:no-such-thing"), *files(d.dir)), 3, "no-such-thing")
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    check_error(memattach.run(d.url(gone.pid), *files(d.dir)), 3, "127.0.0.1")
    check_error(memattach.run(f"tls://me@127.0.0.1:{d.port}/{t.pid}", *files(d.dir)), 2, "user")
    check_error(memattach.run("tls://127.0.0.1", *files(d.dir)), 2, "which process")
    t.end_well()


def test_tree(one_python, start, memattach, daemon):
    """Of a tree and of a series each snapshot is on record, and a client sees of a tree what it may attach to."""
    t = start(one_python, "family")
    d = daemon(["client * *", "alice nobody *"])
    done = memattach.run(d.url(f"tree:{t.pid}"), "--json", *files(d.dir))
    assert done.rc == 0, (done, d.log())
    tree = json.loads(done.out)
    assert tree["processes"][0]["pid"] == t.pid and len(tree["processes"]) == 5 == len(d.lines("snapshot"))
    done = memattach.run("snap", d.url(t.pid), "--every", "1s", "--count", 2, *files(d.dir))
    assert done.rc == 0 and done.out.count("stopped") == 2 and len(d.lines("snapshot")) == 7, done
    assert d.run("client", d.dir, "alice").returncode == 0
    for pid in (t.pid, 4194303):
        check_error(memattach.run(d.url(f"tree:{pid}"), *files(d.dir, "alice")), 3, f"no Python process there is pid {pid}")
    d.end()
    t.end_well()


def test_series_without_the_daemon(one_python, start, memattach, daemon):
    """It ends, another one comes: what was missed is said, and the series goes on."""
    t = start(one_python, "idle")
    d = daemon()
    p = memattach.start("snap", d.url(t.pid), "--every", "1s", *files(d.dir))
    assert b"stopped" in p.stdout.readline(), d.log()
    d.end()
    while b"refused" not in (said := p.stderr.readline()):
        assert b"127.0.0.1" in said, said  # it was met while it ended
    again = daemon(["client * *"], port=d.port)
    assert b"stopped" in p.stdout.readline(), again.log()
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=30)
    assert p.returncode == 1 and b"snapshots failed" in err, (out, err)
    t.end_well()


def test_default_files(one_python, start, memattach, daemon, monkeypatch):
    t = start(one_python, "idle")
    d = daemon()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(memattach.folder / "config"))
    check_error(memattach.run("stacks", d.url(t.pid)), 2, "--ca")
    (memattach.folder / "config").mkdir()
    (memattach.folder / "config" / "memattach").symlink_to(d.dir)
    assert memattach.run("stacks", d.url(t.pid)).rc == 0
    t.end_well()


@pytest.mark.parametrize("what", ["their CA", "our CA", "our certificate expired", "their certificate expired", "other host",
                                  "not in the list", "key of another", "key for all", "no certificate"])
def test_certificates(one_python, start, memattach, daemon, tmp_path, what):
    """Each is one line that names what is wrong, and nothing of the target is asked for."""
    t = start(one_python, "idle")
    d = daemon()
    path = memattach.new_path()
    args, host, code, words = files(d.dir), "127.0.0.1", 4, ()
    other = tmp_path / "other"
    if what in ("their CA", "our CA"):
        assert d.run("init", other).returncode == 0
        args = files(d.dir, ca=other) if what == "their CA" else files(other, ca=d.dir)
        words = ("not signed", str(other) if what == "their CA" else "our certificate")
    elif what == "our certificate expired":
        other.mkdir()
        expired(other, d.dir)
        args, words = files(other, "expired", d.dir), ("expired", "our")
    elif what == "their certificate expired":
        d.end()
        for name in ("server.crt", "server.key"):
            (d.dir / name).unlink()
        expired(d.dir, d.dir, "server", "serverAuth")
        d, words = daemon(), ("has expired",)
    elif what == "other host":
        host, words = "127.0.0.2", ("another host",)
        d.end()
        d = daemon(["client * *"], "--listen", "127.0.0.2:0")
        d.port = int(d.lines("listens")[1].rpartition(":")[2].strip('"'))
    elif what == "not in the list":
        d.end()
        d, words = daemon(["alice * *"]), ("list of clients",)
    elif what == "key of another":
        assert d.run("client", d.dir, "alice").returncode == 0
        args, code, words = (*args[:5], d.dir / "alice.key"), 6, ("key",)
    elif what == "key for all":
        os.chmod(d.dir / "client.key", 0o644)
        words = ("chmod",)
    elif what == "no certificate":
        args, code, words = (*args[:3], d.dir / "nothing.crt", *args[4:]), 2, ("nothing.crt", "--cert")
    done = memattach.run(d.url(t.pid, host), "-o", path, *args)
    check_error(done, code, *words)
    check_nothing_left(path)
    assert not d.lines("snapshot")
    d.end()
    t.end_well()


def answer_once(reply):
    """A server that says `reply` to the first who comes. Returns its port and its thread."""
    s = socket.create_server(("127.0.0.1", 0))

    def serve():
        with s:
            c, _ = s.accept()
            with c:
                reply(c)
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return s.getsockname()[1], thread


def drain(c):
    c.settimeout(20)
    try:
        while c.recv(65536):
            pass
    except OSError:
        pass


def over_tls(d, said):
    """Says that over TLS, with the certificate of the daemon."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(d.dir / "server.crt", d.dir / "server.key")

    def reply(c):
        with context.wrap_socket(c, server_side=True) as s:
            s.sendall(said)
            drain(s)
    return reply


SERVERS = {
    "ssh": (lambda c: (c.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n"), drain(c)), 6, "not TLS"),
    "http": (lambda c: (c.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n" * 100), drain(c)), 6, "not TLS"),
    "hangs up": (lambda c: c.recv(1), 1, "hung up"),
}
GREETING = b"greeting"  # of this version
WITHIN = {
    "noise": (bytes(range(256)) * 100, 6, "protocol"),
    "a frame of 4 GiB": (b"\xff\xff\xff\xff\1\0\0\0", 6, "4294967295"),
    "another protocol": (protocol.hello(protocol=2), 5, "version"),
    "no snapshot": (GREETING + protocol.frame(protocol.DATA, b"x" * 1000), 6, "no snapshot"),
    "too little": (GREETING + protocol.frame(protocol.DONE, protocol.fields(_7=protocol.u64(5))), 6, "bytes"),
}


@pytest.mark.parametrize("what", [*SERVERS, *WITHIN])
def test_not_a_daemon(memattach, daemon, what):
    d = daemon()
    if what in SERVERS:
        reply, code, word = SERVERS[what]
    else:
        said, code, word = WITHIN[what]
        version = memattach.run("--version").out.split()[-1].encode()
        reply = over_tls(d, said.replace(GREETING, protocol.hello(version=version)))
    port, thread = answer_once(reply)
    path = memattach.new_path()
    check_error(memattach.run(f"tls://127.0.0.1:{port}/1", "-o", path, *files(d.dir)), code, word)
    check_nothing_left(path)
    thread.join(20)


def test_nobody_there(memattach, daemon):
    d = daemon()
    d.end()
    check_error(memattach.run(d.url(1), *files(d.dir)), 1, "refused")
    check_error(memattach.run("tls://no.such.host.invalid/1", *files(d.dir)), 1, "no.such.host.invalid")


@pytest.mark.long
def test_silence(memattach, daemon):
    """Who accepts and says nothing is given up after 20 s."""
    d = daemon()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        check_error(memattach.run(f"tls://127.0.0.1:{silent.getsockname()[1]}/1", *files(d.dir)), 1, ("timeout", "timed out", "within"))


def test_busy(one_python, start, memattach, daemon):
    t = start(one_python, "idle")
    d = daemon(["client * *"], "--per-address", 1, "--requests", 2)
    f = d.connect()
    f.greet()
    check_error(memattach.run(d.url(t.pid), *files(d.dir)), 7, "too many")
    f.close()
    d.idle()
    for _ in range(2):
        assert memattach.run("stacks", d.url(t.pid), *files(d.dir)).rc == 0
        d.idle()  # its place is free again a moment after the client has ended
    check_error(memattach.run("stacks", d.url(t.pid), *files(d.dir)), 7, "minute")
    t.end_well()


def test_many_at_once(one_python, start, memattach, daemon):
    """As many commands at once as there are places: every one of them is served."""
    t = start(one_python, "idle")
    d = daemon()
    running = [memattach.start("doctor", d.url(t.pid), "--json", *files(d.dir)) for _ in range(12)]
    for p in running:
        out, err = p.communicate(timeout=60)
        assert p.returncode == 0 and json.loads(out)["pid"] == t.pid, (err, d.log())
    t.end_well()


@pytest.mark.parametrize("how", ["daemon", "client"])
def test_killed_on_the_way(one_python, start, memattach, daemon, how):
    """Half way, at a rate that would take minutes. What came is kept and said to be a part."""
    t = start(one_python, "heartbeat", 1000000)
    d = daemon()
    path = memattach.new_path()
    with Unharmed(t, quiet=False):
        p = memattach.start(d.url(t.pid), "-o", path, "--limit-rate", "200k", *files(d.dir))
        wait_until(lambda: came(path) > 60000, 60, "it comes")
        if how == "daemon":
            d.popen.kill()
            out, err = p.communicate(timeout=30)
            assert p.returncode == 1 and len(err.splitlines()) == 1 and b".part" in err, err
            part = path.with_name(path.name + ".part")
            assert memattach.run("check", part).rc == 6
        else:
            p.send_signal(signal.SIGKILL)
            p.wait()
            d.idle()
            d.works(t.pid)
        wait_until(lambda: not children(t.pid), 20, "the twin is gone")
        wait_until(lambda: not tracers(t.pid), 20, "the tracer is gone")
    assert not path.exists()
    d.end() if how == "client" else memattach.wait_gone()
    assert not children_of(d.popen.pid)
    t.end_well()


def cut_half_way(memattach, d, t, path):
    """memattach --resume whose front over there is killed after some bytes; what it says."""
    p = memattach.start(d.url(t.pid), "-o", path, "--resume", "--limit-rate", "200k", *files(d.dir))
    wait_until(lambda: came(path) > 60000, 60, "it comes")
    session, = children_of(d.popen.pid)
    os.kill(front_of(session), signal.SIGKILL)
    out, err = p.communicate(timeout=60)
    assert p.returncode == 1 and len(err.splitlines()) == 1 and b"fetches the rest" in err, err
    return session


def test_resume(one_python, start, memattach, daemon):
    """A link that is cut half way: the same command fetches the rest of the same snapshot, and nothing stays behind."""
    t = start(one_python, "heartbeat", 500_000)
    d = daemon()
    path = memattach.new_path()
    with Unharmed(t, quiet=False):
        cut_half_way(memattach, d, t, path)
        assert parts(path) == [".part", ".part.resume"]
        came = path.with_name(path.name + ".part").read_bytes()
        assert path.with_name(path.name + ".part.resume").stat().st_mode & 0o777 == 0o600
        # the walk goes on to its end without the link, and no further
        wait_until(lambda: not children(t.pid), 30, "the twin is gone")
        done = memattach.run(d.url(t.pid), "-o", path, "--resume", "--json", *files(d.dir))
    assert done.rc == 0, (done, d.log())
    check_report(Snapshot(path, json.loads(done.out)), t.pid)
    assert parts(path) == [""] and memattach.run("check", path).rc == 0
    whole = path.read_bytes()
    assert whole.startswith(came) and 60000 < len(came) < len(whole)
    d.idle()
    assert len(d.lines("snapshot")) == len(d.lines("resume")) == 1, "it was taken once"
    assert 'result="done"' in d.lines("resume")[0]
    d.end()
    t.end_well()


def test_resume_while_it_is_taken(one_python, start, memattach, daemon):
    """The client is back before the walk is over."""
    t = start(one_python, "heartbeat", 1_500_000)
    d = daemon()
    f = d.connect()
    f.greet()
    key = bytes(range(1, 17))
    f.send(protocol.snapshot(t.pid, _14=key))
    came = b""
    while not came:
        kind, payload = f.receive()
        came = payload if kind == protocol.DATA else b""
    f.sock.close()
    f = d.connect()
    f.greet()
    f.send(protocol.frame(protocol.RESUME, protocol.fields(_1=key, _2=protocol.u64(len(came)))))
    frames = f.answer()
    assert frames[-1][0] == protocol.DONE, (frames[-1], d.log())
    path = memattach.new_path()
    path.write_bytes(came + b"".join(data for kind, data in frames if kind == protocol.DATA))
    assert memattach.run("check", path).rc == 0
    assert protocol.parse(frames[-1][1])[7] == protocol.u64(path.stat().st_size)
    # a second time there is nothing; nor for a key that nobody has given, nor after the end of the file
    for key in (key, bytes(16), b"x" * 16):
        f.send(protocol.frame(protocol.RESUME, protocol.fields(_1=key, _2=protocol.u64(1 << 60))))
        wait_until(lambda: len(children_of(d.popen.pid)) == 1, 20, "what was fetched is forgotten")
        kind, payload = f.answer()[-1]
        assert kind == protocol.ERROR
    f.close()
    d.end()
    t.end_well()


@pytest.mark.parametrize("what", ["too late", "another client", "SIGTERM", "session killed", "no note"])
def test_nothing_to_resume(one_python, start, memattach, daemon, what):
    t = start(one_python, "heartbeat", 500_000)
    d = daemon(["client * *", "alice * *"], "--keep", 1 if what == "too late" else 60)
    path = memattach.new_path()
    session = cut_half_way(memattach, d, t, path)
    note = path.with_name(path.name + ".part.resume")
    name = "client"
    if what == "too late":
        d.idle()
    elif what == "another client":
        assert d.run("client", d.dir, "alice").returncode == 0
        name = "alice"
    elif what == "SIGTERM":
        d.end()
        d = daemon()
    elif what == "session killed":
        wait_until(lambda: not children(t.pid), 30, "the twin is gone")
        os.kill(session, signal.SIGKILL)
        d.idle()
    elif what == "no note":
        note.write_text("nonsense\n")
    done = memattach.run(d.url(t.pid), "-o", path, "--resume", *files(d.dir, name))
    if what == "no note":
        check_error(done, 6, str(note))
    else:
        check_error(done, 3, f"{path}.part can not be completed")
        assert parts(path) == [".part"], "what came is still there"
        assert memattach.run(d.url(t.pid), "-o", path, "--resume", *files(d.dir, name)).rc == 0, "a new one"
    wait_until(lambda: not children(t.pid) and not tracers(t.pid), 30, "the twin is gone")
    d.end()
    t.end_well()


@pytest.mark.parametrize("args", [("1", "-o", "x"), ("tls://h/1",), ("tls://h/tree:1", "-o", "x"),
                                  ("snap", "tls://h/1", "-o", "x", "--every", "1s"), ("stacks", "tls://h/1")])
def test_resume_usage(memattach, args):
    check_error(memattach.run(*args, "--resume"), 2, "--resume")


def test_keeps_until_it_is_told(one_python, start, memattach, daemon):
    """What was written to the link may still be lost on it: the client says when it has all."""
    t = start(one_python, "idle")
    d = daemon()
    key, whole = bytes(range(1, 17)), b""
    for ended_well in (False, True):
        f = d.connect()
        f.greet()
        f.send(again(key) if whole else protocol.snapshot(t.pid, _14=key))
        frames = f.answer()
        assert frames[-1][0] == protocol.DONE, (frames[-1], d.log())
        got = b"".join(data for kind, data in frames if kind == protocol.DATA)
        assert whole in (b"", got)
        whole = got
        if ended_well:
            f.send(protocol.frame(protocol.RECEIVED))
        f.sock.close()
    d.idle()
    assert len(d.lines("snapshot")) == 1
    t.end_well()


def again(key):
    return protocol.frame(protocol.RESUME, protocol.fields(_1=key, _2=protocol.u64(0)))
