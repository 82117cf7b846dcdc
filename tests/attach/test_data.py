# SPDX-License-Identifier: Apache-2.0
"""Arrays of numpy, frames of pandas, tables of Arrow, and objects of an extension that nobody knows: what the snapshot says is
what the program says about itself."""
import bisect
import collections
import fcntl
import json
import os
import subprocess
from pathlib import Path

import pytest

import pythons
import test_truth

PACKAGES = ["numpy", "pandas", "pyarrow"]
OWNED_AT_LEAST = 1024  # smaller arrays have no range of their own


def cache():
    root = os.environ.get("MEMATTACH_TEST_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "memattach-tests")
    return Path(root)


def venv(python):
    """A Python of its own with the packages, made once and kept in the cache; None and a reason when that can not be."""
    folder = cache() / f"data-{python.version}"
    ready = folder / "ready"
    path = folder / "bin" / "python"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.parent / f"{folder.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if ready.exists() and path.exists():
            return path, ""
        steps = [[python.path, "-m", "venv", folder],
                 [path, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--only-binary", ":all:", *PACKAGES],
                 [path, "-c", "import " + ", ".join(PACKAGES)]]
        for step in steps:
            try:
                done = subprocess.run(step, capture_output=True, text=True, timeout=600, stdin=subprocess.DEVNULL)
            except (OSError, subprocess.TimeoutExpired) as e:
                return None, str(e)
            if done.returncode:
                return None, (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        ready.touch()
    return path, ""


def chosen():
    return [p for p in pythons.supported() if p.minor in ((3, 11), (3, 13)) and p.id == p.version and not p.tree]


@pytest.fixture(scope="session", params=chosen() or [None], ids=lambda p: p.id if p else "none")
def data_python(request):
    if not request.param:
        pytest.skip("no CPython 3.11 or 3.13 of pyenv")
    path, reason = venv(request.param)
    if not path:
        pytest.skip(f"numpy, pandas and pyarrow can not be installed for {request.param.id}: {reason}")
    return path


def answers(t, question):
    t.send(question)
    rows = []
    while True:
        line = t.read_line()
        assert line is not None, "the target ended"
        if line == "end":
            return rows
        rows.append(line.split(" "))


class Ranges:
    """Disjoint ranges of addresses, of buffers that are no estimate."""
    def __init__(self, rows):
        self.spans = []
        for start, end in sorted((r["addr"], r["addr"] + r["bytes"]) for r in rows if r["kind"] != "malloc"):
            if self.spans and start <= self.spans[-1][1]:
                self.spans[-1][1] = max(end, self.spans[-1][1])
            else:
                self.spans.append([start, end])

    def cover(self, address, size):
        i = bisect.bisect_right(self.spans, [address, 1 << 64]) - 1
        return i >= 0 and address + size <= self.spans[i][1]


def objects(memattach, snap):
    return {o["addr"]: o for o in memattach.query(snap.path, "SELECT addr, type, size, refcnt FROM objects")}


def sound(memattach, snap):
    assert snap.refcount_excess == 0
    assert snap.faults == 0
    assert memattach.run("check", snap.path).rc == 0


def test_a_dtype_of_itself(data_python, start, memattach):
    """In a damaged heap: such an array costs itself, not the two seconds after which the walk gives an object up."""
    t = start(data_python, "data_damaged")
    t.ask("damage", "damaged")
    snap = memattach.snapshot(t.pid, check=False)
    assert snap.faults == 0
    assert snap.counts()["numpy.ndarray"] >= 1
    t.ask("mend", "mended")
    t.end_well()


def test_arrays(data_python, start, memattach):
    t = start(data_python, "data_arrays")
    said, items = answers(t, "list"), answers(t, "items")
    snap = memattach.snapshot(t.pid)
    sound(memattach, snap)
    found = objects(memattach, snap)
    assert len(said) > 50
    for name, address, kind, size, refs in said:
        o = found.get(int(address))
        assert o, f"{name} is not there"
        assert (name, o["type"], o["size"]) == (name, kind, int(size))
        assert o["refcnt"] in (0, int(refs)), name
    # who owns objects writes an edge for each reference to them, and nobody else does
    expected = collections.Counter({(int(a), int(b)): int(n) for _, a, b, n in items})
    owners = ", ".join(str(a) for a in {a for a, _ in expected})
    edges = collections.Counter((e["src"], e["dst"]) for e in memattach.query(
        snap.path, f"SELECT src, dst, name FROM edges WHERE src IN ({owners})") if e["name"].startswith("["))
    assert len(expected) > 40000
    assert edges == expected
    views = [int(a) for name, a, *_ in said if name in ("objects_strided", "objects_2d", "structured_field", "structured_item")]
    assert len(views) == 4
    assert memattach.value(snap.path, "SELECT count(*) FROM edges WHERE name LIKE '[%' AND src IN "
                                      f"({', '.join(map(str, views))})") == 0


def test_equal_arrays(data_python, start, memattach):
    t = start(data_python, "data_copies")
    facts = json.loads(t.ask("facts", "facts").partition(" ")[2])
    snap = memattach.snapshot(t.pid)
    sound(memattach, snap)
    report = json.loads(memattach.run("report", snap.path, "--json").out)
    rows = [r for r in report["waste"] if r["kind"] == "equal-arrays"]
    assert [(r["type"], r["count"], r["bytes"]) for r in rows] == [("numpy.ndarray", facts["count"], facts["bytes"])], rows
    first = report["duplicates"][0]
    assert (first["type"], first["count"], first["size"]) == ("numpy.ndarray", 6, facts["each"])
    assert first["bytes"] == 5 * facts["each"] and int(first["example"], 16) in facts["example"]
    assert "numpy.ndarray: probably equal copies" in memattach.run("report", snap.path).out
    with_values = memattach.new_path()
    assert memattach.run("snap", t.pid, "-o", with_values, "--values", "prefix:1").rc == 0
    rows = json.loads(memattach.run("report", with_values, "--json").out)["waste"]
    assert [(r["type"], r["count"]) for r in rows if r["kind"] == "equal-arrays"] == [("numpy.ndarray", facts["count"])]
    lists = [(r["type"], r["count"], r["bytes"]) for r in rows if r["kind"] == "array-and-list"]
    assert lists == [("list", facts["lists"], facts["lists_bytes"])], rows
    assert "array-and-list" not in {r["kind"] for r in report["waste"]}, "hashes alone do not tell"
    plain = memattach.new_path()
    assert memattach.run("snap", t.pid, "-o", plain, "--values", "none").rc == 0
    assert "equal-arrays" not in {r["kind"] for r in json.loads(memattach.run("report", plain, "--json").out)["waste"]}
    t.end_well()


def test_items_are_held_by_their_array(data_python, start, memattach):
    t = start(data_python, "data_arrays")
    answers(t, "list")
    snap = memattach.snapshot(t.pid)
    assert snap.counts()["__main__.Item"] > 40000
    assert not [n for n in snap.native_held if n["type"] == "__main__.Item"]
    assert memattach.value(snap.path, "SELECT count(*) FROM objects o WHERE o.type = '__main__.Item' AND NOT EXISTS "
                                      "(SELECT 1 FROM edges e WHERE e.dst = o.addr)") == 0
    numpy = [b for b in snap.buffers if b["kind"] == "numpy"][0]
    assert numpy["in_sizes"] and not numpy["estimate"]
    assert numpy["bytes"] <= sum(x["bytes"] for x in snap.types if x["type"] in ("numpy.ndarray", "__main__.Sub", "numpy.rec.recarray",
                                 "numpy.recarray", "numpy.matrix", "numpy.ma.MaskedArray", "numpy.ma.core.MaskedArray"))


def test_frames(data_python, start, memattach):
    t = start(data_python, "data_frames")
    said, blocks = answers(t, "frames"), answers(t, "blocks")
    (_, allocated, _), = answers(t, "arrow")
    buffers = answers(t, "buffers")
    snap = memattach.snapshot(t.pid)
    sound(memattach, snap)
    rows = memattach.query(snap.path, "SELECT addr, bytes, counted, kind, owner FROM buffers")
    ranges = Ranges(rows)
    for name, _, address, size in buffers:
        assert ranges.cover(int(address), int(size)), f"a buffer of {name} is not there"
    arrow = [b for b in snap.buffers if b["kind"] == "arrow"][0]
    assert not arrow["in_sizes"] and not arrow["estimate"]
    assert abs(arrow["bytes"] - int(allocated)) <= 0.03 * int(allocated)

    # each block's data once, also where two frames share it
    data = {}
    for name, owner, address, size in blocks:
        if int(size) >= OWNED_AT_LEAST:
            hits = [r for r in rows if r["addr"] == int(address) and r["kind"] == "numpy"]
            assert [(h["bytes"], h["owner"], h["counted"]) for h in hits] == [(int(size), int(owner), int(size))], name
            data.setdefault(name, {})[int(owner)] = int(size)
    frames = {name: int(n) for name, _, n in said}
    for name in ("numeric", "view", "looked_up"):
        assert sum(data[name].values()) >= frames[name], name
    assert sum(data["numeric"].values()) == frames["numeric"]
    assert set(data["view"]) <= set(data["numeric"]), "a view has blocks of its own"

    # objects: pointers, and each object behind them once
    owner = ", ".join(map(str, data["objects"]))
    items = memattach.query(snap.path, "SELECT DISTINCT o.addr, o.size FROM edges e JOIN objects o ON o.addr = e.dst "
                                       f"WHERE e.src IN ({owner}) AND e.name LIKE '[%'")
    assert len(items) == 40000
    assert sum(data["objects"].values()) + sum(o["size"] for o in items) == frames["objects"]
    tables = [b for b in snap.buffers if b["kind"] == "pandas"][0]
    # 20,000 keys of 8 bytes: 32,768 buckets of 16 bytes and a bit
    assert tables["bytes"] >= 32768 * 16 + 32768 // 8


def test_every_object_with_packages(data_python, start, memattach, tmp_path):
    t = start(data_python, "truth", tmp_path / "said", *PACKAGES)
    t.ask("write", "written", 200)
    snap = memattach.snapshot(t.pid)
    t.end_well()
    said, found = test_truth.Said(tmp_path / "said"), test_truth.found(memattach, snap)
    # __module__ of some types of Cython is a descriptor, and type.__module__ gives just that
    said.objects = {a: o for a, o in said.objects.items() if not o[0].startswith("<attribute '__module__' of ")}
    wrong = test_truth.compare(said, found)
    assert not wrong, "\n".join(wrong)
    assert len(said.objects) > 400_000


def extension(python, folder):
    """Made with the compiler of this machine and the headers of that Python."""
    include = subprocess.run([*python.command, "-c", "import sysconfig; print(sysconfig.get_paths()['include'])"],
                             capture_output=True, text=True, check=True).stdout.strip()
    tree = str(python.tree or "")
    if not os.path.exists(f"{tree}{include}/Python.h"):
        pytest.skip(f"no headers of {python.id}")
    source = Path(__file__).parent.parent / "targets" / "blobtype.c"
    subprocess.run([os.environ.get("CC", "cc"), "-O1", "-g0", "-shared", "-fPIC", "-isystem", tree + include,
                    "-idirafter", f"{tree}/usr/include", "-o", folder / "blobtype.so", source], check=True)


def test_extension(python, start, memattach, tmp_path):
    extension(python, tmp_path)
    t = start(python, "data_blobs", tmp_path)
    said = {name: (int(a), int(size)) for name, a, size, _ in answers(t, "list")}
    snap = memattach.snapshot(t.pid)
    sound(memattach, snap)
    found = objects(memattach, snap)
    for name, (address, size) in said.items():
        assert found[address]["size"] == size, name  # the estimate is beside the size, never in it
    rows = collections.defaultdict(list)
    for r in memattach.query(snap.path, "SELECT bytes, counted, kind, owner FROM buffers"):
        assert r["kind"] == "malloc"
        rows[r["owner"]].append(r)

    def bytes_of(name):
        return sum(r["counted"] for r in rows[said[name][0]])

    # a block of malloc is up to 24 bytes larger than what was asked for, a mapped one up to a page
    assert 100 <= bytes_of("small") <= 124
    assert 50000 <= bytes_of("large") + bytes_of("sharing") <= 50024
    assert 3000000 <= bytes_of("mapped") <= 3000000 + 4096
    assert 70000 + 40 + 16 <= bytes_of("inner") <= 70000 + 40 + 16 + 3 * 24
    assert bytes_of("none") == 0
    assert 20000 <= bytes_of("sub") <= 20024
    malloc, = snap.buffers
    assert malloc["estimate"] and not malloc["in_sizes"]
    assert 2000 * 900 + 3140000 <= malloc["bytes"] <= 2000 * 924 + 3160000

    # what only C code of the type has is reached, and no reference is made up
    held = {a: o for a, o in found.items() if o["type"] == "__main__.Held"}
    assert len(held) == 2007
    guessed = collections.Counter(e["dst"] for e in memattach.query(snap.path, "SELECT dst, name FROM edges")
                                  if e["name"] == "<guessed>")
    assert all(guessed[a] == 1 for a in held)
    assert not [n for n in snap.native_held if n["type"] == "__main__.Held"]
    kept, = [n for n in snap.native_held if n["type"] == "__main__.Kept"]
    assert (kept["objects"], kept["references"]) == (7, 7)
    assert kept["library"] in (str(tmp_path / "blobtype.so"), f"{python.tree}{tmp_path}/blobtype.so")


def test_a_miscount_is_seen():
    r = Ranges([{"addr": 4096, "bytes": 100, "kind": "arrow"}, {"addr": 4190, "bytes": 10, "kind": "numpy"},
                {"addr": 5000, "bytes": 8, "kind": "malloc"}])
    assert r.cover(4096, 104) and r.cover(4150, 50)
    assert not r.cover(4095, 10) and not r.cover(4190, 11) and not r.cover(5000, 8)
