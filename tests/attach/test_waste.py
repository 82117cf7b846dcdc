# SPDX-License-Identifier: Apache-2.0
"""What the report calls waste, against Python's own sizes of the same objects."""
import json


def test_waste(python, start, memattach):
    t = start(python, "waste")
    snap = memattach.snapshot(t.pid)
    facts = json.loads(t.ask("facts", "facts").partition(" ")[2])
    done = memattach.run("report", snap.path, "--json")
    assert done.rc == 0, done
    report = json.loads(done.out)
    rows = {f"{r['kind']} {r['type']}": r for r in report["waste"]}
    each = {name: facts.pop(name) for name in ("each", "each_then")}
    for name, (count, size) in facts.items():
        row = rows[name]
        exact = name.startswith("slots")
        # the rest of the program wastes a little, too
        assert count <= row["count"] <= count + (0 if exact else 4000), (name, row)
        assert size <= row["bytes"] <= size + (0 if exact else 300_000), (name, row, size)
        assert abs(row["share"] - 100 * row["bytes"] / report["bytes"]) <= 1
    assert {name: rows["slots __main__.Plain"][name] for name in each} == each
    assert "slots __main__.Slotted" not in rows

    first = report["duplicates"][0]
    assert (first["type"], first["count"]) in (("str", 5000), ("bytes", 5000)), first
    in_sql = memattach.query(snap.path, "SELECT kind, type, count, bytes FROM waste")
    assert in_sql == [{k: r[k] for k in ("kind", "type", "count", "bytes")} for r in report["waste"]]
    in_sql = memattach.query(snap.path, "SELECT d.count, o.size FROM duplicates d, objects o WHERE o.addr = d.example LIMIT 1")
    assert in_sql == [{"count": first["count"], "size": first["size"]}]
    shown = memattach.run("report", snap.path)
    assert shown.rc == 0 and f"with __slots__: {each['each']} -> {each['each_then']} B" in shown.out, shown.out
    t.end_well()


def test_copies_need_hashes(one_python, start, memattach):
    t = start(one_python, "waste")
    path = memattach.new_path()
    assert memattach.run("snap", t.pid, "-o", path, "--values", "none").rc == 0
    report = json.loads(memattach.run("report", path, "--json").out)
    assert report["duplicates"] is None
    assert "copies" not in {r["kind"] for r in report["waste"]} and "boxed" in {r["kind"] for r in report["waste"]}
    t.end_well()
