# SPDX-License-Identifier: Apache-2.0
"""Targets in other places: a pid or mount namespace, another user, seccomp, a CPU quota, without a main thread."""
import glob
import os
import shutil
import subprocess

import pytest

import pythons
from memattach import check_error, check_nothing_left
from target import TARGETS, baseline, in_group, line_of, wait_until
from unharmed import Unharmed, children, maps, state

NOBODY = 65534


def only_child(pid):
    return wait_until(lambda: children(pid))[0]


def public_python():
    found = pythons.public(pythons.supported())
    if not found:
        pytest.skip("no Python outside of a home folder, which another user could run")
    return found


@pytest.fixture
def public_targets():
    """A copy of the targets that every user may read."""
    import tempfile
    folder = tempfile.mkdtemp(prefix="memattach-targets-", dir="/tmp")
    try:
        shutil.copytree(TARGETS, folder + "/targets")
        for root, _, names in os.walk(folder):
            os.chmod(root, 0o755)
            for name in names:
                os.chmod(os.path.join(root, name), 0o644)
        yield folder + "/targets"
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def public_memattach(memattach):
    """A copy of the binary, and an output folder, for another user."""
    import tempfile
    folder = tempfile.mkdtemp(prefix="memattach-bin-", dir="/tmp")
    os.chmod(folder, 0o777)
    try:
        shutil.copy(memattach.path, folder + "/memattach")
        os.chmod(folder + "/memattach", 0o755)
        memattach.path = folder + "/memattach"
        yield memattach, folder
    finally:
        memattach.close()
        shutil.rmtree(folder)


def as_user(number):
    return ("setpriv", f"--reuid={number}", f"--regid={number}", "--clear-groups", "--inh-caps=-all")


def test_pid_1_of_a_namespace(hazard_python, start, memattach, need_root):
    t = start(hazard_python, "idle", wrap=("unshare", "--pid", "--fork", "--kill-child", "--mount-proc"), pid_of=only_child)
    with Unharmed(t):
        for _ in range(3):
            snap = memattach.snapshot(t.pid)
            assert children(t.pid) == [], "the twin is left as a zombie"
    assert snap.counts().get("__main__.Thing") == 12345
    assert {th["tid"] for th in snap.threads} == {int(x) for x in os.listdir(f"/proc/{t.pid}/task")}
    t.end_well(baseline(hazard_python, "idle")[:2])


@pytest.mark.fault(6, "an init of a pid namespace that waits for any child", "the twin is not among them")
def test_forking_pid_1(one_python, start, memattach, need_root):
    """An init waits for any child: the twin must not be among them."""
    t = start(one_python, "forks", "fork", wrap=("unshare", "--pid", "--fork", "--kill-child", "--mount-proc"), pid_of=only_child)
    for _ in range(6):
        with Unharmed(t, quiet=False, children=False):
            memattach.snapshot(t.pid)
    t.end_well()


@pytest.mark.fault(23, "files that only the target sees", "read through /proc/PID/root")
def test_mount_namespace(one_python, start, memattach, need_root, tmp_path):
    """The interpreter's files are where only the target sees them."""
    if subprocess.run(["unshare", "--mount", "true"]).returncode:
        pytest.skip("no new mount namespace here")
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    prefix = os.path.dirname(os.path.dirname(one_python.path))
    script = (f"mount --bind {prefix} {hidden} && export LD_LIBRARY_PATH={hidden}/lib && "
              f'exec {hidden}/bin/{os.path.basename(one_python.path)} "$@"')
    t = start("/bin/sh", "idle", wrap=("unshare", "--mount", "/bin/sh", "-c", script))
    assert any(str(hidden) in line for line in maps(t.pid))
    assert not list(hidden.iterdir())
    with Unharmed(t):
        snap = memattach.snapshot(t.pid)
    assert snap.counts().get("__main__.Thing") == 12345
    t.end_well()


def test_root_attaches_another_user(start, memattach, need_root, public_targets):
    t = start(public_python(), "idle", wrap=as_user(NOBODY), program_dir=public_targets)
    with Unharmed(t):
        snap = memattach.snapshot(t.pid)
    assert snap.counts().get("__main__.Thing") == 12345
    assert snap.path.stat().st_uid == os.geteuid()
    t.end_well()


@pytest.mark.fault(21, "the same user, without privilege", "done")
def test_user_attaches_own_process(start, public_memattach, need_root, public_targets):
    memattach, folder = public_memattach
    t = start(public_python(), "idle", wrap=as_user(NOBODY), program_dir=public_targets)
    with Unharmed(t):
        done = memattach.run(t.pid, "-o", folder + "/mine", "--json", wrap=as_user(NOBODY))
    assert done.rc == 0, done
    assert os.stat(folder + "/mine").st_uid == NOBODY
    t.end_well()


@pytest.mark.fault(21, "another user", "refused by the kernel")
def test_user_may_not_attach_root(one_python, start, public_memattach, need_root):
    memattach, folder = public_memattach
    t = start(one_python, "idle")
    with Unharmed(t):
        done = memattach.run(t.pid, "-o", folder + "/mine", "--json", wrap=as_user(NOBODY))
    check_error(done, 4, str(t.pid), ("uid", "user"))
    check_nothing_left(folder + "/mine")
    t.end_well()


def test_user_may_not_attach_another_user(start, public_memattach, need_root, public_targets):
    memattach, folder = public_memattach
    t = start(public_python(), "idle", wrap=as_user(NOBODY), program_dir=public_targets)
    with Unharmed(t):
        done = memattach.run(t.pid, "-o", folder + "/mine", wrap=as_user(NOBODY - 1))
    check_error(done, 4, str(t.pid), ("uid", "user"))
    t.end_well()


@pytest.mark.fault(21, "the same user, a program that is not dumpable; then root", "refused, done", refused="is not dumpable", once=True)
def test_not_dumpable(start, public_memattach, need_root, public_targets):
    memattach, folder = public_memattach
    t = start(public_python(), "idle", wrap=as_user(NOBODY), program_dir=public_targets)
    t.ask("harm dumpable", "harmed")
    with Unharmed(t):
        done = memattach.run(t.pid, "-o", folder + "/mine", wrap=as_user(NOBODY))
        check_error(done, 4, str(t.pid), "is not dumpable", "sudo")
        check_nothing_left(folder + "/mine")
        memattach.snapshot(t.pid)
    t.end_well()


@pytest.mark.fault(21, "root of another user namespace", "refused", refused="root of this user namespace", once=True)
def test_from_another_user_namespace(one_python, start, memattach, need_root):
    space = ("unshare", "--user", "--map-root-user")
    if subprocess.run([*space, "true"]).returncode:
        pytest.skip("no new user namespace here")
    t = start(one_python, "idle")
    path = memattach.new_path()
    with Unharmed(t):
        check_error(memattach.run(t.pid, "-o", path, wrap=space), 4, str(t.pid), "root of this user namespace", "on the host")
        check_nothing_left(path)
    t.end_well()


def with_hidden_processes(option, *words):
    """A wrap: /proc mounted with hidepid in a mount namespace of its own."""
    return ("unshare", "--mount", "sh", "-c", f'mount -t proc -o hidepid={option} proc /proc && exec "$@"', "sh", *words)


@pytest.mark.fault(21, "another user, and a /proc that hides it (hidepid)", "refused", refused="/proc hides it", once=True)
@pytest.mark.parametrize("option", [1, 2, pytest.param(4, marks=pytest.mark.long)])
def test_hidden_in_proc(one_python, start, public_memattach, need_root, option):
    """It is there and not permitted, which is another thing than not being there."""
    memattach, folder = public_memattach
    t = start(one_python, "idle")
    with Unharmed(t):
        for command in (["-o", folder + "/mine", "--json"], ["--stop", "-o", folder + "/mine"]):
            done = memattach.run(t.pid, *command, wrap=with_hidden_processes(option, *as_user(NOBODY)))
            check_error(done, 4, str(t.pid), "/proc hides it", "sudo")
        done = memattach.run("doctor", t.pid, wrap=with_hidden_processes(option, *as_user(NOBODY)))
        check_error(done, 4, str(t.pid), "/proc hides it")
    check_nothing_left(folder + "/mine")
    t.end_well()


@pytest.mark.fault(21, "the same user or root, where /proc hides the processes of others", "done", once=True)
@pytest.mark.parametrize("option", [2, pytest.param(1, marks=pytest.mark.long), pytest.param(4, marks=pytest.mark.long)])
def test_not_hidden_in_proc(start, public_memattach, need_root, public_targets, option):
    memattach, folder = public_memattach
    t = start(public_python(), "idle", wrap=as_user(NOBODY), program_dir=public_targets)
    for n, user in enumerate((as_user(NOBODY), ())):
        with Unharmed(t):
            done = memattach.run(t.pid, "-o", f"{folder}/{n}", "--json", wrap=with_hidden_processes(option, *user))
        assert done.rc == 0, done
    t.end_well()


CLONE, CLONE3, CLOSE_RANGE, MMAP = 56, 435, 436, 9


@pytest.mark.fault(4, "filters that answer clone, close_range, memfd_create with an error or death",
                   "the filter is lifted for the stop, or an error")
@pytest.mark.parametrize("action,numbers", [("errno", (CLONE, CLONE3)), ("kill", (CLONE, CLONE3)), ("errno", (CLOSE_RANGE,)),
                                            ("errno", (CLOSE_RANGE, 272)), ("kill", (CLOSE_RANGE,)), ("errno", (319,)),
                                            ("kill", (319, 438))],
                         ids=["clone-errno", "clone-kill", "close_range-errno", "close_range-and-unshare-errno", "close_range-kill",
                              "memfd-errno", "memfd-kill"])
def test_seccomp(hazard_python, start, memattach, action, numbers):
    """Done or refused, with one line; the target lives and has all of its descriptors either way."""
    t = start(hazard_python, "seccomp", action, *numbers)
    path = memattach.new_path()
    with Unharmed(t):
        done = memattach.run(t.pid, "-o", path, "--json")
        assert done.rc in (0, 1, 5), done
    if done.rc:
        check_error(done, (1, 5))
        check_nothing_left(path)
    t.end_well(baseline(hazard_python, "seccomp", action, *numbers))


@pytest.mark.fault(4, "a filter, and nobody who may lift it", "refused", refused="seccomp")
def test_seccomp_refused_without_privilege(start, public_memattach, need_root, public_targets):
    """Without CAP_SYS_ADMIN nobody can tell whether the filter would kill: no twin, and the reason is named."""
    memattach, folder = public_memattach
    t = start(public_python(), "seccomp", "kill", CLONE, CLONE3, wrap=as_user(NOBODY), program_dir=public_targets)
    with Unharmed(t):
        done = memattach.run(t.pid, "-o", folder + "/mine", wrap=as_user(NOBODY))
    check_error(done, (1, 5), "seccomp")
    check_nothing_left(folder + "/mine")
    t.end_well()


def test_cpu_quota(one_python, cgroup, memattach, need_root):
    """Half a core: the copy's work is not charged to the target, so its longest gap is the stop and little more."""
    from target import Target
    group = cgroup("cpu", {"cpu.cfs_period_us": 100000, "cpu.cfs_quota_us": 50000})
    t = Target(one_python, "heartbeat", 600000, wrap=in_group(group))
    try:
        t.wait_ready()
        excess = []
        for _ in range(7):
            t.ask("gap", "gap")
            with Unharmed(t, quiet=False):
                snap = memattach.snapshot(t.pid)
                gap = int(t.ask("gap", "gap").split()[1]) / 1000
            excess.append(gap - snap.pause_ns / 1e6)
        # without the move the gaps were 46 to 48 ms each; one noisy neighbour must not fail the test
        assert sorted(excess)[len(excess) // 2] < 20, excess
        t.end_well()
    finally:
        t.close()


@pytest.mark.fault(15, "a pids group that is full", "refused", refused="processes that pids.max allows")
def test_pids_limit(one_python, cgroup, memattach, need_root):
    """No room for one more process: one clear line, and the target is unharmed."""
    from target import Target
    group = cgroup("pids", {})
    t = Target(one_python, "idle", wrap=in_group(group))
    try:
        t.wait_ready()
        with open(group + "/pids.current") as f:
            now = f.read().strip()
        with open(group + "/pids.max", "w") as f:
            f.write(now)
        path = memattach.new_path()
        with Unharmed(t):
            done = memattach.run(t.pid, "-o", path, "--json")
        check_error(done, (1, 5), ("pids", "process", "fork", "clone", "limit"))
        check_nothing_left(path)
        with open(group + "/pids.max", "w") as f:
            f.write("max")
        memattach.snapshot(t.pid)
        t.end_well()
    finally:
        t.close()


@pytest.mark.fault(5, "a memory group with little room", "refused beforehand or given up; the twin is what the kernel takes")
def test_memory_limit(one_python, cgroup, memattach, need_root):
    """A memory control group with little room: the target is not the one that the kernel ends."""
    from target import Target
    group = cgroup("memory", {"memory.limit_in_bytes": 80 << 20})
    t = Target(one_python, "busy_python", wrap=in_group(group))
    try:
        t.wait_ready()
        for _ in range(3):
            with Unharmed(t, quiet=False):
                done = memattach.run(t.pid, "-o", memattach.new_path(), "--json")
                assert done.rc in (0, 1, 5), done
        t.end_well()
    finally:
        t.close()


@pytest.mark.fault(12, "the main thread has ended", "another thread stands for it")
def test_without_main_thread(hazard_python, start, memattach):
    """The main thread has exited: /proc/PID/maps and exe are empty, the leader is a zombie that cannot be traced."""
    t = start(hazard_python, "zombie_leader")
    assert state(t.pid) == "Z"
    with Unharmed(t):
        snap = memattach.snapshot(t.pid)
    assert snap.counts().get("__main__.Kept") == 5000
    assert snap.frames("serve")
    t.end_well(baseline(hazard_python, "zombie_leader"))


@pytest.mark.fault(23, "its files removed, or replaced", "read from memory")
@pytest.mark.parametrize("what", ["removed", "replaced"])
def test_deleted_interpreter(one_python, start, memattach, tmp_path, what):
    """The files that the target runs were removed, or replaced by others, since it started, as an upgrade does."""
    prefix = os.path.dirname(os.path.dirname(one_python.path))
    copies = [tmp_path / "python"]
    shutil.copy(one_python.path, copies[0])
    for library in glob.glob(f"{prefix}/lib/libpython3.*.so.*"):
        copies.append(tmp_path / os.path.basename(library))
        shutil.copy(library, copies[-1])
    t = start(str(copies[0]), "idle", env={"PYTHONHOME": prefix, "LD_LIBRARY_PATH": str(tmp_path)})
    for copy in copies:
        copy.unlink()
        if what == "replaced":
            shutil.copy("/bin/true", copy)
    assert any("(deleted)" in line for line in maps(t.pid))
    path = memattach.new_path()
    with Unharmed(t):
        snap = memattach.snapshot(t.pid, path)
    assert snap.counts().get("__main__.Thing") == 12345
    assert line_of("idle", "waits") in [line for s in snap.frames("inner") for _, line in s]
    t.end_well()
