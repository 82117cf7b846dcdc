# SPDX-License-Identifier: Apache-2.0
"""Where memory was allocated: the tables of tracemalloc, against what tracemalloc itself says of the same lines."""
import json

import pytest
from target import line_of, program_path

LINES = ("bytes", "floats", "objects", "dict")
PROGRAM = "sites"


def lines_of(memattach, path):
    """Line of the program: bytes and blocks."""
    rows = memattach.query(path, f"SELECT line, sum(bytes) AS bytes, count(*) AS count FROM allocations "
                                 f"WHERE domain = 0 AND file = '{program_path(PROGRAM)}' GROUP BY line")
    return {r["line"]: [r["bytes"], r["count"]] for r in rows}


def facts_of(t):
    facts = json.loads(t.ask("facts", "facts").partition(" ")[2])
    facts["lines"] = {int(line): row for line, row in facts["lines"].items()}
    return facts


def test_sites_and_tracemalloc_agree(python, start, memattach):
    t = start(python, PROGRAM, 1)
    path = memattach.snapshot(t.pid).path
    facts = facts_of(t)
    lines, tracked = facts["lines"], facts["tracked"]
    found = lines_of(memattach, path)
    for name in LINES:
        line = line_of(PROGRAM, name)
        assert found[line] == lines[line] and found[line][1] >= 3900, (name, found, lines)
    checked = memattach.run("check", path)
    assert checked.rc == 0, checked
    assert memattach.value(path, "SELECT max(depth) FROM sites") == 0
    other = memattach.query(path, "SELECT domain, addr, bytes, line FROM allocations WHERE domain != 0")
    assert other == ([{"domain": 77, "addr": 0x123451, "bytes": 1_000_000, "line": other[0]["line"]}] if tracked else [])
    if tracked:  # of a call over several lines, versions differ in which they take
        assert 0 <= other[0]["line"] - line_of(PROGRAM, "tracked") <= 1
    t.end_well()


def test_frames_that_called(python, start, memattach):
    """As many as tracemalloc keeps, innermost first."""
    t = start(python, PROGRAM, 5)
    path = memattach.snap(t.pid)
    innermost = line_of(PROGRAM, "bytes")
    rows = memattach.query(path, "SELECT site, count(*) AS n FROM allocations WHERE line = %d AND file LIKE '%%/sites.py' "
                                 "GROUP BY site ORDER BY n DESC LIMIT 1" % innermost)
    frames = memattach.query(path, f"SELECT depth, line FROM sites WHERE id = {rows[0]['site']} ORDER BY depth")
    frames = [f["line"] for f in frames if f["line"] != innermost]  # a comprehension is a frame of its own up to 3.11
    assert frames[:2] == [line_of(PROGRAM, "middle"), line_of(PROGRAM, "outermost")], frames
    t.end_well()


@pytest.mark.parametrize("frames", [(), (0,)], ids=["never-on", "stopped"])
def test_nothing_where_it_is_off(one_python, start, memattach, frames):
    t = start(one_python, PROGRAM, *frames)
    path = memattach.snap(t.pid)
    assert memattach.value(path, "SELECT count(*) FROM allocations") == 0
    assert memattach.value(path, "SELECT count(*) FROM sites") == 0
    t.end_well()


def test_on_from_the_start(one_python, start, memattach):
    """Blocks allocated since the interpreter began, and more of them than one block of the file takes."""
    t = start(one_python, PROGRAM, env={"PYTHONTRACEMALLOC": "3"})
    path = memattach.snap(t.pid)
    lines = facts_of(t)["lines"]
    found = lines_of(memattach, path)
    for name in LINES:
        assert found[line_of(PROGRAM, name)] == lines[line_of(PROGRAM, name)]
    assert memattach.value(path, "SELECT count(*) FROM allocations WHERE file LIKE '<frozen%'") > 1000
    assert memattach.value(path, "SELECT count(*) - count(DISTINCT addr) FROM allocations WHERE domain = 0") == 0
    t.end_well()


def test_report_names_lines(python, start, memattach):
    t = start(python, PROGRAM, 1)
    path = memattach.snap(t.pid)
    facts = facts_of(t)
    lines = facts["lines"]
    report = json.loads(memattach.run("report", path, "--json").out)
    sites = {s["line"]: s for s in report["sites"] if s["file"] == str(program_path(PROGRAM))}
    for name in LINES:
        line = line_of(PROGRAM, name)
        assert [sites[line]["bytes"], sites[line]["count"]] == lines[line], (name, sites[line])
    assert [s["bytes"] for s in report["sites"]] == sorted((s["bytes"] for s in report["sites"]), reverse=True)
    assert report["traced_blocks"] == memattach.value(path, "SELECT count(*) FROM allocations")
    assert report["traced_bytes"] == memattach.value(path, "SELECT sum(bytes) FROM allocations")

    types = {name: {x["type"]: x["count"] for x in sites[line_of(PROGRAM, name)]["types"]} for name in LINES}
    assert types["bytes"]["bytes"] == types["objects"]["__main__.Plain"] == types["dict"]["str"] == 4000, types
    # an object that the interpreter had on a free list is older than tracemalloc
    assert 3800 <= types["floats"]["float"] <= 4000 and 3800 <= types["dict"]["tuple"] <= 4000, types
    assert report["untraced_objects"] + sum(s["objects"] for s in report["sites"]) <= report["objects"]
    assert 0 < report["untraced_bytes"] < report["bytes"]
    used = {m["name"]: m["bytes"] for m in report["memory"]}["malloc_used"]
    # tracemalloc itself counts without what malloc adds, and it has grown since
    assert facts["own"] * 0.9 < report["tracemalloc_bytes"] < used, (facts["own"], report["tracemalloc_bytes"], used)

    rows = memattach.query(path, f"SELECT o.type, count(*) AS n FROM allocations a JOIN objects o ON o.addr = a.object WHERE "
                                 f"a.line = {line_of(PROGRAM, 'objects')} AND a.file LIKE '%/sites.py' GROUP BY 1 ORDER BY 2 DESC")
    assert rows[0] == {"type": "__main__.Plain", "n": 4000}, rows
    first = report["suspects"][0]
    assert first["mostly"] == "bytes", first
    at = first["allocated_at"]
    assert (at["file"], at["line"]) == (str(program_path(PROGRAM)), line_of(PROGRAM, "bytes")) and at["count"] >= 4000, at
    shown = memattach.run("report", path)
    assert shown.rc == 0 and "\nALLOCATED AT" in shown.out, shown
    assert f"sites.py:{line_of(PROGRAM, 'bytes')} " in shown.out and "of it allocated at " in shown.out, shown.out
    t.end_well()


def test_diff_names_lines(leak_python, start, memattach):
    t = start(leak_python, PROGRAM, 1)
    old = memattach.snap(t.pid)
    t.ask("grow", "grown")
    new = memattach.snap(t.pid)
    diff = memattach.diff(old, new)
    grown = line_of(PROGRAM, "grown")
    first = diff["sites"][0]
    assert (first["file"], first["line"], first["old_bytes"]) == (str(program_path(PROGRAM)), grown, 0), first
    lines = facts_of(t)["lines"]
    assert [first["new_bytes"], first["new_count"]] == lines[grown]
    unchanged = {s["line"] for s in diff["sites"] if s["file"] == first["file"]}
    assert not unchanged & {line_of(PROGRAM, name) for name in LINES}
    at = diff["growth"][0]["allocated_at"]
    assert (at["file"], at["line"]) == (first["file"], grown) and at["gained_objects"] >= 4000, diff["growth"][0]
    shown = memattach.run("diff", old, new)
    assert "\nALLOCATED AT" in shown.out and f"sites.py:{grown}" in shown.out, shown.out
    t.end_well()


def test_reports_without_tracemalloc(one_python, start, memattach):
    t = start(one_python, PROGRAM)
    old, new = memattach.snap(t.pid), memattach.snap(t.pid)
    report = json.loads(memattach.run("report", old, "--json").out)
    assert report["sites"] is None and report["traced_blocks"] is None
    assert all(s["allocated_at"] is None for s in report["suspects"])
    assert memattach.diff(old, new)["sites"] is None
    for shown in (memattach.run("report", old), memattach.run("diff", old, new)):
        assert shown.rc == 0 and "ALLOCATED" not in shown.out and "allocated at" not in shown.out
    t.end_well()


def test_traces_that_lead_nowhere(hazard_python, start, memattach):
    """Each costs itself. (The program ends without freeing what tracemalloc would look for.)"""
    t = start(hazard_python, PROGRAM, 1, "damage")
    path = memattach.snap(t.pid)
    found = lines_of(memattach, path)
    assert found[line_of(PROGRAM, "bytes")][1] == 4001 - 4 and found[line_of(PROGRAM, "objects")][1] >= 4000, found
    lost = memattach.query(path, "SELECT site, bytes FROM allocations WHERE file IS NULL AND bytes BETWEEN 330 AND 340 ORDER BY 2")
    assert lost == [{"site": None, "bytes": 334}, {"site": None, "bytes": 336}], lost  # bytes of 301 and 303
    checked = memattach.run("check", path)
    assert checked.rc == 0, checked
    assert memattach.run("report", path).rc == 0
    t.end_well()
