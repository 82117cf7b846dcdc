# SPDX-License-Identifier: Apache-2.0
"""What the report points to first, for one leak of each kind, and that it points to nothing where there is none."""
import json

import pytest

# kind of leak: kind in the report, part of the way
KINDS = {
    "dict": ("container", "__main__.cache"),
    "listeners": ("listeners", "__main__.bus.listeners"),
    "calls": ("call-cache", "load.<cache>"),
    "bound-calls": ("bound-call-cache", "__main__.load"),
    "closure": ("closure", "__main__.handler.__closure__.kept"),
    "class": ("class-attribute", "__main__.Queue.history"),
    "exceptions": ("exceptions", "__main__.errors"),
    "generators": ("generators", "__main__.waiting"),
    "loggers": ("loggers", "logging.Logger.manager.loggerDict"),
    "thread-local": ("thread-local", "__main__.local["),
    "output": ("ipython-output", "__main__.Out"),
    "finalisers": ("garbage-with-finalisers", "cycles that nothing reaches"),
    "tasks": ("tasks", "__main__.jobs"),
}
SESSION = "__main__.Session"


def full_report(memattach, path):
    done = memattach.run("report", path, "--json")
    assert done.rc == 0, done
    return json.loads(done.out)


@pytest.mark.parametrize("leak", KINDS)
def test_first_suspect(python, start, memattach, leak):
    kind, way = KINDS[leak]
    t = start(python, "suspects", leak)
    snap = memattach.snapshot(t.pid)
    report = full_report(memattach, snap.path)
    assert 1 <= len(report["suspects"]) <= 5
    first = report["suspects"][0]
    assert (first["kind"], way in first["path"]) == (kind, True), first
    for s in report["suspects"]:
        shape = [type(s[f]) for f in ("path", "type", "retained", "share", "advice")]
        assert shape in ([str, str, int, int, str], [str, type(None), int, int, str]), s
    assert all(t["retained"] >= 0 for t in report["types"]) and report["types"][0]["retained"] > 0
    assert first["share"] >= 20
    counts = {c["type"]: c["count"] for c in first["consists"]}
    if leak == "loggers":
        assert counts["logging.Logger"] >= 15_000
    else:
        assert 14_998 <= max(counts.get(SESSION, 0), *counts.values()) <= 75_000, counts
    shown = memattach.run("report", snap.path)
    assert shown.rc == 0 and first["advice"][:30] in shown.out.partition("HELD BY")[2], shown.out
    t.end_well()


@pytest.mark.parametrize("program", ["suspects", "idle"])
def test_nothing_stands_out(python, start, memattach, program):
    """A program that holds nothing much is not accused of its modules."""
    t = start(python, program, *(["none"] if program == "suspects" else []))
    snap = memattach.snapshot(t.pid)
    report = full_report(memattach, snap.path)
    accused = [s for s in report["suspects"] if program == "suspects" or "Thing" not in str(s)]
    assert not accused, accused
    if program == "suspects":
        shown = memattach.run("report", snap.path)
        assert "nothing stands out" in shown.out, shown.out
    t.end_well()
