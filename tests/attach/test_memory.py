# SPDX-License-Identifier: Apache-2.0
"""All of RSS: the rows add up, next to nothing is unknown, and what they say of malloc is what malloc says of itself."""
import glob
import os
import subprocess
import sys
from pathlib import Path

import pytest

UNKNOWN = 0.03
MB = 1 << 20


def facts(t):
    """What the target said of itself before "ready"."""
    return {w[1]: int(w[2]) for w in (line.split() for line in t.lines) if w[0] == "fact"}


def check(snap, rss):
    """Rows, RSS and the heaps of one snapshot are consistent."""
    r, rows = snap.report, snap.rows()
    assert sum(rows.values()) == r["rss_bytes"]
    assert abs(r["rss_bytes"] - rss) <= UNKNOWN * rss + MB // 2, (r["rss_bytes"], rss)
    assert rows["unknown"] <= UNKNOWN * r["rss_bytes"], (rows, r["unknown_mappings"])
    assert sum(u["bytes"] for u in r["unknown_mappings"]) <= rows["unknown"]
    for h in r["allocator"]["heaps"]:
        parts = [h[k] for k in ("used", "cached", "free", "top")]
        assert all(p["resident_bytes"] <= p["bytes"] for p in parts), h
        assert sum(p["bytes"] for p in parts) <= h["bytes"], h
    return rows


def rss_of(t):
    with open(f"/proc/{t.pid}/status") as f:
        status = dict(line.split(":", 1) for line in f)
    return sum(int(status[k].split()[0]) for k in ("RssAnon", "RssFile", "RssShmem")) * 1024


@pytest.fixture
def measure(start, memattach):
    """measure(python, kind, ...) takes a snapshot of tests/targets/memory.py: the snapshot, its rows, its facts."""
    def run(python, *args, **options):
        t = start(python, "memory", *args, **options)
        rss = rss_of(t)
        snap = memattach.snapshot(t.pid, check=False)
        assert memattach.run("check", snap.path).rc == 0
        t.end_well()
        return snap, check(snap, rss), facts(t)
    return run


def same_as_mallinfo(snap, known):
    """All that mallinfo2() sums up, but for what ran between it and the snapshot."""
    if "arena" not in known:
        return  # glibc before 2.33
    a = snap.allocator
    sums = {k: sum(h[k]["bytes"] for h in a["heaps"]) for k in ("used", "cached", "free", "top")}
    slack = 0.01 * known["arena"] + 300_000  # a heap grows by 132 KiB
    assert abs(sum(h["bytes"] for h in a["heaps"]) - known["arena"]) <= slack
    assert abs(sums["free"] + sums["top"] - (known["fordblks"] - known["fsmblks"])) <= slack, (sums, known)
    assert abs(sums["used"] + sums["cached"] - known["uordblks"] - known["fsmblks"]) <= slack, (sums, known)
    assert all(h["unread_bytes"] == 0 for h in a["heaps"]), a["heaps"]


def test_idle(python, measure):
    snap, rows, known = measure(python, "idle")
    assert snap.allocator["name"] == "glibc" and snap.allocator["read"]
    same_as_mallinfo(snap, known)
    assert rows["objects"] > 500_000 and rows["code"] > MB and rows["data"] > 100_000
    assert 8192 <= rows["stacks"] < 2 * MB


def test_fragmented(python, measure):
    snap, rows, known = measure(python, "fragmented")
    assert rows["pymalloc_free_blocks"] + rows["pymalloc_free_pools"] > 0.5 * snap.rss_bytes, rows
    f = snap.fragmentation
    assert f["sparse_arenas"] > 0.7 * f["arenas"], f
    assert "__main__.Kept" in [t["type"] for t in f["types"]], f
    kept = next(t for t in f["types"] if t["type"] == "__main__.Kept")
    assert 0.7 * known["kept"] <= kept["objects"] <= known["kept"], f
    assert kept["arenas"] > 0.7 * f["sparse_arenas"], f
    texts = [c["text"] for c in snap.causes if c["name"].startswith("pymalloc")]
    assert len(texts) == 1 and "fragmentation" in texts[0] and "__main__.Kept" in texts[0], snap.causes
    assert sum(c["free"] * c["block_bytes"] for c in snap.size_classes) >= rows["pymalloc_free_blocks"]


def test_free_heap(python, measure):
    """What was freed below a block in use stays resident: it is free, not used, and malloc_trim would return it."""
    snap, rows, known = measure(python, "free_heap")
    same_as_mallinfo(snap, known)
    assert known["freed"] * 0.97 <= rows["malloc_free"] <= known["freed"] + 2 * MB, rows
    assert rows["malloc_used"] < 3 * MB, rows
    assert snap.allocator["trimmable_bytes"] > 0.9 * known["freed"]
    assert any(c["name"] == "malloc_free" and "malloc_trim" in c["text"] for c in snap.causes), snap.causes


def test_used_heap(one_python, measure):
    snap, rows, known = measure(one_python, "used_heap")
    same_as_mallinfo(snap, known)
    assert known["used"] <= rows["malloc_used"] <= known["used"] * 1.2, rows
    assert known["freed"] * 0.97 <= rows["malloc_free"] <= known["freed"] * 1.2, rows


def test_50_threads(python, measure):
    snap, rows, known = measure(python, "threads")
    same_as_mallinfo(snap, known)
    assert len(snap.threads) == 51
    assert 51 * 4096 <= rows["stacks"] <= 51 * 256 * 1024, rows
    assert snap.allocator["arenas"] > 4
    assert rows["malloc_used"] > 50 * 50 * 2000


def test_one_malloc_arena(python, measure):
    snap, rows, known = measure(python, "threads", env={"MALLOC_ARENA_MAX": "1"})
    same_as_mallinfo(snap, known)
    assert snap.allocator["arenas"] == 1 and len(snap.allocator["heaps"]) == 1
    assert rows["malloc_used"] > 50 * 50 * 2000


def test_python_objects_in_malloc(python, measure):
    """PYTHONMALLOC=malloc: nothing is in pymalloc, and headers of malloc's blocks are told apart."""
    snap, rows, _ = measure(python, "mixed", env={"PYTHONMALLOC": "malloc"})
    assert rows["pymalloc_free_blocks"] == rows["pymalloc_free_pools"] == 0
    assert rows["malloc_slack"] > 100_000
    assert rows["objects"] > 20000 * 100, rows
    assert rows["malloc_used"] > 20000 * 300, rows


def test_untouched_memory_does_not_count(one_python, measure):
    snap, rows, known = measure(one_python, "untouched")
    assert snap.bytes > known["zeros"]
    assert rows["objects"] + rows["buffers"] < 8 * MB, rows


def test_untouched_parts_of_huge_pages(one_python, measure):
    snap, rows, known = measure(one_python, "huge")
    if known["huge"] < 16 * MB:
        pytest.skip("the kernel gives no huge pages here (transparent_hugepage)")
    assert rows["huge_waste"] >= 0.9 * known["huge"], rows
    assert any(c["name"] == "huge_waste" for c in snap.causes)


def test_memory_of_nobody_is_listed(one_python, start, memattach):
    """A private mapping of the program's own is unknown, and is named by its place."""
    t = start(one_python, "memory", "private_map")
    snap = memattach.snapshot(t.pid)
    known = facts(t)
    assert known["mapped"] <= snap.rows()["unknown"] <= known["mapped"] + MB
    top = snap.unknown_mappings[0]
    assert top["bytes"] >= known["mapped"] and top["end"] - top["start"] >= known["mapped"], top
    with open(f"/proc/{t.pid}/maps") as f:
        ranges = [[int(x, 16) for x in line.split()[0].split("-")] for line in f]
    assert any(a <= top["start"] < b for a, b in ranges)
    t.end_well()


@pytest.mark.parametrize("name, pattern", [("jemalloc", "libjemalloc.so.2"), ("tcmalloc", "libtcmalloc_minimal.so.4"),
                                           ("mimalloc", "libmimalloc.so.2*")])
def test_other_allocators_are_named(one_python, measure, name, pattern):
    found = sorted(glob.glob(f"/usr/lib/*/{pattern}"))
    if not found:
        pytest.skip(f"no {pattern}: apt install libjemalloc2 libtcmalloc-minimal4 libmimalloc2.0")
    snap, rows, _ = measure(one_python, "mixed", env={"LD_PRELOAD": found[0]})
    assert snap.allocator["name"] == name and not snap.allocator["read"] and not snap.allocator["heaps"]
    assert rows["malloc_free"] == rows["malloc_used"] == 0, rows
    assert rows["malloc_unread"] > 20000 * 300, rows
    assert rows["objects"] > 20000 * 48 and rows["buffers"] > 300 << 16, rows


def pandas_python(python):
    """An interpreter that has pandas, in a folder of ours that stays."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "memattach-tests" / f"pandas-{python.id}"
    tool = cache / "bin" / "python"
    if subprocess.run([tool, "-c", "import pandas"], capture_output=True).returncode == 0 if tool.exists() else False:
        return tool
    try:
        subprocess.run([python.path, "-m", "venv", cache], check=True, capture_output=True, timeout=120)
        subprocess.run([tool, "-m", "pip", "install", "-q", "--only-binary", ":all:", "pandas"], check=True,
                       capture_output=True, timeout=400)
    except (OSError, subprocess.SubprocessError) as e:
        pytest.skip(f"pandas can not be installed: {e}")
    return tool


def test_pandas(one_python, measure):
    """1 GB of columns where the machine has room for three times that, else what fits."""
    with open("/proc/meminfo") as f:
        room = next(int(line.split()[1]) for line in f if line.startswith("MemAvailable")) * 1024
    megabytes = min(int(os.environ.get("MEMATTACH_PANDAS_MB", "1024")), room // MB // 3)
    snap, rows, known = measure(pandas_python(one_python), "pandas", megabytes)
    assert 0.97 * known["data"] <= rows["buffers"] <= snap.rss_bytes
    assert rows["buffers"] + rows["objects"] >= 0.85 * snap.rss_bytes, rows
    print(rows, file=sys.stderr)


def test_what_the_copy_costs_afterwards(one_python, start, memattach):
    """Each page that the program writes to while the twin lives is copied: that is counted, and said."""
    pages = 8 * MB // 4096
    t = start(one_python, "writer", "8")
    for _ in range(10):  # a busy machine may not let it write to all of them before the copy is gone
        snap = memattach.snapshot(t.pid)
        if snap.report["target_faults"] >= pages:
            break
    assert snap.report["target_faults"] >= pages
    text = memattach.run("report", snap.path).out
    assert "then {:,} page faults".format(snap.report["target_faults"]) in text
    t.end_well()
    t = start(one_python, "idle")
    assert memattach.snapshot(t.pid).report["target_faults"] < pages / 10
    t.end_well()
