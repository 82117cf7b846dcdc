# SPDX-License-Identifier: Apache-2.0
"""memattach ssh://: through a real OpenSSH server on loopback, with memattach there and without it."""
import json
import os
import socket
import subprocess
from pathlib import Path

import pytest

import sshd as server
from memattach import Snapshot, came, check_error, check_nothing_left, check_report
from target import in_group, wait_until
from unharmed import Unharmed


def snapshot(client, t, *args):
    path = client.memattach.new_path()
    done = client.run(t.pid, "-o", path, "--json", *args)
    assert done.rc == 0, (done, client.sshd.log())
    snap = Snapshot(path, json.loads(done.out))
    check_report(snap, t.pid)
    assert client.memattach.run("check", path).rc == 0
    return snap


def test_memattach_there(python, start, client):
    client.sshd.install(client.memattach.path)
    t = start(python, "idle")
    with Unharmed(t):
        far = snapshot(client, t)
        near = client.memattach.snapshot(t.pid)
    assert abs(far.report["objects"] - near.report["objects"]) < 50
    client.nothing_left(t)
    t.end_well()


@pytest.mark.parametrize("there", ["none", "another version", "another protocol"])
def test_helper(hazard_python, start, client, helper, there):
    """Nothing is installed there, or another version: a helper is copied, run and removed."""
    if there == "another version":
        client.sshd.fake("echo memattach 0.0.9\n")
    elif there == "another protocol":
        client.sshd.fake(f'test "$1" = --version && exec {client.memattach.path} --version\n'
                         r"printf '\026\0\0\0\001\0\0\0\001\010\155\101\141\153\120\015\032\012\002\004\011\0\0\0\003\004\001\0\0\0'"
                         "\ncat >/dev/null\n")
    t = start(hazard_python, "idle")
    with Unharmed(t):
        snapshot(client, t)
    client.nothing_left(t)
    t.end_well()


def test_noise_before(one_python, start, client, helper):
    """Login scripts that print."""
    t = start(one_python, "idle")
    client.sshd.close()
    config = client.sshd.folder / "sshd_config"
    config.write_text(config.read_text() + "ForceCommand echo Welcome; echo; eval \"$SSH_ORIGINAL_COMMAND\"\n")
    client.sshd.popen = subprocess.Popen([server.PROGRAM, "-D", "-e", "-f", str(config)], stderr=subprocess.DEVNULL)
    wait_until(client.sshd.listens, 10, "sshd listens")
    snapshot(client, t)
    client.nothing_left(t)


def test_commands(one_python, start, client):
    client.sshd.install(client.memattach.path)
    t = start(one_python, "idle", "unmistakable-argument")
    done = client.run("name:unmistakable-arg", "--json", command=("stacks",))
    assert done.rc == 0 and json.loads(done.out)["pid"] == t.pid, done
    done = client.run("name:*unmistakable-argument", "--json", command=("doctor",))
    assert done.rc == 0 and json.loads(done.out)["would_work"] is True, done
    path = client.memattach.new_path()
    done = client.run(t.pid, "-o", path, command=("snap",))
    assert done.rc == 0 and str(path) in done.out, done
    check_error(client.run("name:no-such-thing"), 3, "no-such-thing")
    u = start(one_python, "idle", "unmistakable-argument")
    check_error(client.run("name:unmistakable"), 2, str(t.pid))
    check_error(client.run("name:unmistakable", "--tree"), 2, str(t.pid), str(u.pid))
    check_error(client.run(t.pid, "--limit-rate", "1"), 2, "limit-rate")
    u.end_well()
    t.end_well()


def family_of(t):
    """{pid: parent} of tests/targets/family.py."""
    return {t.pid: os.getpid(), **dict(tuple(map(int, pair.split())) for pair in
                                       " ".join(t.lines[0].split()[1:]).replace("; ", ";").split(";") if pair)}


def test_tree(one_python, start, client):
    """It and those below it, by one link; a shell between them is no obstacle."""
    client.sshd.install(client.memattach.path)
    t = start(one_python, "family", "the-mark")
    wanted = family_of(t)
    for rest, more in ((f"tree:{t.pid}", ()), (t.pid, ("--tree",)), ("name:the-mark", ("--tree",))):
        done = client.run(rest, "--json", *more)
        assert done.rc == 0 and done.err == "", (done, client.sshd.log())
        tree = json.loads(done.out)
        assert tree["processes"][0]["pid"] == t.pid and {p["pid"]: p["parent_pid"] for p in tree["processes"]} == wanted
    check_error(client.run("name:the-mark"), 2, str(t.pid))
    done = client.run(f"tree:{t.pid}", "-o", client.memattach.folder, command=("snap",))
    assert done.rc == 0 and done.out.count("stopped") == len(wanted), done
    for rest, more in ((f"tree:{t.pid}", ("stacks",)), (f"tree:{t.pid}", ("doctor",)), ("cgroup:/x", ("stacks",))):
        check_error(client.run(rest, command=more), 2, "one process")
    check_error(client.run("tree:4194303"), 3, "no Python process there is pid 4194303")
    check_error(client.memattach.run("snap", client.sshd.url(t.pid), client.sshd.url(1)), 2, "one target")
    check_error(client.run(t.pid, "--name", "x", command=("snap",)), 2, "name:PATTERN")
    client.nothing_left(t)


def test_cgroup(one_python, start, client, cgroup):
    client.sshd.install(client.memattach.path)
    folder = cgroup("memory", {})
    t, other = start(one_python, "idle", wrap=in_group(folder)), start(one_python, "idle")
    for path in (folder, folder.removeprefix("/sys/fs/cgroup/memory")):
        done = client.run(f"cgroup:{path}", "--json")
        assert done.rc == 0 and [p["pid"] for p in json.loads(done.out)["processes"]] == [t.pid], done
    check_error(client.run(f"cgroup:{path}", "--tree"), 2, "--tree")
    for x in (t, other):
        x.end_well()
    check_error(client.run(f"cgroup:{path}"), 3, "control group")


@pytest.mark.parametrize("what", ["one", "tree"])
def test_series(one_python, start, client, what):
    """A link that is cut between two costs nothing, one that can not be made costs a snapshot, and the end of the
    process ends it."""
    client.sshd.install(client.memattach.path)
    t = start(one_python, "idle")
    p = client.memattach.start("snap", client.sshd.url(t.pid if what == "one" else f"tree:{t.pid}"), "--every", "1s")
    first = p.stdout.readline()
    assert b"stopped" in first, (first, client.sshd.log())
    client.sshd.cut()
    assert b"stopped" in p.stdout.readline()
    client.sshd.cut()
    config = client.sshd.folder / "authorized_keys"
    keys = config.read_text()
    config.write_text("")
    said = p.stderr.readline()
    assert b"127.0.0.1" in said, said
    config.write_text(keys)
    assert b"stopped" in p.stdout.readline()
    t.end_well()
    out, err = p.communicate(timeout=30)
    assert p.returncode == 1 and b"snapshots failed" in err, (out, err)
    client.memattach.wait_gone()


def test_configuration(one_python, start, client, tmp_path):
    """~/.ssh/config is read, and the command line wins over it."""
    client.sshd.install(client.memattach.path)
    t = start(one_python, "idle")
    (client.sshd.home / ".ssh" / "config").write_text(f"Host there\n HostName 127.0.0.1\n Port {client.sshd.port}\n")
    done = client.memattach.run("stacks", f"ssh://there/{t.pid}", "--json")
    assert done.rc == 0 and json.loads(done.out)["pid"] == t.pid, done
    other = tmp_path / "config"
    other.write_text(f"Host elsewhere\n HostName 127.0.0.1\n Port 1\n IdentityFile {client.sshd.identity}\n")
    for name in ("id_ed25519", "known_hosts"):
        os.rename(client.sshd.home / ".ssh" / name, tmp_path / name)
    done = client.memattach.run("stacks", f"ssh://elsewhere:{client.sshd.port}/{t.pid}", "--json", "--ssh-config", other,
                                "--identity", tmp_path / "id_ed25519", "--known-hosts", tmp_path / "known_hosts")
    assert done.rc == 0 and json.loads(done.out)["pid"] == t.pid, done


def refused(client, t, code, *words, url=None, args=()):
    path = client.memattach.new_path()
    with Unharmed(t):
        done = client.memattach.run(url or client.sshd.url(t.pid), "-o", path, *args)
    check_error(done, code, *words)
    check_nothing_left(path)
    client.nothing_left(t)
    return done


def test_unknown_key(one_python, start, client):
    """Fails closed, says what ssh says, and the line that it shows is the one to add."""
    client.sshd.install(client.memattach.path)
    t = start(one_python, "idle")
    client.sshd.known_hosts.unlink()
    done = refused(client, t, 4, "authenticity")
    print_ = subprocess.run(["ssh-keygen", "-lf", client.sshd.folder / "host_key.pub"], capture_output=True, text=True).stdout
    assert print_.split()[1] in done.err
    assert not client.sshd.known_hosts.exists(), "it was added without asking"
    client.sshd.known_hosts.write_text(done.err.split(": ")[-1])
    assert client.run(t.pid, "-o", client.memattach.new_path()).rc == 0


def test_changed_key(one_python, start, client, tmp_path):
    client.sshd.install(client.memattach.path)
    t = start(one_python, "idle")
    client.sshd.trust(server.make_key(tmp_path / "other"))
    refused(client, t, 4, "HAS CHANGED")


def test_wrong_key(one_python, start, client, tmp_path):
    client.sshd.install(client.memattach.path)
    t = start(one_python, "idle")
    client.sshd.identity.unlink()
    refused(client, t, 4, "permission denied", args=("--identity", server.make_key(tmp_path / "other")))
    refused(client, t, 4, "permission denied")
    refused(client, t, 2, "absent", args=("--identity", tmp_path / "absent"))


def test_nobody_there(one_python, start, client, tmp_path):
    """An unknown host, a refused connection, a host that never says anything."""
    t = start(one_python, "idle")
    refused(client, t, 1, "host.invalid", url=f"ssh://host.invalid/{t.pid}")
    refused(client, t, 1, "refused", url=f"ssh://127.0.0.1:{server.free_port()}/{t.pid}")
    config = tmp_path / "config"
    config.write_text("ConnectTimeout 1\n")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        refused(client, t, 1, ("timeout", "timed out"), url=f"ssh://127.0.0.1:{silent.getsockname()[1]}/{t.pid}",
                args=("--ssh-config", config))


@pytest.mark.parametrize("url", ["ssh://", "ssh://h", "ssh://h/", "ssh://h/x", "ssh://h/0", "ssh://h:0/1", "ssh://h:65536/1",
                                 "ssh://u:secret@h/1", "ssh://-oProxyCommand=x/1", "ssh://@h/1", "ssh://[::1/1", "ssh://h/name:", "ssh://h/tree:",
                                 "ssh://h/tree:x", "ssh://h/cgroup:", "ssh://h/cgroup:x"])
def test_wrong_url(memattach, client, url):
    check_error(memattach.run(url), 2, url)


GARBAGE = {"silence": "exit 0\n", "text": "echo hello; echo hello; cat >/dev/null\n",
           "4 GiB": r"printf '\377\377\377\377\001\0\0\0'; cat >/dev/null" + "\n"}


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage(one_python, start, client, what):
    t = start(one_python, "idle")
    client.sshd.fake(f'test "$1" = --version && exec {client.memattach.path} --version\n' + GARBAGE[what])
    refused(client, t, 1 if what == "silence" else 6, "far side" if what == "silence" else "protocol")


def test_errors_of_the_far_side(one_python, start, client):
    """What a local attach would say, with the machine's name before it."""
    client.sshd.install(client.memattach.path)
    t = start(one_python, "idle")
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    refused(client, t, 3, f"127.0.0.1: pid {gone.pid}", url=client.sshd.url(gone.pid))


@pytest.mark.parametrize("how", ["server killed", "client killed"])
def test_cut(one_python, start, client, helper, how):
    """Half way: the target runs, no twin and no helper is left, and what came is a file that opens and says what it lacks."""
    t = start(one_python, "heartbeat", 1000000)
    path = client.memattach.new_path()
    with Unharmed(t, quiet=False):
        p = client.memattach.start(client.sshd.url(t.pid), "-o", path, "--limit-rate", "200k")
        wait_until(lambda: came(path) > 60000, 60, "it comes")
        if how == "server killed":
            client.sshd.cut()
        else:
            p.kill()
        out, err = p.communicate(timeout=30)
        client.nothing_left(t)
    if how == "server killed":
        part = path.with_name(path.name + ".part")
        assert p.returncode == 1 and len(err.splitlines()) == 1 and str(part).encode() in err, err
        assert part.stat().st_mode & 0o777 == 0o600
        done = client.memattach.run("report", part, "--json")
        assert done.rc == 0 and "cut off" in str(json.loads(done.out)["notes"]), done
        check_error(client.memattach.run("check", part), 6)
        assert not path.exists()
    t.end_well()


def test_interrupted(one_python, start, client, helper):
    """Ctrl-C: nothing is kept, here and there."""
    t = start(one_python, "heartbeat", 1000000)
    path = client.memattach.new_path()
    with Unharmed(t, quiet=False):
        p = client.memattach.start(client.sshd.url(t.pid), "-o", path, "--limit-rate", "200k")
        wait_until(lambda: came(path) > 60000, 60, "it comes")
        p.terminate()
        out, err = p.communicate(timeout=30)
        client.nothing_left(t)
    assert p.returncode == 130 and b"interrupted" in err
    check_nothing_left(path)
    t.end_well()


def test_helper_that_does_not_arrive(one_python, start, client, helper):
    """The link breaks while the helper is copied: the shell there removes its folder."""
    t = start(one_python, "idle")
    (client.sshd.bin / "head").write_text("#!/bin/sh\n/usr/bin/head -c 100000; kill -9 $(cat %s/victim)\nexec cat\n" % client.sshd.folder)
    (client.sshd.bin / "head").chmod(0o755)
    p = client.memattach.start(client.sshd.url(t.pid), "-o", client.memattach.new_path())
    (client.sshd.folder / "victim").write_text(str(p.pid))
    p.communicate(timeout=30)
    client.nothing_left(t)


def test_helper_needs_nothing(memattach, helper):
    """No shared library, and no more bytes than may be copied."""
    path = os.path.join(os.path.dirname(memattach.path), "memattach-helper")
    shown = subprocess.run(["readelf", "-dl", path], capture_output=True, text=True, check=True).stdout
    assert "There is no dynamic section" in shown and "INTERP" not in shown
    assert os.path.getsize(path) < 6_000_000


def test_symbols_of_the_far_side(one_python, start, client, helper):
    """The helper reads them there: native stacks are those of a local attach."""
    t = start(one_python, "idle")
    far = client.run(t.pid, "--native", "--json", command=("stacks",))
    near = client.memattach.run("stacks", t.pid, "--native", "--json")
    assert far.rc == near.rc == 0, (far, near)
    threads = [[(f["function"], f["module"]) for th in json.loads(done.out)["threads"] for f in th["native"]] for done in (far, near)]
    assert threads[0] == threads[1] and any("PyEval" in (function or "") for function, _ in threads[0])
    t.end_well()


NOEXEC = {"nothing": "run", "run": "/dev/shm", "run /dev/shm": "home/.cache", "run /dev/shm home": "tmp", "all": None}


@pytest.mark.parametrize("noexec", NOEXEC)
def test_folder_of_the_helper(need_root, one_python, start, memattach, helper, tmp_path, noexec):
    """The first where a program may be run: the runtime directory, shared memory, the cache, the temporary folders. It is
    private, and gone in the end."""
    if not server.PROGRAM or not server.has_ssh(memattach.path):
        pytest.skip("no OpenSSH server, or a memattach without SSH")
    top = tmp_path / "there"
    for name in ("run", "home/.cache", "tmp"):
        (top / name).mkdir(parents=True)
    folders = {"run": top / "run", "/dev/shm": "/dev/shm", "home": top / "home/.cache", "tmp": top / "tmp"}
    mounts = [f"mount -t tmpfs {'-o noexec' if noexec == 'all' or name in noexec.split() else ''} none {path}"
              for name, path in folders.items()]
    if noexec == "all":  # those that everyone has
        mounts += [f"mount --bind {d} {d} && mount -o remount,bind,noexec {d}" for d in ("/tmp", "/var/tmp")]
    wrap = ("unshare", "--mount", "sh", "-c", " && ".join(mounts) + ' && exec "$@"', "sh")
    s = server.Sshd(tmp_path / "sshd", memattach.mark, wrap=wrap,
                    env={"XDG_RUNTIME_DIR": top / "run", "HOME": top / "home", "TMPDIR": top / "tmp"})
    try:
        client = server.Client(memattach, s)
        note = top / "note"
        (s.bin / "sha256sum").write_text(f'#!/bin/sh\nf=$(dirname "$1")\nstat -c "%a %u %n" "$f" >{note}\nexec /usr/bin/sha256sum "$@"\n')
        (s.bin / "sha256sum").chmod(0o755)
        t = start(one_python, "idle")
        done = client.run(t.pid, "--json", command=("stacks",))
        if noexec == "all":
            check_error(done, 5, "no folder there from which a program may be run")
        else:
            assert done.rc == 0, (done, s.log())
            mode, owner, folder = note.read_text().split()
            assert (mode, owner) == ("700", "0") and os.path.dirname(folder) == str(top / NOEXEC[noexec])
        pid, = [p for p in (s.popen.pid,) if s.popen.poll() is None]
        for path in folders.values():
            assert not list((Path(f"/proc/{pid}/root{path}")).glob("memattach-*")), "left on the far side"
        memattach.wait_gone()
        t.end_well()
    finally:
        s.close()


def test_damaged_helper(one_python, start, client, helper):
    """It is not run when its hash is wrong."""
    t = start(one_python, "idle")
    (client.sshd.bin / "head").write_text("#!/bin/sh\n/usr/bin/head -c 100; /usr/bin/head -c $(($2 - 100)) | tr '\\0' '\\1'\n")
    (client.sshd.bin / "head").chmod(0o755)
    refused(client, t, 5, "damaged")
