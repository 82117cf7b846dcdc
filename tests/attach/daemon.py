# SPDX-License-Identifier: Apache-2.0
"""A memattachd on loopback with certificates made for the test, and a client of it that is written from docs/protocol.md."""
import os
import pwd
import re
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path

import protocol
from target import wait_until

USER = "nobody"


def openssl(*args, **options):
    return subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True, **options)


class Tls(protocol.Far):
    """A connection that has shaken hands."""

    def __init__(self, sock):
        self.sock, self.buffer = sock, b""

    def send(self, data):
        self.sock.sendall(data)

    def read(self, n, seconds=30.0):
        self.sock.settimeout(seconds)
        while len(self.buffer) < n:
            data = self.sock.recv(1 << 16)
            if not data:
                break
            self.buffer += data
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def close(self):
        self.sock.close()


class Memattachd:
    """`rules`: the lines of its list of clients. `folder`: of its files, where its user can read them."""

    def __init__(self, memattach, rules=("client * *",), *args, wrap=(), host="127.0.0.1", port=0, folder=None):
        self.program = str(Path(memattach.path).parent / "memattachd")
        self.memattach = memattach
        self.dir = folder or memattach.folder / "daemon"
        if not self.dir.exists():
            done = self.run("init", self.dir)
            assert done.returncode == 0, done
        (self.dir / "clients").write_text("\n".join(rules) + "\n")
        # without its own user a process would be refused nothing
        user = ["--user", USER] if os.geteuid() == 0 else []
        self.log_path = memattach.folder / "daemon.log"
        self.popen = subprocess.Popen([*wrap, self.program, "--listen", f"{host}:{port}", "--dir", str(self.dir), *user, *map(str, args)],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                      stderr=self.log_path.open("wb"), env=memattach.environ(), start_new_session=True)
        wait_until(lambda: "listens" in self.log() or self.popen.poll() is not None, 20, "the daemon listens")
        found = re.search(rf'listens on="{re.escape(host)}:(\d+)"', self.log())
        assert found, self.log()
        self.port = int(found.group(1))

    def run(self, *args):
        return subprocess.run([self.program, *map(str, args)], capture_output=True, text=True)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def lines(self, event):
        return [line for line in self.log().splitlines() if line.startswith(f"memattachd: {event} ")]

    def url(self, rest, host="127.0.0.1"):
        return f"tls://{host}:{self.port}/{rest}"

    def plain(self):
        return socket.create_connection(("127.0.0.1", self.port), 20)

    def context(self, name="client", folder=None):
        folder = folder or self.dir
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        c.load_verify_locations(self.dir / "ca.crt")
        if name:
            c.load_cert_chain(folder / f"{name}.crt", folder / f"{name}.key")
        return c

    def connect(self, name="client", context=None):
        sock = (context or self.context(name)).wrap_socket(self.plain(), server_hostname="127.0.0.1")
        return Tls(sock)

    def reload(self):
        """Its line about it."""
        before = len(self.lines("reload"))
        self.popen.send_signal(signal.SIGHUP)
        wait_until(lambda: len(self.lines("reload")) > before, 20, "it has read its files again")
        return self.lines("reload")[-1]

    def pids(self):
        """The daemon's processes below the listener: sessions and fronts."""
        return [p for p in self.memattach.processes() if p != self.popen.pid]

    def idle(self, seconds=20):
        """Every connection has ended."""
        wait_until(lambda: not children_of(self.popen.pid), seconds, f"no connection is left; {self.log()}")

    def works(self, pid):
        """It still serves: the stacks of `pid` by a connection of our own."""
        f = self.connect()
        f.greet()
        f.send(protocol.snapshot(pid, _2=b"\1"))
        kind, payload = f.answer()[-1]
        assert kind == protocol.DONE, (payload, self.log())
        f.close()

    def end(self, code=0):
        self.popen.send_signal(signal.SIGTERM)
        assert self.popen.wait(30) == code, self.log()

    def close(self):
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait()


def children_of(pid):
    found = []
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/stat") as f:
                if int(f.read().rpartition(")")[2].split()[1]) == pid:
                    found.append(int(name))
        except (OSError, ValueError):
            pass
    return found


def front_of(session):
    """The front of a session; other children of it come and go."""
    for pid in children_of(session):
        try:
            with open(f"/proc/{pid}/comm") as f:
                if f.read() == "memattachd-tls\n":
                    return pid
        except OSError:
            pass
    raise AssertionError(f"session {session} has no front")


def expired(folder, ca, name="expired", usage="clientAuth"):
    """A pair whose certificate was valid for the year 2020 only."""
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", folder / f"{name}.key")
    openssl("req", "-new", "-key", folder / f"{name}.key", "-subj", "/CN=client", "-out", folder / "request")
    (folder / "index.txt").write_text("")
    (folder / "ca.cnf").write_text(f"""[ca]
default_ca = it
[it]
database = {folder}/index.txt
new_certs_dir = {folder}
rand_serial = yes
default_md = sha256
policy = any
x509_extensions = leaf
[any]
commonName = supplied
[leaf]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = {usage}
subjectAltName = IP:127.0.0.1
""")
    openssl("ca", "-batch", "-config", folder / "ca.cnf", "-cert", ca / "ca.crt", "-keyfile", ca / "ca.key", "-in",
            folder / "request", "-startdate", "20200101000000Z", "-enddate", "20201231000000Z", "-notext", "-out",
            folder / f"{name}.crt")
    os.chmod(folder / f"{name}.key", 0o600)


def user_id(name=USER):
    return pwd.getpwnam(name).pw_uid
