# SPDX-License-Identifier: Apache-2.0
"""Targets of which no copy may be made: refused by name before anything is done to them, and unharmed."""
import os
import shutil
import subprocess

import pytest
from memattach import check_error, check_nothing_left
from target import baseline
from unharmed import Unharmed


def long(*values):
    return pytest.param(*values, marks=pytest.mark.long)


def refused(memattach, t, code, *words):
    path = memattach.new_path()
    with Unharmed(t):
        check_error(memattach.run(t.pid, "-o", path, "--json"), code, *words)
        check_nothing_left(path)
        memattach.wait_gone()
    t.end_well()


@pytest.mark.fault(14, "a userfaultfd that a fork would wait for", "refused", refused="userfaultfd")
def test_userfaultfd_with_event_fork(one_python, start, memattach):
    """The clone would wait for the reader of the event, a thread that we stopped."""
    t = start(one_python, "uffd")
    if "not on this kernel" in t.lines:
        pytest.skip("no userfaultfd here")
    refused(memattach, t, 5, "userfaultfd")


@pytest.mark.fault(23, "a Python on musl", "refused", refused="musl", once=True)
def test_musl(one_python, start, memattach, tmp_path, need_root):
    """By name, until one is at hand to try: here it is glibc's linker under that name."""
    program = tmp_path / "python"
    linker = subprocess.run(["readelf", "-p", ".interp", one_python.path], capture_output=True, text=True).stdout.split()[-1]
    there = b"/mnt/ld-musl-x86_64.so.1"
    assert len(there) <= len(linker)
    data = open(one_python.path, "rb").read()
    program.write_bytes(data.replace(linker.encode() + b"\0", there.ljust(len(linker) + 1, b"\0"), 1))
    program.chmod(0o755)
    mounts = f"mount -t tmpfs none /mnt && cp {linker} {there.decode()} && mount --bind {program} {os.path.realpath(one_python.path)}"
    t = start(one_python, "idle", wrap=("unshare", "--mount", "sh", "-c", mounts + ' && exec "$@"', "sh"))
    refused(memattach, t, 5, "musl", there.decode())


@pytest.mark.fault(4, "a thread that dispatches its system calls by itself", "let go without a call",
                   refused="PR_SET_SYSCALL_USER_DISPATCH", once=True)
def test_syscall_user_dispatch(one_python, start, memattach):
    """A call made in it would be a SIGSYS that ends it."""
    t = start(one_python, "dispatch")
    if "not on this kernel" in t.lines:
        pytest.skip("no PR_SET_SYSCALL_USER_DISPATCH here")
    refused(memattach, t, 5, "SYSCALL_USER_DISPATCH")


WAITS_FOREVER = """
.globl _start
_start: mov $29, %eax  # pause
        int $0x80
        jmp _start
"""


@pytest.mark.fault(23, "a 32-bit program", "refused", refused="is a 32-bit program, which is not supported")
def test_32_bit(memattach, tmp_path):
    """Other registers, other numbers of system calls."""
    if os.uname().machine != "x86_64" or not shutil.which("as") or not shutil.which("ld"):
        pytest.skip("no assembler for i386")
    source, program = tmp_path / "waits.s", tmp_path / "waits"
    source.write_text(WAITS_FOREVER)
    subprocess.run(["as", "--32", "-o", tmp_path / "waits.o", source], check=True)
    subprocess.run(["ld", "-m", "elf_i386", "-o", program, tmp_path / "waits.o"], check=True)
    try:
        p = subprocess.Popen([program])
    except OSError as e:
        pytest.skip(f"this kernel runs no 32-bit programs: {e}")
    try:
        path = memattach.new_path()
        for options in ([], ["--stop"]):
            with Unharmed(Process(p), ping=False):
                done = memattach.run("snap", p.pid, "-o", path, *options)
                check_error(done, 5, str(p.pid), "is a 32-bit program, which is not supported")
                check_nothing_left(path)
        assert "a 32-bit program" in memattach.run("doctor", p.pid).out
    finally:
        p.kill()
        p.wait()


class Process:
    """What Unharmed wants of a target, of a program that says nothing."""
    def __init__(self, popen):
        self.popen, self.pid = popen, popen.pid

    def alive(self):
        return self.popen.poll() is None

    def describe(self):
        return f"exit code {self.popen.returncode}"


@pytest.fixture
def huge_pages(need_root):
    """huge_pages(count) makes the pool of hugetlbfs so large, until the test is over."""
    pool = "/proc/sys/vm/nr_hugepages"

    def set_pool(count):
        with open(pool, "w") as f:
            f.write(str(count))
        with open(pool) as f:
            return int(f.read())
    try:
        with open(pool) as f:
            before = int(f.read())
        with open("/proc/meminfo") as f:
            available = int(f.read().partition("MemAvailable:")[2].split()[0])
    except (OSError, IndexError):
        pytest.skip("no hugetlbfs here")
    if before or available < 2 << 20:
        pytest.skip("somebody uses the pool of huge pages" if before else "too little free memory")

    def make(count):
        try:
            there = set_pool(count)
        except OSError as e:
            pytest.skip(f"{pool}: {e.strerror}")
        if there != count:
            set_pool(before)
            pytest.skip("no huge pages to be had")
    yield make
    set_pool(before)


@pytest.mark.fault(20, "private huge pages of hugetlbfs, and none left in the pool", "refused", refused="huge pages (hugetlbfs)")
@pytest.mark.parametrize("kind", ["noreserve", long("reserved")])
def test_hugetlb_without_a_free_page(one_python, start, memattach, huge_pages, kind):
    """With a copy its next write to one would be a SIGBUS: what is written to needs a page of its own then."""
    wanted = hugetlb_baseline(one_python, huge_pages, 4, kind)
    t = start(one_python, "hugetlb", 4, kind)
    path = memattach.new_path()
    with Unharmed(t, quiet=False):
        check_error(memattach.run(t.pid, "-o", path, "--json"), 5, "huge pages (hugetlbfs)", "--stop")
        check_nothing_left(path)
        assert "huge pages (hugetlbfs)" in memattach.run("doctor", t.pid).out
        done = memattach.run("snap", "--stop", t.pid, "-o", path)
        assert done.rc == 0, done
    t.end_well(wanted)


def hugetlb_baseline(python, huge_pages, pages, *words):
    huge_pages(pages)
    wanted = baseline(python, "hugetlb", pages, *words)
    if wanted[0] and wanted[0][0].startswith("no huge"):
        pytest.skip(wanted[0][0])
    return wanted


@pytest.mark.fault(20, "huge pages of hugetlbfs, private with as many free, or shared", "as before, and the rest is walked")
@pytest.mark.parametrize("kind,pool", [("noreserve", 8), long("reserved", 8), ("shared", 4)])
def test_hugetlb(one_python, start, memattach, huge_pages, kind, pool):
    wanted = hugetlb_baseline(one_python, huge_pages, 4, kind)
    huge_pages(pool)
    t = start(one_python, "hugetlb", 4, kind)
    for _ in range(2):
        with Unharmed(t, quiet=False):
            snap = memattach.snapshot(t.pid)
        assert snap.counts().get("__main__.Kept") == 5000
    t.end_well(wanted)


@pytest.mark.fault(15, "vm.overcommit_memory = 2 and too little left, for memattach alone", "refused",
                   refused="vm.overcommit_memory is 2")
@pytest.mark.parametrize("left_mb,code", [(1, 5), (100000, 0)])
def test_overcommit(one_python, start, memattach, need_root, tmp_path, left_mb, code):
    """What memattach reads is put before it in a mount namespace: the setting itself is the whole machine's."""
    (tmp_path / "mode").write_text("2\n")
    (tmp_path / "meminfo").write_text(f"MemTotal: 1 kB\nCommitLimit:  {left_mb * 1024 + 5} kB\nCommitted_AS:  5 kB\n")
    mounts = (f"mount --bind {tmp_path}/mode /proc/sys/vm/overcommit_memory && mount --bind {tmp_path}/meminfo /proc/meminfo && "
              'exec "$@"')
    t = start(one_python, "idle")
    path = memattach.new_path()
    with Unharmed(t):
        done = memattach.run("snap", t.pid, "-o", path, wrap=("unshare", "--mount", "sh", "-c", mounts, "sh"))
        if code:
            check_error(done, code, "vm.overcommit_memory is 2", f"where {left_mb} MB are left", "--stop")
            check_nothing_left(path)
    assert done.rc == code, done
    t.end_well()
