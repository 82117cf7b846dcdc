# SPDX-License-Identifier: Apache-2.0
"""The machine-readable output of docs/json.md, and the offline commands on a snapshot that a real target gave."""
import csv
import io
import json
import os
import stat

import pytest

from memattach import check_nothing_left, check_report
from target import TARGETS, line_of
from test_core import rows
from unharmed import Unharmed


@pytest.fixture
def idle(one_python, start, memattach):
    t = start(one_python, "idle")
    with Unharmed(t):
        snap = memattach.snapshot(t.pid)
    return t, snap


def test_report_repeats_the_first_output(idle, memattach):
    _, snap = idle
    done = memattach.run("report", snap.path, "--json")
    assert done.rc == 0 and done.err == "", done
    again = json.loads(done.out)
    assert again.pop("analysed") and snap.report["analysed"] is False
    # what the first leaves out, because it takes a look at the whole graph
    assert isinstance(again.pop("suspects"), list) and again.pop("holders")
    assert again.pop("waste") and again.pop("duplicates")
    sites = ("sites", "traced_blocks", "traced_bytes", "untraced_objects", "untraced_bytes", "tracemalloc_bytes")
    assert [again.pop(key) for key in sites] == [None] * len(sites), "tracemalloc is off"
    assert all(t.pop("retained") >= t["bytes"] for t in again["types"] if t["type"] in ("dict", "list"))
    for t in again["types"]:
        t.pop("retained", None)
    assert again == {k: v for k, v in snap.report.items() if k != "analysed"}


def test_command_and_rss(idle):
    t, snap = idle
    assert "idle.py" in snap.command
    with open(f"/proc/{t.pid}/status") as f:
        status = dict(line.split(":", 1) for line in f)
    rss = sum(int(status[k].split()[0]) for k in ("RssAnon", "RssFile", "RssShmem")) * 1024
    assert abs(snap.rss_bytes - rss) < 0.05 * rss


def test_text_report(idle, memattach):
    t, snap = idle
    done = memattach.run("report", snap.path)
    assert done.rc == 0 and done.err == "", done
    assert "\x1b" not in done.out, "colour in a pipe"
    first = "\n".join(done.out.splitlines()[:3])
    assert str(t.pid) in first and "3.11" in first, first
    assert "__main__.Thing" in done.out and "12,345" in done.out
    assert max(len(x) for x in done.out.splitlines() if str(snap.path) not in x) <= 80


def test_sql_objects_and_edges(idle, memattach):
    _, snap = idle
    value = memattach.value
    assert value(snap.path, "SELECT count(*) FROM objects") == snap.objects
    assert value(snap.path, "SELECT sum(size) FROM objects") == snap.bytes
    assert value(snap.path, "SELECT count(*) FROM edges") == snap.edges
    loops = "FROM edges e JOIN objects o ON o.addr = e.src WHERE o.type = 'things.Slotted' AND e.src = e.dst"
    assert value(snap.path, f"SELECT count(*) {loops}") == 777
    assert value(snap.path, f"SELECT count(*) {loops} AND e.name LIKE '%a%'") == 777
    assert value(snap.path, "SELECT count(*) FROM objects WHERE type = 'object' AND NOT gc") >= 12345
    assert value(snap.path, "SELECT count(*) FROM objects WHERE type IN ('object', 'str', 'int', 'float') AND gc") == 0
    assert value(snap.path, "SELECT count(*) FROM objects WHERE type = 'things.Thing' AND gc") == 12352
    assert value(snap.path, "SELECT count(*) FROM (SELECT addr FROM objects GROUP BY addr HAVING count(*) > 1)") == 0
    assert value(snap.path, "SELECT typeof(addr) FROM objects LIMIT 1") == "integer"
    dangling = "SELECT count(*) FROM (SELECT DISTINCT dst FROM edges) WHERE dst NOT IN (SELECT addr FROM objects)"
    assert value(snap.path, dangling) == 0
    values = "SELECT count(*) FROM edges e JOIN objects o ON o.addr = e.dst WHERE o.type = 'object' AND e.name LIKE '%value%'"
    assert value(snap.path, values) >= 12345


def test_sql_types_frames_memory(idle, memattach):
    _, snap = idle
    types = rows(memattach.query(snap.path, "SELECT type, count, bytes FROM types"))
    assert {(r["type"], r["count"], r["bytes"]) for r in types} == {(r["type"], r["count"], r["bytes"]) for r in snap.types}
    assert {r["name"]: r["bytes"] for r in rows(memattach.query(snap.path, "SELECT name, bytes FROM memory"))} == snap.rows()
    found = rows(memattach.query(snap.path, "SELECT tid, depth, file, function, line FROM frames ORDER BY tid, depth"))
    wanted = [(t["tid"], d, f["file"], f["function"], f["line"])
              for t in sorted(snap.threads, key=lambda t: t["tid"]) for d, f in enumerate(t["frames"])]
    assert [(r["tid"], r["depth"], r["file"], r["function"], r["line"]) for r in found] == wanted


def test_csv(idle, memattach):
    _, snap = idle
    done = memattach.run("query", snap.path, "SELECT type, count FROM types WHERE type LIKE 'things.%' ORDER BY 1", "--csv")
    assert done.rc == 0, done
    table = list(csv.reader(io.StringIO(done.out)))
    assert table[0] == ["type", "count"]
    assert ["things.Atom", "1000"] in table[1:]


@pytest.mark.parametrize("sql", ["SELECT nothing FROM nowhere", "DELETE FROM objects", "not SQL", "ATTACH '/etc/passwd' AS x", ""])
def test_bad_sql(idle, memattach, sql):
    _, snap = idle
    done = memattach.run("query", snap.path, sql)
    assert done.rc in (1, 2) and len(done.err.splitlines()) == 1, done
    assert memattach.run("check", snap.path).rc == 0


def test_stacks(one_python, start, memattach):
    t = start(one_python, "idle")
    with Unharmed(t):
        done = memattach.run("stacks", t.pid)
    assert done.rc == 0 and done.err == "", done
    assert "inner" in done.out and str(line_of("idle", "waits")) in done.out and str(TARGETS / "idle.py") in done.out
    with Unharmed(t):
        done = memattach.run("stacks", t.pid, "--json")
    if done.rc == 0:
        names = [f["function"] for th in json.loads(done.out)["threads"] for f in th["frames"]]
        assert "inner" in names


def test_doctor_touches_nothing(one_python, start, memattach):
    t = start(one_python, "idle")
    with Unharmed(t):
        done = memattach.run("doctor", t.pid)
    assert done.rc == 0 and str(t.pid) in done.out, done


def test_output_replaces_a_file_and_is_private(one_python, start, memattach, tmp_path):
    t = start(one_python, "idle")
    path = tmp_path / "mine"
    path.write_text("something else")
    path.chmod(0o644)
    old = os.umask(0)
    try:
        snap = memattach.snapshot(t.pid, path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert memattach.run("check", path).rc == 0
    assert [p.name for p in tmp_path.glob("mine*")] == ["mine"]
    check_report(snap, t.pid)


def test_output_path_with_spaces_and_relative(one_python, start, memattach, tmp_path):
    t = start(one_python, "idle")
    done = memattach.run(t.pid, "-o", "a name with spaces", "--json", cwd=tmp_path)
    assert done.rc == 0, done
    assert memattach.run("check", tmp_path / "a name with spaces").rc == 0
    check_nothing_left(tmp_path / "a name with spaces.tmp")


def test_two_at_once(one_python, start, memattach):
    """One of two attaches may be refused, since a process has one tracer; neither harms the target."""
    t = start(one_python, "idle")
    with Unharmed(t):
        runs = [memattach.start(t.pid, "-o", memattach.new_path(), "--json") for _ in range(2)]
        ended = [(p.communicate(timeout=60), p.returncode) for p in runs]
        assert 0 in [rc for _, rc in ended]
        for (_, err), rc in ended:
            assert rc in (0, 4), err
