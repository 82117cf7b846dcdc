# SPDX-License-Identifier: Apache-2.0
"""A real OpenSSH server on loopback, with keys, a port and a configuration of its own, and what a client of it needs."""
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from target import wait_until
from unharmed import tracers

PROGRAM = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:" + os.environ.get("PATH", ""))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def make_key(path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)], check=True)
    return path


class Sshd:
    """The PATH of commands there begins with `bin`, which may have a memattach, or a fake one. With `wrap` it runs in other
    namespaces, at the address `host`. `more`: lines of its configuration that win; `env`: of the commands there."""

    def __init__(self, folder, mark, wrap=(), host="127.0.0.1", more="", env={}):
        self.elsewhere = bool(wrap)
        self.folder, self.port = Path(folder), free_port()
        self.folder.mkdir(mode=0o700)
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        self.home = self.folder / "home"
        (self.home / ".ssh").mkdir(parents=True, mode=0o700)
        self.far = self.folder / "far"  # the far side's temporary files
        self.far.mkdir(mode=0o700)
        host_key, self.identity = make_key(self.folder / "host_key"), make_key(self.home / ".ssh" / "id_ed25519")
        (self.folder / "authorized_keys").write_text(self.identity.with_suffix(".pub").read_text())
        self.known_hosts = self.home / ".ssh" / "known_hosts"
        self.trust()
        config = self.folder / "sshd_config"
        environ = {"PATH": f"{self.bin}:/usr/bin:/bin", "XDG_RUNTIME_DIR": self.far, "TMPDIR": self.far, "HOME": self.far,
                   "MEMATTACH_TEST_MARK": mark, **env}
        config.write_text(f"""{more}
Port {self.port}
ListenAddress {host}
HostKey {host_key}
PidFile {self.folder}/sshd.pid
AuthorizedKeysFile {self.folder}/authorized_keys
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PermitRootLogin yes
SetEnv {" ".join(f"{name}={value}" for name, value in environ.items())}
""")
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        self.popen = subprocess.Popen([*wrap, PROGRAM, "-D", "-e", "-f", str(config)], stdin=subprocess.DEVNULL,
                                      stderr=(self.folder / "log").open("wb"), start_new_session=True)
        wait_until(self.listens, 10, "sshd listens")

    def listens(self):
        assert self.popen.poll() is None, self.log()
        if self.elsewhere:
            return "Server listening" in self.log()
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def trust(self, key=None, port=None):
        self.port = port or self.port  # of a forwarder in front of it
        public = (key or self.folder / "host_key").with_suffix(".pub").read_text().split()
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {public[0]} {public[1]}\n")

    def install(self, program):
        """Puts a program there as `memattach`."""
        (self.bin / "memattach").symlink_to(program)

    def fake(self, text):
        (self.bin / "memattach").write_text("#!/bin/sh\n" + text)
        (self.bin / "memattach").chmod(0o755)

    def url(self, rest):
        return f"ssh://127.0.0.1:{self.port}/{rest}"

    def children(self):
        """The processes that serve connections."""
        found = []
        for pid in os.listdir("/proc"):
            try:
                with open(f"/proc/{pid}/stat") as f:
                    if int(f.read().rpartition(")")[2].split()[1]) == self.popen.pid:
                        found.append(int(pid))
            except (OSError, ValueError):
                pass
        return found

    def cut(self):
        """Kills what serves the connections, as a machine that goes away does."""
        for pid in self.children():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def close(self):
        if self.popen.poll() is None:
            self.cut()
            self.popen.kill()
        self.popen.wait()


def has_ssh(path):
    return subprocess.run([path, "ssh://h/1", "--identity", "/nonexistent"], capture_output=True).returncode != 5


class Client:
    """Runs memattach with the HOME of the server's only user."""

    def __init__(self, memattach, sshd):
        self.memattach, self.sshd = memattach, sshd
        environ = memattach.environ
        memattach.environ = lambda: dict(environ(), HOME=str(sshd.home), SSH_AUTH_SOCK="")

    def run(self, rest, *args, command=(), **options):
        return self.memattach.run(*command, self.sshd.url(rest), *args, **options)

    def nothing_left(self, t):
        self.memattach.wait_gone()
        assert not tracers(t.pid)
        # $XDG_RUNTIME_DIR/memattach is what a series of snapshots remembers (attach/trace/series.c)
        assert [p.name for p in self.sshd.far.iterdir() if p.name != "memattach"] == [], "left on the far side"
