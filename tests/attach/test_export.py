# SPDX-License-Identifier: Apache-2.0
"""memattach export, each format read by the program that it is for."""
import csv
import json
import os
import stat
import subprocess

import pytest
import readers
from memattach import check_error

TABLES = ("objects", "edges", "types", "frames", "memory")
LONE = "\ufffd alone"  # a lone surrogate is no UTF-8


@pytest.fixture
def snap(one_python, start, memattach):
    """The heap of targets/exported.py with its values, and the process still there to ask."""
    target = start(one_python, "exported")
    path = memattach.folder / "exported.mas"
    done = memattach.run("snap", target.pid, "-o", path, "--values", "all")
    assert done.rc == 0, done
    target.end_well()
    return path


def export(memattach, *args):
    done = memattach.run("export", *args)
    assert done.rc == 0, done
    assert done.err == "", done
    return done


def evil():
    import ast
    import pathlib
    source = pathlib.Path(__file__).parent.parent / "targets" / "exported.py"
    for node in ast.parse(source.read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "EVIL":
            return ast.literal_eval(node.value)
    raise AssertionError("no EVIL in targets/exported.py")


def read_csv(path):
    with open(path, newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))


def test_csv_has_every_table(snap, memattach):
    folder = memattach.folder / "tables"
    done = export(memattach, snap, "--format", "csv", "--table", "all", "-o", folder)
    assert len(done.out.splitlines()) == len(TABLES)
    tables = {name: read_csv(folder / f"{name}.csv") for name in TABLES}
    for name in TABLES:
        count = memattach.value(snap, f"SELECT count(*) FROM {name}")
        assert len(tables[name]) == count, name
        assert stat.S_IMODE(os.stat(folder / f"{name}.csv").st_mode) == 0o600
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    assert sum(int(r["size"]) for r in tables["objects"]) == memattach.value(snap, "SELECT sum(size) FROM objects")
    assert sum(r["type"].endswith(".Session") for r in tables["objects"]) == 2000


def test_csv_runs_no_formula(snap, memattach):
    done = export(memattach, snap, "--format", "csv")
    rows = list(csv.reader(done.out.splitlines(keepends=True)))
    texts = [cell for row in rows[1:] for cell in row if not cell.lstrip("-").replace(".", "").isdigit()]
    assert "'=cmd|' /C calc'!A0" in texts and "'@SUM(1)" in texts
    assert not [t for t in texts if t[:1] in "=+@\t\r" and t]


def test_json_is_all_of_it(snap, memattach):
    path = memattach.folder / "all.json"
    export(memattach, snap, path)
    whole = json.loads(path.read_text())
    assert list(whole) == ["report", "memory", "frames", "types", "objects", "edges"]
    report = whole["report"]
    assert report["objects"] == len(whole["objects"]) and report["bytes"] == sum(o["size"] for o in whole["objects"])
    assert {o["addr"] for o in whole["objects"]} >= {e["src"] for e in whole["edges"]}
    values = {o["value"] for o in whole["objects"] if o["type"] == "str"}
    assert values >= {LONE if "\ud800" in t else t for t in evil()}
    one = json.loads(export(memattach, snap, "--format", "json", "--table", "types").out)
    assert one == whole["types"]


READ_ARROW = """
import sys, json, pyarrow as pa, pyarrow.ipc, duckdb
tables = {}
for name in sys.argv[2:]:
    with pa.memory_map(f"{sys.argv[1]}/{name}.arrow") as f:
        tables[name] = pa.ipc.open_file(f).read_all()
    tables[name].validate(full=True)
objects, edges = tables["objects"], tables["edges"]
print(json.dumps({
    "schema": {n: [f"{f.name} {f.type}" for f in t.schema] for n, t in tables.items()},
    "rows": {n: t.num_rows for n, t in tables.items()},
    "types": dict(duckdb.sql("SELECT type, count(*) FROM objects GROUP BY 1").fetchall()),
    "held": duckdb.sql("SELECT count(*) FROM edges e JOIN objects o ON o.addr = e.dst WHERE o.type LIKE '%.Session'").fetchall()[0][0],
    "texts": [r[0] for r in duckdb.sql("SELECT value FROM objects WHERE type = 'str' AND value NOT NULL").fetchall()],
    "sizes": int(duckdb.sql("SELECT sum(size) FROM objects").fetchall()[0][0]),
    "nulls": objects["value"].null_count, "gc": objects["gc"].to_pylist().count(True)}))
"""


def test_arrow_in_pyarrow_and_duckdb(snap, memattach, one_python):
    reader = readers.tables_python(one_python)
    folder = memattach.folder / "arrow"
    export(memattach, snap, "--format", "arrow", "-o", f"{folder}/")
    done = subprocess.run([reader, "-c", READ_ARROW, folder, *TABLES], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout)
    assert read["rows"] == {name: memattach.value(snap, f"SELECT count(*) FROM {name}") for name in TABLES}
    assert read["schema"]["edges"] == ["src uint64", "dst uint64", "name string"]
    assert read["types"] == {r["type"]: r["n"] for r in memattach.query(snap, "SELECT type, count(*) AS n FROM objects GROUP BY 1")}
    assert read["held"] >= 2000
    assert set(read["texts"]) >= {LONE if "\ud800" in t else t for t in evil()}
    assert read["sizes"] == memattach.value(snap, "SELECT sum(size) FROM objects")
    assert read["gc"] == memattach.value(snap, "SELECT sum(gc) FROM objects")


def test_file_is_replaced_only_when_whole_and_says_so(snap, memattach):
    path = memattach.folder / "types.csv"
    assert "replaced the file" not in export(memattach, snap, "--table", "types", "-o", path).out
    before = path.read_text()
    assert "replaced the file" in export(memattach, snap, "--table", "types", "-o", path).out
    assert path.read_text() == before
    assert [p.name for p in memattach.folder.iterdir() if "tmp" in p.name] == []


def test_refusals(snap, memattach):
    check_error(memattach.run("export", snap), 2, "format")
    check_error(memattach.run("export", snap, "--format", "xml"), 2, "xml", "arrow")
    check_error(memattach.run("export", snap, "--format", "csv", "--table", "heap"), 2, "heap", "objects")
    check_error(memattach.run("export", snap, "--format", "csv", "-o", snap), 2, "snapshot itself")
    check_error(memattach.run("export", snap, "--format", "csv", "-o", "/dev/null"), 2, "regular")
    check_error(memattach.run("export", snap, "x.csv", "-o", "y.csv"), 2, "x.csv", "y.csv")
    check_error(memattach.run("export", snap, "-o", memattach.folder / "no" / "such.csv"), 1, "No such file")
    check_error(memattach.run("export", "/dev/full", "--format", "csv"), (1, 6), "/dev/full")
    assert snap.read_bytes()[:4] != b"addr"
