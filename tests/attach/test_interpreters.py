# SPDX-License-Identifier: Apache-2.0
"""Several interpreters in one process: those that share the GIL, and from 3.12 on those with one of their own."""
import csv
import io

import pytest

import matrix
from target import baseline
from unharmed import Unharmed


def states(snap):
    return {i["id"]: (i["own_gil"], i["consistency"]) for i in snap.interpreters}


def test_one_interpreter(python, start, memattach):
    t = start(python, "idle")
    snap = memattach.snapshot(t.pid)
    assert states(snap) == {0: (False, "gil-free")}
    assert {th["interpreter"] for th in snap.threads} == {0}


def test_all_of_an_interpreter(python, start, memattach, tmp_path):
    """What an interpreter beside the main one reaches is all there, each with its type."""
    t = start(python, "subinterpreters")
    path = tmp_path / "objects"
    t.ask(f"tell {path}", "told")
    with Unharmed(t):
        snap = memattach.snapshot(t.pid)
    own = python.minor >= (3, 12)
    assert sorted(states(snap)) == [0, 1, 2] and {s[0] for n, s in states(snap).items() if n} == {own}
    done = memattach.run("query", snap.path, "SELECT addr, type FROM objects", "--csv")
    found = {int(addr): name.rsplit(".", 1)[-1] for addr, name in list(csv.reader(io.StringIO(done.out)))[1:]}
    told = [line.split(" ", 1) for line in path.read_text().splitlines()]
    assert len(told) > 10000
    wrong = [(addr, name, found.get(int(addr))) for addr, name in told if found.get(int(addr)) != name.rsplit(".", 1)[-1]]
    assert not wrong, f"{len(wrong)} of {len(told)}: {wrong[:20]}"
    matrix.way("interpreters beside the main one: every object of theirs", python)
    t.end_well(baseline(python, "subinterpreters"))


@pytest.mark.parametrize("count,main", [(2, "busy"), (2, "idle"), (4, "busy"), (10, "idle")])
def test_interpreters_that_run(python, start, memattach, count, main):
    """One copy stands in for each thread that holds a GIL in turn: every interpreter at a safe point of its own."""
    if python.minor < (3, 12):
        pytest.skip(f"Python {python.version} has one GIL for all interpreters")
    wanted = baseline(python, "interpreters_run", count, main)
    t = start(python, "interpreters_run", count, main)
    at_safe_points = 0
    for _ in range(3):
        with Unharmed(t, quiet=False):
            snap = memattach.snapshot(t.pid, whole=False)
        found = states(snap)
        assert sorted(found) == list(range(count + 1))
        assert [n for n in found if found[n][0]] == [n for n in found if n]
        assert snap.counts()["__main__.Kept"] == 5000 and snap.counts()["__main__.Inside"] >= count * 1000
        # of an interpreter that is walked as it stands, in the middle of a change, the books need not balance
        assert snap.consistency == "arbitrary" or (snap.refcount_excess == 0 and snap.faults == 0)
        safe = sum(found[n][1] in ("safe-point", "gil-free") for n in found)
        if count <= 8:
            assert safe == count + 1, (found, snap.notes)
        else:  # the others are walked as they stand, and say so
            assert snap.consistency == "gil-free" if safe == count + 1 else snap.consistency == "arbitrary" and snap.notes
        at_safe_points += sum(found[n][1] == "safe-point" for n in found if n)
    assert at_safe_points, "no interpreter was running at any stop"
    matrix.way("interpreters that run, each with a GIL of its own", python)
    t.end_well(wanted)
