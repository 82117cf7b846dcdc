# SPDX-License-Identifier: Apache-2.0
"""Memory that is no twin's: core files, which the kernel or gcore wrote, and those that are none."""
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest

import pythons
import target
from memattach import MEMORY_ROWS, Snapshot, check_error, check_nothing_left
from target import line_of, wait_until

sys.path.insert(0, str(target.TARGETS))
from things import COUNTS  # noqa: E402

WITH_CORE = ("/bin/sh", "-c", 'ulimit -c unlimited && exec "$@"', "sh")


def kernel_core(start, python, folder, **options):
    """The core that the kernel writes of a program that aborts, and the pid that it had."""
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if pattern.startswith(("|", "/")) or "%" in pattern:
        pytest.skip(f"the kernel's cores go to {pattern}")
    folder.mkdir(exist_ok=True)
    t = start(python, "idle", wrap=WITH_CORE, cwd=folder, **options)
    t.ping()
    t.signal(signal.SIGABRT)
    t.popen.wait(60)
    found = list(folder.glob("core*"))
    if not found:
        pytest.skip("the kernel wrote no core (RLIMIT_CORE)")
    return found[0], t.pid


def gcore(t, folder):
    if not shutil.which("gcore"):
        pytest.skip("no gcore on this machine (Debian: gdb)")
    done = subprocess.run(["gcore", "-o", folder / "gcore", str(t.pid)], capture_output=True, text=True, timeout=120)
    path = folder / f"gcore.{t.pid}"
    assert path.exists(), done
    return path


def exe_of(python):
    """Where the program of a tree is for us."""
    return ("--exe", f"{python.tree}{python.path}") if getattr(python, "tree", None) else ()


def from_core(memattach, path, *options):
    out = memattach.new_path()
    done = memattach.run(f"core:{path}", "-o", out, "--json", *options)
    assert done.rc == 0, done
    snap = Snapshot(out, json.loads(done.out))
    r = snap.report
    assert r["source"] == "core" and r["pause_ns"] == 0 and r["faults"] == 0, r
    assert r["complete"]
    rows = snap.rows()
    assert set(rows) == MEMORY_ROWS and sum(rows.values()) == r["rss_bytes"]
    assert any("core file" in n for n in r["notes"])
    return snap


def check_idle(snap, python, pid):
    counts = snap.counts()
    assert {name: counts.get(name) for name in COUNTS} == COUNTS
    assert counts.get("__main__.Thing") == 12345
    assert snap.python == python.version and snap.report["pid"] == pid
    assert snap.consistency == "gil-free"
    assert snap.report["refcount_excess"] == 0
    waiter, = snap.frames("inner")
    assert waiter[0] == ("inner", line_of("idle", "waits"))
    main, = snap.frames("serve")
    assert main[-1][0] == "<module>"
    assert pid in {th["tid"] for th in snap.threads}


def test_of_the_kernel(python, start, memattach, tmp_path):
    path, pid = kernel_core(start, python, tmp_path / "dump")
    snap = from_core(memattach, path, *exe_of(python))
    path.unlink()
    check_idle(snap, python, pid)
    assert not [n for n in snap.report["notes"] if "not here" in n], snap.report["notes"]


def test_of_gcore(hazard_python, start, memattach, tmp_path):
    t = start(hazard_python, "idle")
    path = gcore(t, tmp_path)
    snap = from_core(memattach, path, *exe_of(hazard_python))
    path.unlink()
    check_idle(snap, hazard_python, t.pid)
    t.end_well()


def test_stacks_and_series(one_python, start, memattach, tmp_path):
    path, pid = kernel_core(start, one_python, tmp_path / "dump")
    done = memattach.run("stacks", f"core:{path}")
    assert done.rc == 0 and "from a core file" in done.out and "inner" in done.out, done
    check_error(memattach.run("stacks", "--native", f"core:{path}"), 2, "--native needs a process")
    check_error(memattach.run("doctor", f"core:{path}"), 2, "no doctor")
    check_error(memattach.run(f"core:{path}", "--tree"), 2, "stands alone")
    done = memattach.run("snap", f"core:{path}", "-o", tmp_path / "of-core")
    assert done.rc == 0 and "stopped" not in done.out, done
    done = memattach.run("report", tmp_path / "of-core", "--brief")
    assert "from a core file" in done.out and f"pid {pid}" in done.out, done
    check_error(memattach.run(os.getpid(), "--exe", sys.executable), 2, "core:FILE")
    path.unlink()


def changed(path, copy, offset, data):
    shutil.copyfile(path, copy)
    with open(copy, "r+b") as f:
        f.seek(offset)
        f.write(data)
    return copy


def headers(path):
    """Offset and fields of the program headers: type, flags, offset, vaddr, paddr, filesz, memsz, align."""
    with open(path, "rb") as f:
        head = f.read(64)
        at, count = struct.unpack_from("<Q", head, 32)[0], struct.unpack_from("<H", head, 56)[0]
        f.seek(at)
        return [(at + 56 * i, struct.unpack("<IIQQQQQQ", f.read(56))) for i in range(count)]


def test_refused(one_python, start, memattach, tmp_path):
    path, _ = kernel_core(start, one_python, tmp_path / "dump")
    made, out = tmp_path / "made", tmp_path / "out"

    def refused(code, *words, file=made, options=()):
        check_error(memattach.run(f"core:{file}", "-o", out, *options), code, *words)
        check_nothing_left(out)

    refused(2, "cannot open", file=tmp_path / "none")
    refused(6, "a folder", file=tmp_path)
    made.write_bytes(b"")
    refused(6, "not a core file: it has 0 bytes")
    refused(6, "a program or library", file=one_python.path)
    refused(6, "does not begin as an ELF file", file=__file__)
    changed(path, made, 4, b"\1")
    refused(5, "32-bit")
    changed(path, made, 18, b"\xb7")
    refused(5, "aarch64")
    whole = path.read_bytes()
    made.write_bytes(whole[:len(whole) // 2])
    refused(6, "cut off")
    made.write_bytes(whole[:200])
    refused(6, "cut off within its program headers")
    loads = [(at, h) for at, h in headers(path) if h[0] == 1 and h[5]]
    at, h = loads[3]
    changed(path, made, at + 16, struct.pack("<Q", 0xffff800000000000))
    refused(6, "where no process has one")
    changed(path, made, at + 16, struct.pack("<Q", loads[4][1][3]))
    refused(6, "two segments")
    changed(path, made, loads[0][0] + 40, struct.pack("<Q", 1 << 45))
    refused(6, "two segments")
    changed(path, made, at + 32, struct.pack("<Q", h[6] + 4096))
    refused(6, "broken core file")
    refused(2, "is not the program that ran", "build id", file=path, options=("--exe", "/bin/sh"))
    refused(2, "is no executable", file=path, options=("--exe", __file__))
    path.unlink()


def test_damaged(one_python, start, memattach, tmp_path):
    """Words of its headers, notes and memory are others: it is read or refused with one line, and nothing is left."""
    path, _ = kernel_core(start, one_python, tmp_path / "dump")
    whole, made, out = path.read_bytes(), tmp_path / "made", tmp_path / "out"
    notes = next(h for _, h in headers(path) if h[0] == 4)
    path.unlink()
    choose = random.Random(20261121)
    for _ in range(16):
        data = bytearray(whole)
        for _ in range(choose.choice((1, 4, 16))):
            first, last = choose.choice(((0, 64), (64, notes[2]), (notes[2], notes[2] + notes[5]), (notes[2], len(data))))
            struct.pack_into("<Q", data, choose.randrange(first, last - 8) & ~7,
                             choose.choice((0, 1, 4095, 0xffff, 0xffffffff, 1 << 40, 1 << 47, (1 << 63) - 1, (1 << 64) - 1)))
        made.write_bytes(data)
        done = memattach.run("snap", f"core:{made}", "-o", out)
        assert done.rc in (0, 2, 5, 6, 7) and len(done.err.splitlines()) == (done.rc != 0), done
        if done.rc:
            check_nothing_left(out)
        else:
            out.unlink()
    memattach.wait_gone()


def test_killed_meanwhile(one_python, start, memattach, tmp_path):
    """Neither the tracer nor the husk outlives the command."""
    path, _ = kernel_core(start, one_python, tmp_path / "dump")
    for _ in range(4):
        p = memattach.start("snap", f"core:{path}", "-o", tmp_path / "out")
        wait_until(lambda: memattach.tracer_of(p) or p.poll() is not None, what="a tracer", step=0)
        p.kill()
        p.wait(30)
        memattach.wait_gone(30)
    path.unlink()


def test_not_python(start, memattach, one_python, tmp_path):
    path, _ = kernel_core(start, one_python, tmp_path / "dump")
    path.unlink()
    sleeper = subprocess.Popen([*WITH_CORE, "sleep", "100"], cwd=tmp_path / "dump")
    wait_until(lambda: Path(f"/proc/{sleeper.pid}/comm").read_text() == "sleep\n")
    sleeper.send_signal(signal.SIGABRT)
    sleeper.wait(30)
    path, = (tmp_path / "dump").glob("core*")
    check_error(memattach.run(f"core:{path}", "-o", tmp_path / "out"), 5, "it is not a Python process")


def test_program_replaced(start, memattach, tmp_path):
    """The interpreter was upgraded meanwhile: another file stands where it was."""
    python = pythons.public(pythons.supported())
    if not python or "libpython" in subprocess.run(["ldd", python.path], capture_output=True, text=True).stdout:
        pytest.skip("no Python here that has its interpreter in the program itself")
    copied, kept = tmp_path / "python", tmp_path / "kept"
    shutil.copy(python.path, copied)
    path, pid = kernel_core(start, str(copied), tmp_path / "dump", env={"PYTHONHOME": "/usr"})
    copied.rename(kept)
    shutil.copyfile("/bin/sh", copied)
    check_error(memattach.run(f"core:{path}", "-o", tmp_path / "out"), 5, "not here, or another one now", "--exe")
    check_idle(from_core(memattach, path, "--exe", kept), python, pid)


def test_a_small_file_takes_little(one_python, memattach, tmp_path):
    """Headers that promise terabytes: nothing is set aside for what the file does not have."""
    head = bytearray(64)
    head[:7] = b"\x7fELF\2\1\1"
    count = 60000
    struct.pack_into("<HHIQQQIHHHHHH", head, 16, 4, 62, 1, 0, 64, 0, 0, 64, 56, count, 0, 0, 0)
    ph = b"".join(struct.pack("<IIQQQQQQ", 1, 6, 0, (i + 1) << 30, 0, 0, 1 << 30, 4096) for i in range(count))
    path = tmp_path / "small"
    path.write_bytes(bytes(head) + ph)
    done = memattach.run(f"core:{path}", "-o", tmp_path / "out", wrap=("/bin/sh", "-c", 'ulimit -v 1000000; exec "$@"', "sh"))
    assert done.rc in (5, 6, 7) and len(done.err.splitlines()) == 1, done
