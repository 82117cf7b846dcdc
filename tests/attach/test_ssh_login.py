# SPDX-License-Identifier: Apache-2.0
"""The ways into another machine: over a third one, by an agent, with a passphrase, and to another user by sudo."""
import fcntl
import json
import os
import pty
import select
import shutil
import subprocess
import termios

import pytest

import sshd as server
from memattach import check_error
from target import wait_until

PASSPHRASE = "correct horse"
USER, UID = "memattach-test", 54321


def stacks(client, t, url=None, *args, **options):
    """The process is reached, by a snapshot of its threads."""
    done = client.memattach.run("stacks", url or client.sshd.url(t.pid), "--json", *args, **options)
    assert done.rc == 0 and json.loads(done.out)["pid"] == t.pid, (done, client.sshd.log())
    return done


@pytest.mark.parametrize("jump_known", [True, False])
def test_proxy_jump(one_python, start, client, tmp_path, jump_known):
    """Over another machine, which --ssh-config names: the ssh that leads there reads the same file."""
    client.sshd.install(client.memattach.path)
    t = start(one_python, "idle")
    jump = server.Sshd(tmp_path / "jump", client.memattach.mark)
    config = tmp_path / "config"
    if not jump_known:
        jump.known_hosts.write_text("")
    config.write_text(f"""
Host the-jump
 HostName 127.0.0.1
 Port {jump.port}
 IdentityFile {jump.identity}
 UserKnownHostsFile {jump.known_hosts}
 GlobalKnownHostsFile /dev/null
 StrictHostKeyChecking yes
Host there
 HostName 127.0.0.1
 Port {client.sshd.port}
 ProxyJump the-jump
""")
    try:
        url = f"ssh://there/{t.pid}"
        if jump_known:
            stacks(client, t, url, "--ssh-config", config)
            assert "Accepted publickey" in jump.log()
        else:
            done = client.memattach.run("stacks", url, "--ssh-config", config)
            check_error(done, 1, f"by way of: ssh -F '{config}'", "the-jump")
            assert "Accepted publickey" not in jump.log() + client.sshd.log()
        odd = tmp_path / "it's"
        shutil.copy(config, odd)
        check_error(client.memattach.run("stacks", url, "--ssh-config", odd), 2, str(odd))
    finally:
        jump.close()
    t.end_well()


def test_agent(one_python, start, client, tmp_path):
    """Its key opens what no file in ~/.ssh does."""
    client.sshd.install(client.memattach.path)
    t = start(one_python, "idle")
    path, environ = str(tmp_path / "agent"), client.memattach.environ
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: os.path.exists(path), 10, "the agent listens")
        env = dict(os.environ, SSH_AUTH_SOCK=path)
        subprocess.run(["ssh-add", "-q", client.sshd.identity], env=env, check=True, capture_output=True)
        for name in ("id_ed25519", "id_ed25519.pub"):
            (client.sshd.home / ".ssh" / name).unlink()
        client.memattach.environ = lambda: dict(environ(), SSH_AUTH_SOCK=path)
        stacks(client, t)
        subprocess.run(["ssh-add", "-q", "-D"], env=env, check=True, capture_output=True)
        check_error(client.run(t.pid, command=("stacks",)), 4, "permission denied", "agent")
    finally:
        agent.kill()
        agent.wait()
    t.end_well()


def test_user_of_the_configuration(one_python, start, client, tmp_path):
    t = start(one_python, "idle")
    config = tmp_path / "config"
    config.write_text("User somebody-else\n")
    check_error(client.run(t.pid, "--ssh-config", config, command=("stacks",)), 4, "'somebody-else'")
    t.end_well()


def test_passwords_only(one_python, start, memattach, client, tmp_path):
    """A host that wants a password is told as one: none is asked for."""
    t = start(one_python, "idle")
    client.sshd.close()
    client.sshd = server.Sshd(tmp_path / "strict", memattach.mark, more="PubkeyAuthentication no\nPasswordAuthentication yes")
    args = ("--identity", client.sshd.identity, "--known-hosts", client.sshd.known_hosts)
    try:
        check_error(client.run(t.pid, *args, command=("stacks",)), 4, "permission denied", "takes: password")
    finally:
        client.sshd.close()
    t.end_well()


def lock(client):
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", PASSPHRASE, "-f", client.sshd.identity], check=True)


def test_passphrase_without_a_terminal(one_python, start, client):
    client.sshd.install(client.memattach.path)
    t = start(one_python, "idle")
    lock(client)
    check_error(client.run(t.pid, command=("stacks",)), 4, str(client.sshd.identity), "passphrase", "no terminal", "ssh-add")
    t.end_well()


def typed(client, t, *words):
    """memattach with a terminal on which each of `words` is typed when it is asked for; what it showed there, and the end."""
    terminal, slave = pty.openpty()
    p = client.memattach.start("stacks", client.sshd.url(t.pid), "--json", pass_fds=(slave,),
                               preexec_fn=lambda: fcntl.ioctl(slave, termios.TIOCSCTTY, 0))
    shown = ""
    for word in words:
        while not shown.endswith(": "):
            assert select.select([terminal], [], [], 30)[0], shown
            shown += os.read(terminal, 1000).decode()
        wait_until(lambda: not termios.tcgetattr(slave)[3] & termios.ECHO, 10, "nothing is echoed")
        os.write(terminal, word.encode())
    out, err = p.communicate(timeout=60)
    assert termios.tcgetattr(slave)[3] & termios.ECHO, "the terminal is as it was"
    while select.select([terminal], [], [], 0)[0]:
        shown += os.read(terminal, 1000).decode()
    os.close(slave)
    os.close(terminal)
    return p.returncode, out.decode(), err.decode(), shown


def test_passphrase(one_python, start, client):
    """Asked for on the terminal, wherever the output goes; nothing of it is shown."""
    client.sshd.install(client.memattach.path)
    t = start(one_python, "idle")
    lock(client)
    code, out, err, shown = typed(client, t, PASSPHRASE + "x\x7f\r")
    assert code == 0 and json.loads(out)["pid"] == t.pid, (err, shown)
    assert str(client.sshd.identity) in shown and "horse" not in shown
    code, out, err, shown = typed(client, t, "wrong\r")
    assert code == 4 and out == "" and "or the passphrase was wrong" in err and len(err.splitlines()) == 1, (err, shown)
    code, out, err, shown = typed(client, t, "\x03")
    assert code == 130 and out == "" and "interrupted" in err and len(err.splitlines()) == 1, (err, shown)
    t.end_well()


# ------------------------------------------------------------------ sudo

@pytest.fixture
def other_user(need_root, memattach, tmp_path):
    """other_user(rule) is a client that logs in as a user who may do what the rule of sudoers says: on a machine of the
    same processes with /etc/passwd and /etc/sudoers of its own."""
    if not shutil.which("sudo"):
        pytest.skip("no sudo on this machine")
    if not server.PROGRAM or not server.has_ssh(memattach.path):
        pytest.skip("no OpenSSH server, or a memattach without SSH")
    made, top = [], tmp_path / "etc"

    def make(rule):
        top.mkdir()
        for folder in (tmp_path, *tmp_path.parents[:-2]):  # sshd and its shell become that user
            os.chmod(folder, folder.stat().st_mode | 0o011)
        entries = {"passwd": f"{USER}:x:{UID}:{UID}::{top}:/bin/sh\n", "shadow": f"{USER}:*:19000:0:99999:7:::\n",
                   "group": f"{USER}:x:{UID}:\n"}
        for name, entry in entries.items():
            (top / name).write_text(open(f"/etc/{name}").read() + entry)
        (top / "sudoers").write_text('Defaults env_reset, use_pty\nDefaults env_keep += "MEMATTACH_TEST_MARK"\n'
                                     f'Defaults secure_path = "/usr/sbin:/usr/bin:/sbin:/bin"\nroot ALL=(ALL:ALL) ALL\n{rule}\n')
        os.chmod(top / "shadow", 0o640)
        os.chmod(top / "sudoers", 0o440)
        binds = " && ".join(f"mount --bind {top}/{name} /etc/{name}" for name in (*entries, "sudoers"))
        s = server.Sshd(tmp_path / "sshd", memattach.mark, wrap=("unshare", "--mount", "sh", "-c", f'{binds} && exec "$@"', "sh"))
        made.append(s)
        for folder in (s.folder, s.bin):
            os.chmod(folder, 0o711)
        os.chmod(s.folder / "authorized_keys", 0o644)
        shutil.chown(s.far, UID, UID)
        c = server.Client(memattach, s)
        s.url = lambda rest: f"ssh://{USER}@127.0.0.1:{s.port}/{rest}"
        return c
    yield make
    for s in made:
        s.close()


ALL = f"{USER} ALL=(ALL) NOPASSWD: ALL"


@pytest.mark.parametrize("there", ["installed", "helper"])
def test_sudo(one_python, start, other_user, helper, there):
    """A user who may not attach by himself; what is installed is not where sudo looks for programs."""
    c = other_user(ALL)
    if there == "installed":
        c.sshd.install(c.memattach.path)
    t = start(one_python, "idle")
    check_error(c.run(t.pid, command=("stacks",)), 4, f"pid {t.pid}")
    stacks(c, t, None, "--sudo")
    path = c.memattach.new_path()
    done = c.run(t.pid, "-o", path, "--sudo")
    assert done.rc == 0 and c.memattach.run("check", path).rc == 0, done
    c.nothing_left(t)
    t.end_well()


@pytest.mark.parametrize("there", ["installed", "helper"])
@pytest.mark.parametrize("rule", [f"{USER} ALL=(ALL) ALL", ""])
def test_sudo_that_asks(one_python, start, other_user, helper, there, rule):
    """Nobody is there to be asked: one line says what it wants, and no helper is left."""
    c = other_user(rule)
    if there == "installed":
        c.sshd.install(c.memattach.path)
    t = start(one_python, "idle")
    check_error(c.run(t.pid, "--sudo", command=("stacks",)), 4, "password is required", "NOPASSWD")
    c.nothing_left(t)
    t.end_well()
