# SPDX-License-Identifier: Apache-2.0
"""The books balance: no object has more counted references in the snapshot than its reference count says."""
import sys

import pytest

import target
from memattach import check_report

sys.path.insert(0, str(target.TARGETS))
from things import COMPLEX_HELD_BY_C  # noqa: E402


@pytest.mark.parametrize("program", ["http", "asyncio", "pool", "text", "testing", "pytest"])
def test_ordinary_programs(python, start, memattach, program):
    t = start(python, "ordinary", program)
    if "lacking" in t.lines:
        pytest.skip("no pytest in this Python")
    for _ in range(3):
        snap = memattach.snapshot(t.pid, check=False)
        check_report(snap, t.pid, whole=snap.consistency != "arbitrary")
    t.end_well()


def test_roots(python, start, memattach):
    """What is held from outside, by kind; what only C holds, with its excess: 70 complex numbers, each held once."""
    t = start(python, "idle")
    snap = memattach.snapshot(t.pid)
    counts = snap.counts()

    def number(what, kind, more="1"):
        return memattach.value(snap.path, f"SELECT {what} FROM roots WHERE kind = '{kind}' AND {more}")

    for kind, found in snap.report["roots"].items():
        assert number("count(*)", kind) == found, kind
    assert set(snap.report["roots"]) == {"module", "frame", "interpreter", "type", "interned", "native"}
    held = memattach.query(snap.path, "SELECT * FROM roots WHERE kind = 'native' AND type = 'complex' AND found = 0")
    assert [(row["refcnt"], row["excess"]) for row in held] == [(1, 1)] * COMPLEX_HELD_BY_C
    assert number("count(*)", "native", "type = 'things.HeldByC' AND excess = 1") == counts["things.HeldByC"]
    assert number("count(*)", "native", "excess < 1") == 0
    assert number("count(*)", "module", "type != 'module'") == 0
    assert number("count(*)", "module") == counts["module"]
    assert number("count(*)", "interpreter", "name = 'sys.modules' AND type = 'dict'") == 1
    assert number("count(*)", "type", "type = 'type'") > 100
    assert number("count(*)", "interned", "type != 'str'") == 0 and number("count(*)", "interned") > 1000
    if python.minor >= (3, 11):  # before that a frame is an object, which has its locals
        assert number("count(*)", "frame") > 3
    t.end_well()


def test_shared_keys(python, start, memattach):
    """The keys that instances of a class share are counted once, with the class."""
    t = start(python, "sharers")
    one, many, bytes_of_one = (int(line.split()[1]) for line in t.lines if line.startswith("size "))
    shared = memattach.snapshot(t.pid).report["shared_keys"]
    assert shared["tables"] >= 200 and shared["bytes"] >= 200 * bytes_of_one
    sizes = memattach.query(memattach.folder / "snap0.mas", "SELECT count(*) AS n, sum(size) AS bytes FROM objects WHERE type = 'dict' "
                            f"AND addr IN ({','.join(line.split()[1] for line in t.lines if line.startswith('dict '))})")
    assert sizes == [{"n": many, "bytes": one}]
    t.end_well()
