# SPDX-License-Identifier: Apache-2.0
"""The truth: what memattach says of every object that a program can name is what the program says of it itself."""
import collections
import csv
import io

import pytest

# Exceptions, (type, what) to the reason; none for built-in types and the standard library.
EXCEPTIONS = {}


class Said:
    """What tests/targets/truth.py wrote."""

    def __init__(self, path):
        self.types, self.objects = {}, {}
        with open(path, encoding="utf-8") as f:
            for line in f:
                if line.startswith("type "):
                    _, number, name = line.rstrip("\n").split(" ", 2)
                    self.types[number] = name
                else:
                    address, size, number = line.split()
                    self.objects[int(address)] = (self.types[number], int(size))


def found(memattach, snap):
    """Every object of the snapshot: address to (type, size)."""
    done = memattach.run("query", snap.path, "SELECT addr, type, size FROM objects", "--csv")
    assert done.rc == 0, done
    objects = {}
    for address, kind, size in list(csv.reader(io.StringIO(done.out)))[1:]:
        assert int(address) not in objects, f"{kind} at {address} is there twice"
        objects[int(address)] = (kind, int(size))
    return objects


def compare(said, objects):
    """Lines about what differs: by type, with an example of each."""
    wrong = collections.defaultdict(list)
    for address, (kind, size) in said.objects.items():
        seen = objects.get(address)
        if seen is None:
            wrong[kind, "missing"].append(hex(address))
        elif seen[0] != kind:
            wrong[kind, "typed"].append(f"{hex(address)} is a {seen[0]}")
        elif size >= 0 and seen[1] != size:
            wrong[kind, "sized"].append(f"{hex(address)} has {seen[1]} bytes, not {size}")
    return [f"{len(examples)} {kind} {what}: {examples[0]}" for (kind, what), examples in sorted(wrong.items())
            if (kind, what) not in EXCEPTIONS]


def test_every_object(python, start, memattach, tmp_path):
    check(start(python, "truth", tmp_path / "said"), memattach, tmp_path)


def test_every_object_of_malloc(hazard_python, start, memattach, tmp_path):
    check(start(hazard_python, "truth", tmp_path / "said", env={"PYTHONMALLOC": "malloc"}), memattach, tmp_path)


def check(t, memattach, tmp_path):
    lacking = [line for line in t.lines if line.startswith("lacking ")]
    assert not lacking, lacking
    t.ask("write", "written", 120)
    snap = memattach.snapshot(t.pid)  # checks that the books balance and that nothing faulted
    t.end_well()
    said, objects = Said(tmp_path / "said"), found(memattach, snap)
    wrong = compare(said, objects)
    assert not wrong, "\n".join(wrong)
    assert len(said.objects) > 150_000 and len(said.types) > 500
    assert sum(size >= 0 for _, size in said.objects.values()) > 0.999 * len(said.objects)


def test_a_difference_is_seen():
    said, objects = Said("/dev/null"), {1: ("int", 28), 2: ("str", 50), 3: ("int", 24)}
    said.objects = {1: ("int", 28), 2: ("bytes", 50), 3: ("int", 28), 4: ("list", 56)}
    assert [line.split(":")[0] for line in compare(said, objects)] == ["1 bytes typed", "1 int sized", "1 list missing"]


def test_no_ghosts(python, start, memattach):
    t = start(python, "ghosts")
    live = {"__main__." + line.split()[1]: int(line.split()[2]) for line in t.lines if line.startswith("live ")}
    snap = memattach.snapshot(t.pid)
    assert len(live) == 10 and set(live.values()) == {50}
    counts = snap.counts()
    assert {name: counts.get(name, 0) for name in live} == live
    t.end_well()
