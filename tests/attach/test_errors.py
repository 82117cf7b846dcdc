# SPDX-License-Identifier: Apache-2.0
"""What bad input gets: one line on stderr, the exit code of the design, nothing under the final name, a target untouched."""
import os
import random
import resource
import shutil
import subprocess
import time

import pytest

import pythons
from memattach import check_error, check_nothing_left
from target import wait_until
from unharmed import Unharmed, tracers


def refused(memattach, pid, code, *words, args=(), **options):
    path = memattach.new_path()
    done = memattach.run(pid, "-o", path, "--json", *args, **options)
    check_error(done, code, *words)
    check_nothing_left(path)
    memattach.wait_gone()
    return done


def free_pid():
    p = subprocess.Popen(["/bin/true"])
    p.wait()
    return p.pid


def test_no_such_process(memattach):
    pid = free_pid()
    for command in ((), ("stacks",), ("doctor",)):
        done = memattach.run(*command, pid)
        check_error(done, 3, str(pid))


@pytest.mark.parametrize("word", ["0", "-1", "1x", "99999999999999999999", "", "2147483648"])
def test_not_a_pid(memattach, word):
    done = memattach.run(word)
    assert done.rc in (2, 3) and done.out == "" and 1 <= len(done.err.splitlines()) <= 3, done


@pytest.mark.parametrize("args", [("report",), ("query", "x"), ("check",), ("stacks",), ("--no-such-option",), ("1", "2"), ("1", "-o")])
def test_usage(memattach, args):
    done = memattach.run(*args)
    assert done.rc == 2 and done.out == "" and done.err.startswith("memattach: "), done


def test_not_python(memattach):
    p = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        refused(memattach, p.pid, 5, "python")
        with open(f"/proc/{p.pid}/status") as f:
            assert "State:\tS" in f.read()
        assert p.poll() is None
    finally:
        p.kill()
        p.wait()


def test_a_thread_is_not_a_process(one_python, start, memattach):
    """A thread id stands in /proc, too. Refused, or taken for its process; never half of each."""
    t = start(one_python, "idle")
    other, = [x for x in os.listdir(f"/proc/{t.pid}/task") if int(x) != t.pid]
    with Unharmed(t):
        done = memattach.run(other, "-o", memattach.new_path(), "--json")
        assert done.rc in (0, 2, 3, 5) and len(done.err.splitlines()) == bool(done.rc), done


def test_kernel_thread(memattach, need_root):
    if not os.path.exists("/proc/2/comm") or open("/proc/2/comm").read() != "kthreadd\n":
        pytest.skip("no kernel thread to be seen here")
    refused(memattach, 2, (4, 5))


def test_own_process(memattach):
    """memattach cannot attach itself; exec keeps the shell's pid."""
    done = subprocess.run(["/bin/sh", "-c", f"exec {memattach.path} $$"], capture_output=True, text=True, timeout=60)
    assert done.returncode in (2, 4, 5) and len(done.stderr.splitlines()) == 1, done


@pytest.mark.parametrize("old", pythons.too_old() or [pytest.param(None, marks=pytest.mark.skip(reason="no Python before 3.8 here"))],
                         ids=lambda p: p.id if p else "none")
def test_too_old(start, memattach, old):
    p = subprocess.Popen([old.path, "-c", "import sys; print('ready'); sys.stdout.flush(); sys.stdin.readline(); print('done')"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert p.stdout.readline() == b"ready\n"
        refused(memattach, p.pid, 5, ".".join(str(x) for x in old.minor))
        assert not tracers(p.pid)
        assert p.communicate(b"\n", timeout=30)[0] == b"done\n" and p.returncode == 0
    finally:
        if p.poll() is None:
            p.kill()
            p.wait()


@pytest.mark.fault(21, "strace is there already", "refused", refused="traced by")
def test_already_traced(one_python, start, memattach):
    if not shutil.which("strace"):
        pytest.skip("no strace on this machine")
    t = start(one_python, "idle")
    tracer = subprocess.Popen(["strace", "-f", "-o", "/dev/null", "-p", str(t.pid)], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: len(tracers(t.pid)) == 2)
        refused(memattach, t.pid, 4, str(tracer.pid), "traced")
        assert set(tracers(t.pid).values()) == {tracer.pid}
        t.ping()
    finally:
        tracer.terminate()
        tracer.wait()
    with Unharmed(t):
        memattach.snapshot(t.pid)
    t.end_well()


@pytest.mark.parametrize("place", ["nowhere/snap", "file/snap", "folder", "readonly/snap", "/proc/snap", "/dev/null/snap"])
def test_output_not_writable(one_python, start, memattach, tmp_path, place):
    """Found before the target is touched: a target that is stopped for a moment would show in its context switches."""
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "readonly").mkdir(mode=0o500)
    if place.startswith("readonly") and os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    t = start(one_python, "idle")
    with Unharmed(t):
        switches = context_switches(t.pid)
        done = memattach.run(t.pid, "-o", tmp_path / place, "--json")
        check_error(done, (1, 2) if place == "folder" else 1, place.rsplit("/", 1)[0].rsplit("/", 1)[-1])
        assert context_switches(t.pid) == switches, "the target was stopped"
    assert not [p for p in tmp_path.rglob("*tmp*")]
    t.end_well()


def context_switches(pid):
    found = []
    for tid in sorted(os.listdir(f"/proc/{pid}/task")):
        with open(f"/proc/{pid}/task/{tid}/status") as f:
            found += [x for x in f if "ctxt_switches" in x]
    return found


@pytest.fixture
def small_disk(tmp_path, need_root):
    """small_disk(bytes) mounts a tmpfs of that size."""
    mounted = []

    def make(size):
        folder = tmp_path / f"disk{size}"
        folder.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder]).returncode:
            pytest.skip("cannot mount a tmpfs here")
        mounted.append(folder)
        return folder
    yield make
    for folder in mounted:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.fault(24, "a full disk", "an error, and no file")
@pytest.mark.parametrize("size", [4096, 65536, 262144])
def test_disk_full(one_python, start, memattach, small_disk, size):
    folder = small_disk(size)
    t = start(one_python, "heartbeat", 1000000)
    with Unharmed(t, quiet=False):
        done = memattach.run(t.pid, "-o", folder / "snap", "--json")
        check_error(done, 1, ("space", "full"))
    assert list(folder.iterdir()) == []
    memattach.wait_gone()
    t.end_well()


def test_file_size_limit(one_python, start, memattach, monkeypatch):
    """RLIMIT_FSIZE: an error of write, not a death by SIGXFSZ."""
    monkeypatch.setenv("LLVM_PROFILE_FILE", "/dev/null")  # tools/coverage: the counters at the end are over the limit, too
    t = start(one_python, "heartbeat", 1000000)
    path = memattach.new_path()
    with Unharmed(t, quiet=False):
        done = memattach.run(t.pid, "-o", path, "--json", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536)))
        assert done.rc == 1 and len(done.err.splitlines()) == 1, done
    check_nothing_left(path)
    t.end_well()


@pytest.mark.fault(24, "nobody reads (SIGPIPE)", "the snapshot is whole")
def test_stdout_closed(one_python, start, memattach):
    """A reader of our output that went away, and /dev/full."""
    t = start(one_python, "idle")
    with Unharmed(t):
        for command in (f"{memattach.path} {t.pid} -o {memattach.new_path()} --json > /dev/full",
                        f"{memattach.path} {t.pid} -o {memattach.new_path()} --json | true; exit ${{PIPESTATUS[0]}}"):
            done = subprocess.run(["/bin/bash", "-c", command], capture_output=True, text=True, timeout=60, env=memattach.environ())
            assert done.returncode in (0, 1, 141) and len(done.stderr.splitlines()) <= 1, (command, done)
    t.end_well()


# ---------------------------------------------------------------- files that are not whole or not ours
@pytest.mark.fault(24, "the terminal is /dev/full", "an error; the snapshot is whole")
def test_output_to_a_full_device(one_python, start, memattach):
    """What is said can not be written: an error, and the snapshot is there."""
    t = start(one_python, "idle")
    path = memattach.new_path()
    with Unharmed(t), open("/dev/full", "w") as full:
        p = subprocess.run([memattach.path, str(t.pid), "-o", path], stdout=full, stderr=subprocess.PIPE, env=memattach.environ())
    assert p.returncode == 1 and len(p.stderr.splitlines()) == 1, p
    assert memattach.run("check", path).rc == 0
    t.end_well()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of a real snapshot."""
    import conftest
    from memattach import Memattach
    from target import Target
    path = conftest.memattach_path()
    chosen = pythons.one(pythons.supported())
    if not os.access(path, os.X_OK) or not chosen:
        pytest.fail("no memattach or no Python to make a snapshot with", pytrace=False)
    m = Memattach(path, tmp_path_factory.mktemp("whole"))
    t = Target(chosen[0], "idle")
    try:
        t.wait_ready()
        return m.snapshot(t.pid).path.read_bytes()
    finally:
        t.close()
        m.close()


OFFLINE = {"report": ("report", "{}"), "json": ("report", "{}", "--json"), "query": ("query", "{}", "SELECT count(*) FROM objects"),
           "check": ("check", "{}")}


def offline(memattach, command, path):
    return memattach.run(*[a.format(path) for a in OFFLINE[command]], timeout=60)


FOREIGN = {"empty": b"", "text": b"hello\n" * 1000, "zeros": bytes(100000), "elf": None, "short": b"\x7f"}


@pytest.mark.parametrize("command", OFFLINE)
@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_file(memattach, tmp_path, command, kind):
    path = tmp_path / "foreign"
    path.write_bytes(FOREIGN[kind] if FOREIGN[kind] is not None else open("/bin/true", "rb").read())
    check_error(offline(memattach, command, path), 6, "foreign")


@pytest.mark.parametrize("command", OFFLINE)
def test_no_file(memattach, tmp_path, command):
    check_error(offline(memattach, command, tmp_path / "absent"), 1, "absent")
    check_error(offline(memattach, command, tmp_path), (1, 6))


def good_or_one_line(done):
    """0 with a complete answer, perhaps a note; 6 with one line. Never a crash."""
    assert done.rc in (0, 6), done
    assert len(done.err.splitlines()) <= 2, done
    if done.rc:
        assert len(done.err.splitlines()) == 1 and done.err.startswith("memattach: "), done


@pytest.mark.fault(25, "a file cut off at each of many places", "an error, or all that is whole")
def test_truncated_file(memattach, tmp_path, whole):
    """Cut at 24 places: check says so; report and query give what is whole, and say what is missing, or refuse."""
    path = tmp_path / "cut"
    for n in range(24):
        size = (len(whole) * n // 24) if n < 20 else len(whole) - (24 - n)
        path.write_bytes(whole[:size])
        check_error(offline(memattach, "check", path), 6)
        for command in ("json", "query"):
            good_or_one_line(offline(memattach, command, path))


@pytest.mark.fault(25, "a file with bytes changed; fuzz targets (tests/fuzz) beside",
                   "an error, or what the checksums allow", once=True)
def test_damaged_file(memattach, tmp_path, whole):
    """One bit changed, at 40 places drawn with a fixed seed: check finds every one."""
    rng, path = random.Random(3), tmp_path / "damaged"
    for _ in range(40):
        data = bytearray(whole)
        place = rng.randrange(len(data))
        data[place] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        done = offline(memattach, "check", path)
        assert done.rc == 6, f"a changed bit at {place} of {len(data)} is not seen: {done}"
        check_error(done, 6)
        for command in ("json", "query"):
            good_or_one_line(offline(memattach, command, path))


def test_appended_file(memattach, tmp_path, whole):
    path = tmp_path / "longer"
    path.write_bytes(whole + b"more")
    check_error(offline(memattach, "check", path), 6)
    for command in ("json", "query"):
        good_or_one_line(offline(memattach, command, path))


def test_file_that_is_a_fifo(memattach, tmp_path):
    """A named pipe without a writer must not hang a command."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    begin = time.monotonic()
    done = memattach.run("check", path, timeout=20)
    assert done.rc in (1, 6) and time.monotonic() - begin < 10, done
