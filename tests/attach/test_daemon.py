# SPDX-License-Identifier: Apache-2.0
"""memattachd over loopback, by a client of TLS that is not ours: what it serves, and what it refuses."""
import os
import re
import shlex
import shutil
import signal
import socket
import ssl
import stat
import struct
import subprocess
import tempfile
from pathlib import Path

import pytest

import protocol
from daemon import USER, Memattachd, Tls, children_of, expired, front_of, openssl
from protocol import fields, frame, parse, u32, u64
from target import wait_until
from unharmed import Unharmed, children, status, tracers


def error_of(frames):
    kind, payload = frames[-1]
    assert kind == protocol.ERROR, frames[-1]
    got = parse(payload)
    return struct.unpack("<I", got[1])[0], got[3].decode()


def test_init(memattach, daemon, tmp_path):
    d = daemon()
    for name, mode in (("ca.key", 0o600), ("server.key", 0o600), ("client.key", 0o600), ("ca.crt", 0o644)):
        assert stat.S_IMODE((d.dir / name).stat().st_mode) == mode
    assert stat.S_IMODE(d.dir.stat().st_mode) == 0o700
    for name, purpose in (("server", "sslserver"), ("client", "sslclient")):
        openssl("verify", "-x509_strict", "-purpose", purpose, "-CAfile", d.dir / "ca.crt", d.dir / f"{name}.crt")
    for name, days in (("ca", 5 * 365), ("server", 397), ("client", 397)):
        dates = dict(line.split("=") for line in openssl("x509", "-noout", "-dates", "-in", d.dir / f"{name}.crt", text=True).stdout.splitlines())
        begin, end = (ssl.cert_time_to_seconds(dates[w]) / 86400 for w in ("notBefore", "notAfter"))
        assert days - 2 < end - begin < days + 3, (name, end - begin)
    before = (d.dir / "ca.key").read_bytes()
    done = d.run("init", d.dir)
    assert done.returncode == 1 and "ca.key" in done.stderr and (d.dir / "ca.key").read_bytes() == before
    done = d.run("client", d.dir, "../evil")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("args, word", [((), "listen"), (("--listen", "127.0.0.1", "--user", "nobody"), "HOST:PORT"), (("--nonsense",), "option"),
                                        (("--listen", "127.0.0.1:0", "--connections", "0"), "connections")])
def test_usage(daemon, args, word):
    """There is no address where it listens by itself."""
    d = daemon()
    done = d.run("--dir", d.dir, *args)
    assert done.returncode == 2 and word in done.stderr and len(done.stderr.splitlines()) == 1, done


def test_not_as_root(need_root, daemon):
    d = daemon()
    done = d.run("--listen", "127.0.0.1:0", "--dir", d.dir)
    assert done.returncode == 2 and "root" in done.stderr


def test_snapshot(python, start, memattach, daemon):
    t = start(python, "idle")
    d = daemon()
    f = d.connect()
    f.greet()
    with Unharmed(t):
        f.send(protocol.snapshot(t.pid))
        frames = f.answer()
    assert frames[-1][0] == protocol.DONE, (frames[-1], d.log())
    path = memattach.new_path()
    path.write_bytes(b"".join(data for kind, data in frames if kind == protocol.DATA))
    assert memattach.run("check", path).rc == 0
    f.close()
    d.idle()
    line, = d.lines("snapshot")
    assert f'client="client" from="127.0.0.1:' in line and f"pid={t.pid} " in line and 'result="done"' in line
    assert "idle.py" in line and "pause_ns=" in line
    d.end()
    assert not tracers(t.pid)
    memattach.wait_gone()
    t.end_well()


def test_requests(one_python, start, daemon):
    t = start(one_python, "idle")
    d = daemon()
    f = d.connect()
    f.greet()
    f.send(frame(protocol.LIST))
    assert t.pid in {struct.unpack("<I", parse(p)[1])[0] for kind, p in f.answer() if kind == protocol.PROCESS}
    f.send(frame(protocol.DOCTOR, fields(_1=u32(t.pid))))
    kind, payload = f.answer()[0]
    assert kind == protocol.DIAGNOSIS and parse(payload)[6] == b"\1", "it says that it may not attach"
    f.send(protocol.snapshot(t.pid, _2=b"\1"))
    assert f.answer()[-1][0] == protocol.DONE
    f.close()
    d.idle()
    assert [len(d.lines(what)) for what in ("connected", "list", "doctor", "stacks")] == [1, 1, 1, 1], d.log()
    d.end()
    t.end_well()


def test_rules(one_python, start, daemon):
    """A client sees and reaches what a rule names, and is told no difference between the rest and nothing."""
    t, other = start(one_python, "idle", "for-alice"), start(one_python, "idle", "for-nobody")
    d = daemon([f"alice {os.getuid()} *idle.py for-alice", "alice nobody *", "# bob * *"])
    for name in ("alice", "bob"):
        assert d.run("client", d.dir, name).returncode == 0
    f = d.connect("alice")
    f.greet()
    f.send(frame(protocol.LIST))
    seen = {struct.unpack("<I", parse(p)[1])[0] for kind, p in f.answer() if kind == protocol.PROCESS}
    assert t.pid in seen and other.pid not in seen
    f.send(protocol.snapshot(t.pid, _2=b"\1"))
    assert f.answer()[-1][0] == protocol.DONE
    told = []
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    for pid in (other.pid, gone.pid):
        for request in (protocol.snapshot(pid), frame(protocol.DOCTOR, fields(_1=u32(pid)))):
            f.send(request)
            told.append(error_of(f.answer()))
    assert {(code, text.replace(str(other.pid), "N").replace(str(gone.pid), "N")) for code, text in told} == \
        {(5, "no rule of memattachd lets 'alice' attach to pid N")}
    f.close()
    f = d.connect("bob")  # a certificate of the CA alone is not enough
    f.receive()
    assert "list of clients" in told_at_once(d, "bob")
    d.idle()
    assert len(d.lines("refused")) >= 1 and 'client="bob"' in d.lines("refused")[0]
    assert [line for line in d.lines("snapshot") if f"pid={other.pid}" in line and "no rule" in line]
    for x in (t, other):
        x.end_well()


def told_at_once(d, name):
    f = d.connect(name)
    code, text = error_of([f.receive()])
    assert code == 5
    return text


@pytest.mark.parametrize("what", ["none", "other CA", "expired", "server's", "TLS 1.2"])
def test_certificates(one_python, start, daemon, tmp_path, what):
    t = start(one_python, "idle")
    d = daemon()
    context = d.context(None)
    if what == "other CA":
        assert d.run("init", tmp_path / "other").returncode == 0
        context = d.context("client", tmp_path / "other")
    elif what == "expired":
        folder = tmp_path / "old"
        folder.mkdir()
        expired(folder, d.dir)
        context = d.context("expired", folder)
    elif what == "server's":
        context = d.context("server")
    elif what == "TLS 1.2":
        context = d.context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        f = d.connect(context=context)
        f.send(protocol.hello())
        assert f.receive(), "hung up"
    d.idle()
    why = {"none": "no certificate", "other CA": "not signed", "expired": "expired", "server's": "refused",
           "TLS 1.2": "TLS 1.3"}[what]
    line, = d.lines("refused")
    assert why in line, line
    assert not d.lines("connected")
    d.works(t.pid)
    d.end()
    t.end_well()


GARBAGE = {"text": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "zeros": bytes(4096), "noise": bytes(range(256)) * 64,
           "a frame of 4 GiB": struct.pack("<IHH", 0xffffffff, 1, 0), "hello": protocol.hello(), "nothing": b""}


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_for_tls(one_python, start, daemon, what):
    t = start(one_python, "idle")
    d = daemon(["client * *"], "--handshake-timeout", 1)
    with d.plain() as s:
        s.sendall(GARBAGE[what])
        while s.recv(4096):  # until it hangs up
            pass
    d.idle()
    assert len(d.lines("refused")) == 1
    d.works(t.pid)
    d.end()
    t.end_well()


@pytest.mark.parametrize("what", [w for w in GARBAGE if w not in ("hello", "nothing")])
def test_garbage_within(one_python, start, daemon, what):
    t = start(one_python, "idle")
    d = daemon()
    f = d.connect()
    f.receive()
    f.send(GARBAGE[what])
    code, _ = error_of([f.receive()])
    assert code == protocol.BAD_DATA
    assert f.receive() is None
    d.idle()
    assert len(d.lines("ended")) == 1
    d.works(t.pid)
    t.end_well()


def test_client_that_reads_nothing(one_python, start, daemon):
    """The twin does not wait for it; it is cut off after the idle time."""
    t = start(one_python, "heartbeat", 1000000)
    d = daemon(["client * *"], "--idle-timeout", 3)
    f = d.connect()
    f.greet()
    with Unharmed(t, quiet=False):
        f.send(protocol.snapshot(t.pid))
        wait_until(lambda: children(t.pid), 30, "the twin is there")
        wait_until(lambda: not children(t.pid), 30, "the twin is gone although nobody reads")
        d.idle(60)
    line, = d.lines("snapshot")
    assert 'result="done"' in line or d.lines("cut"), d.log()
    d.works(t.pid)
    t.end_well()


def test_idle_client(daemon):
    d = daemon(["client * *"], "--idle-timeout", 1)
    f = d.connect()
    f.greet()
    assert f.receive() is None
    d.idle()
    assert len(d.lines("cut")) == 1


@pytest.mark.parametrize("count", [200])
def test_many_connections(one_python, start, daemon, count):
    """Those that do not show who they are hold no place for long, nor keep others out."""
    t = start(one_python, "idle")
    d = daemon(["client * *"], "--connections", 20, "--per-address", 1000, "--handshake-timeout", 60)
    held = [d.plain() for _ in range(count)]
    wait_until(lambda: len(d.lines("refused")) >= count - 20, 20, "all but the last are turned away")
    d.works(t.pid)
    for s in held:
        s.close()
    d.idle()
    d.works(t.pid)
    d.end()
    t.end_well()


def test_limits(one_python, start, daemon):
    t = start(one_python, "idle")
    d = daemon(["client * *"], "--per-address", 2, "--requests", 3)
    a, b = d.connect(), d.connect()
    a.greet()
    b.greet()
    with pytest.raises((ssl.SSLError, ConnectionError)):
        d.connect()
    wait_until(lambda: d.lines("refused"), 20, "a line about it")
    assert 'why="too many connections from there"' in d.lines("refused")[0]
    for f in (a, b, a):
        f.send(protocol.snapshot(t.pid, _2=b"\1"))
        assert f.answer()[-1][0] == protocol.DONE
    b.send(frame(protocol.LIST))
    code, text = error_of(b.answer())
    assert code == 9 and "3 requests" in text
    t.end_well()


def test_rate_of_connections(one_python, start, daemon):
    """Of one address, whether it shows who it is or not. Another address is served meanwhile, and so is that one later."""
    t = start(one_python, "idle")
    d = daemon(["client * *"], "--new-connections", 60, "--per-address", 1000, "--handshake-timeout", 1)
    turned_away = 0
    for _ in range(60):
        d.plain().close()
    while not turned_away:  # each second one more is let in
        with d.plain() as s:
            turned_away = s.recv(7) == b"\x15\3\3\0\2\2\x50"
    wait_until(lambda: any('why="too many new connections from there"' in line for line in d.lines("refused")), 20, "a line about it")
    sock = socket.create_connection(("127.0.0.1", d.port), 20, ("127.0.0.2", 0))
    f = Tls(d.context().wrap_socket(sock, server_hostname="127.0.0.1"))
    f.greet()
    f.close()

    def let_in():
        try:
            return d.works(t.pid) is None
        except (ssl.SSLError, ConnectionError):
            return False
    wait_until(let_in, 20, "it is served again", 0.1)
    d.end()
    t.end_well()


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL", "session killed", "front killed"])
def test_killed_on_the_way(one_python, start, memattach, daemon, how):
    """While a snapshot is under way that would take minutes: no process of it and no twin is left."""
    t = start(one_python, "heartbeat", 1000000)
    d = daemon()
    f = d.connect()
    f.greet()
    with Unharmed(t, quiet=False):
        f.send(protocol.snapshot(t.pid, _13=u64(2048)))
        while f.receive()[0] != protocol.DATA:
            pass
        session, = children_of(d.popen.pid)
        if how == "SIGTERM":
            d.end()
        elif how == "SIGKILL":
            d.popen.kill()
        else:
            os.kill(session if how == "session killed" else front_of(session), signal.SIGKILL)
        with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
            while True:
                got = f.receive()
                if got is None or got[0] == protocol.ERROR:
                    raise EOFError
        wait_until(lambda: not children(t.pid), 20, "the twin is gone")
        wait_until(lambda: not tracers(t.pid), 20, "the tracer is gone")
        if "killed" in how:
            d.idle()
            d.works(t.pid)
            d.end()
    memattach.wait_gone()
    t.end_well()


def test_audit_is_one_line(one_python, start, daemon):
    """Whatever a target's command line has in it."""
    t = start(one_python, "idle", "a\nmemattachd: forged\"\\\x1b[31m\u00e9", "x" * 3000)
    d = daemon()
    d.works(t.pid)
    d.idle()
    line, = d.lines("stacks")
    assert r'a\x0amemattachd: forged\x22\x5c\x1b[31m\xc3\xa9 xxx' in line and 'xxx..." pause_ns=' in line
    assert line.endswith(' result="done"')
    assert not d.lines("forged") and all(len(text) < 2048 for text in d.log().splitlines())
    t.end_well()


def test_another_users_process(need_root, one_python, start, daemon):
    """The daemon's processes have CAP_SYS_PTRACE, or nothing, and no way to more."""
    t = start(one_python, "idle")
    d = daemon()
    f = d.connect()
    f.greet()
    session, = children_of(d.popen.pid)
    front, = children_of(session)
    for pid, caps in ((d.popen.pid, 1 << 19), (session, 1 << 19), (front, 0)):
        s = status(pid)
        assert s["Uid"].split()[0] != "0" and s["NoNewPrivs"] == "1"
        assert int(s["CapPrm"], 16) == int(s["CapEff"], 16) == caps and int(s["CapAmb"], 16) == 0
    assert status(front)["Seccomp"] == status(session)["Seccomp"] == "2"
    took = []
    for _ in range(3):
        f.send(protocol.snapshot(t.pid))
        kind, payload = f.answer()[-1]
        assert kind == protocol.DONE
        took.append(struct.unpack("<Q", parse(payload)[5])[0] / 1e9)
    # a twin that may not be killed, as it is another user's, ends by itself and at once
    assert min(took) < 1, took
    t.end_well()


@pytest.fixture
def folder():
    """Of files that the daemon can read when it has become its user."""
    with tempfile.TemporaryDirectory(prefix="memattachd-") as top:
        os.chmod(top, 0o711)
        yield Path(top) / "etc"


def own(path):
    """What is there belongs to the user of the daemon."""
    if os.geteuid() == 0:
        for p in (path, *path.iterdir()):
            shutil.chown(p, USER)


def test_reload(one_python, start, daemon, folder, tmp_path):
    """SIGHUP: another list, and another CA with all that it signed. Connections that are there keep what they have."""
    t = start(one_python, "idle")
    d = daemon(folder=folder)
    before = d.connect()
    before.greet()
    assert d.run("client", folder, "alice").returncode == 0
    (folder / "clients").write_text("alice * *\n")
    own(folder)
    assert 'result="done"' in d.reload()
    assert "list of clients" in told_at_once(d, "client")
    f = d.connect("alice")
    f.greet()
    other = tmp_path / "other"
    assert d.run("init", other).returncode == 0
    for name in ("ca.crt", "server.crt", "server.key"):
        shutil.copy(other / name, folder / name)
    shutil.copy(other / "clients", folder / "clients")
    own(folder)
    assert 'result="done"' in d.reload()
    d.context = lambda name="client", _=None: Memattachd.context(d, name, other)
    d.works(t.pid)
    for old in (before, f):
        old.send(frame(protocol.LIST))
        assert old.answer()[-1][0] == protocol.DONE
        old.close()
    d.end()
    t.end_well()


BROKEN = {"certificate": ("server.crt", "nonsense\n"), "key of another": ("server.key", None), "no CA": ("ca.crt", ""),
          "list": ("clients", "client\n"), "list for all": ("clients", 0o666), "key for all": ("server.key", 0o644)}


@pytest.mark.parametrize("what", BROKEN)
def test_reload_of_what_is_broken(one_python, start, daemon, folder, what):
    """One line, and what was read before stays in force."""
    t = start(one_python, "idle")
    d = daemon(folder=folder)
    name, text = BROKEN[what]
    ours = d.context()
    d.context = lambda *_: ours
    if isinstance(text, int):
        os.chmod(folder / name, text)
    else:
        (folder / name).write_text((folder / "client.key").read_text() if text is None else text)
    own(folder)
    line = d.reload()
    assert 'result="done"' not in line and name.split(".")[0] in line and line.endswith(' in_force="what was read before"'), line
    d.works(t.pid)
    d.end()
    t.end_well()


def test_unit_is_hardened(tmp_path, memattach):
    """By what systemd itself says of it: no warning, and an exposure of less than 3 in 10."""
    tool = shutil.which("systemd-analyze")
    if not tool:
        pytest.skip("no systemd-analyze on this machine")
    text = (Path(__file__).parents[2] / "tools" / "systemd" / "memattachd.service.in").read_text()
    unit = tmp_path / "memattachd.service"
    program = os.path.join(os.path.dirname(memattach.path), "memattachd")
    unit.write_text(text.replace("@CMAKE_INSTALL_FULL_BINDIR@/memattachd", program).replace("Documentation=man:memattachd(8)\n", ""))
    unit.chmod(0o644)  # whatever the umask is
    done = subprocess.run([tool, "verify", unit], capture_output=True, text=True)
    assert done.returncode == 0 and not [line for line in done.stderr.splitlines() if unit.name in line], done.stderr
    done = subprocess.run([tool, "security", "--offline=true", "--threshold=30", unit], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-300:] + done.stderr
    assert "CapabilityBoundingSet=CAP_SYS_PTRACE\n" in text


def test_unit(need_root, one_python, start, daemon, memattach, folder, tmp_path):
    """What the systemd unit does before a start and for a reload: copies that the service can read and root alone can write to."""
    run, etc = folder.parent, tmp_path / "etc"
    unit = (Path(__file__).parents[2] / "tools" / "systemd" / "memattachd.service.in").read_text()

    def do(kind):
        for line in re.findall(rf"^{kind}=\+(.*)$", unit, re.M):
            if "kill" not in line:
                line = line.replace("%t", str(run)).replace("/etc/memattachd", str(etc)).replace("%%", "%").replace("$$", "$")
                subprocess.run(shlex.split(line), check=True)
    (run / "memattachd").mkdir(0o700)
    shutil.chown(run / "memattachd", USER)
    program = os.path.join(os.path.dirname(memattach.path), "memattachd")
    subprocess.run([program, "init", etc], check=True, capture_output=True)
    do("ExecStartPre")
    files = run / "memattachd-files"
    assert sorted(p.name for p in files.iterdir()) == ["ca.crt", "clients", "server.crt", "server.key"]
    assert files.stat().st_uid == 0 and all(p.owner() == USER and stat.S_IMODE(p.stat().st_mode) == 0o400 for p in files.iterdir())
    t = start(one_python, "idle")
    d = daemon(folder=files)
    d.context = lambda name="client", _=None: Memattachd.context(d, name, etc)
    d.works(t.pid)
    (etc / "clients").write_text("bob * *\n")
    do("ExecReload")
    assert "ExecReload=+/bin/kill -HUP $MAINPID" in unit
    assert 'result="done"' in d.reload()
    assert "list of clients" in told_at_once(d, "client")
    d.end()
    do("ExecStopPost")
    assert not files.exists()
    t.end_well()
