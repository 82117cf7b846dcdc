# SPDX-License-Identifier: Apache-2.0
"""Every Python on this machine: exact counts, exact stacks, and a target that is unharmed."""
import sys

import pytest

import target
from memattach import check_report
from target import baseline, line_of
from unharmed import Unharmed

sys.path.insert(0, str(target.TARGETS))
from things import COMPLEX_HELD_BY_C, COUNTS  # noqa: E402


def test_idle_counts(python, start, memattach):
    t = start(python, "idle")
    with Unharmed(t):
        snap = memattach.snapshot(t.pid)
    counts = snap.counts()
    assert counts.get("__main__.Thing") == 12345
    assert {name: counts.get(name) for name in COUNTS} == COUNTS
    # the standard library has one or two complex constants of its own
    assert COMPLEX_HELD_BY_C <= counts.get("complex", 0) <= COMPLEX_HELD_BY_C + 5
    assert snap.python == python.version
    assert snap.consistency == "gil-free" and snap.attempts == 1
    assert not any(th["holds_gil"] for th in snap.threads)
    assert memattach.value(snap.path, "SELECT count(*) FROM objects WHERE type = '__main__.Thing'") == 12345
    assert memattach.run("check", snap.path).rc == 0
    t.end_well(baseline(python, "idle"))


def test_idle_stacks(python, start, memattach):
    t = start(python, "idle")
    with Unharmed(t):
        snap = memattach.snapshot(t.pid)
    waiter, = snap.frames("inner")
    recursion = [("outer", line_of("idle", "outer"))] + [("outer", line_of("idle", "recursion"))] * 5
    assert waiter[:7] == [("inner", line_of("idle", "waits"))] + recursion
    main, = snap.frames("serve")
    assert main[0][0] == "next_line" and main[-1][0] == "<module>"
    assert ("run", line_of("idle", "serves")) in main
    assert len(snap.threads) == 2
    tids = {th["tid"] for th in snap.threads}
    assert t.pid in tids and len(tids) == 2
    files = {f["file"] for th in snap.threads for f in th["frames"] if f["function"].split(".")[-1] == "inner"}
    assert files == {str(target.program_path("idle"))}


@pytest.mark.parametrize("program", ["busy_python", "busy_c pow", "busy_c sorted", "busy_c json", "busy_c re", "threads", "gcloop",
                                     "gcloop 3"])
def test_busy(python, start, memattach, program):
    t = start(python, *program.split())
    held = 0
    for _ in range(3):
        with Unharmed(t, quiet=False):
            snap = memattach.snapshot(t.pid)
        assert snap.counts().get("__main__.Kept") == 5000
        held += any(th["holds_gil"] for th in snap.threads)
        if program == "threads":
            assert len(snap.threads) == 51 and len(snap.frames("churn")) == 50
    if program.startswith("busy"):
        assert held >= 2, "a program that computes holds the GIL nearly always"
    t.end_well(baseline(python, *program.split()))


def test_native_malloc(hazard_python, start, memattach, native):
    args = ("malloc_threads", native("malloc_threads"))
    t = start(hazard_python, *args, env={"MALLOC_ARENA_MAX": "1"})
    for _ in range(5):
        with Unharmed(t, quiet=False):
            snap = memattach.snapshot(t.pid, check=False)
        check_report(snap, t.pid, whole=snap.consistency != "arbitrary")
        assert snap.consistency == "arbitrary" or snap.counts().get("__main__.Kept") == 5000
    t.end_well(baseline(hazard_python, *args, env={"MALLOC_ARENA_MAX": "1"}))


def test_finaliser_asleep_in_a_collection(python, start, memattach):
    t = start(python, "finaliser")
    with Unharmed(t):
        snap = memattach.snapshot(t.pid)
    assert snap.consistency == "gil-free"
    assert snap.counts().get("__main__.Garbage") == 1000
    assert snap.counts().get("__main__.Kept") == 1000
    stack, = snap.frames("collect")
    assert stack[:2] == [("__del__", line_of("finaliser", "sleeps")), ("collect", line_of("finaliser", "collects"))]
    t.end_well(baseline(python, "finaliser"))


def test_objects_are_what_the_program_says(python, start, memattach):
    """Address, type, size, collector flag and every reference of one object of each of some 90 types."""
    check_samples(start(python, "samples"), memattach)


def check_samples(t, memattach):
    t.ask("samples", "sampled")
    said = [line.split() for line in t.lines if line.startswith("sample ")]
    with Unharmed(t):
        snap = memattach.snapshot(t.pid)
    objects = {}
    addresses = ",".join(w[2] for w in said)
    for row in rows(memattach.query(snap.path, f"SELECT addr, type, size, refcnt, gc FROM objects WHERE addr IN ({addresses})")):
        assert row["addr"] not in objects, f"{row} is there twice"
        objects[row["addr"]] = row
    edges = {}
    for row in rows(memattach.query(snap.path, f"SELECT src, dst FROM edges WHERE src IN ({addresses})")):
        edges.setdefault(row["src"], set()).add(row["dst"])
    wrong = []
    for _, name, address, kind, size, header, refs, *referents in said:
        seen = objects.get(int(address))
        if not seen:
            wrong.append(f"{name}: not in the snapshot")
            continue
        if seen["type"].replace(" ", "_") != kind:
            wrong.append(f"{name}: type {seen['type']}, not {kind}")
        # design 7: equal for every built-in type, a lower bound for what only an extension knows
        # (struct.Struct of 3.8 passes for a built-in by its name)
        if kind != "Struct" and seen["size"] != int(size) and ("." not in kind or seen["size"] > int(size)):
            wrong.append(f"{name}: size {seen['size']}, sys.getsizeof {size}")
        if bool(seen["gc"]) != bool(int(header)):
            wrong.append(f"{name}: gc {seen['gc']}, not {header}")
        missing = {int(r) for r in referents} - edges.get(int(address), set())
        if missing:
            wrong.append(f"{name}: {len(missing)} of {len(referents)} references are missing")
    assert not wrong, "\n".join(wrong)
    assert len(said) > 80
    t.end_well()


def rows(answer):
    """Rows as dictionaries, however `query --json` writes them."""
    if isinstance(answer, dict) and "rows" in answer:
        answer = [dict(zip(answer["columns"], r)) if isinstance(r, list) else r for r in answer["rows"]]
    return answer
