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


def test_csv_has_every_table(exported, memattach):
    folder = memattach.folder / "tables"
    done = export(memattach, exported, "--format", "csv", "--table", "all", "-o", folder)
    assert len(done.out.splitlines()) == len(TABLES)
    tables = {name: read_csv(folder / f"{name}.csv") for name in TABLES}
    for name in TABLES:
        count = memattach.value(exported, f"SELECT count(*) FROM {name}")
        assert len(tables[name]) == count, name
        assert stat.S_IMODE(os.stat(folder / f"{name}.csv").st_mode) == 0o600
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    assert sum(int(r["size"]) for r in tables["objects"]) == memattach.value(exported, "SELECT sum(size) FROM objects")
    assert sum(r["type"].endswith(".Session") for r in tables["objects"]) == 2000


def test_csv_runs_no_formula(exported, memattach):
    done = export(memattach, exported, "--format", "csv")
    rows = list(csv.reader(done.out.splitlines(keepends=True)))
    texts = [cell for row in rows[1:] for cell in row if not cell.lstrip("-").replace(".", "").isdigit()]
    assert "'=cmd|' /C calc'!A0" in texts and "'@SUM(1)" in texts
    assert not [t for t in texts if t[:1] in "=+@\t\r" and t]


def test_json_is_all_of_it(exported, memattach):
    path = memattach.folder / "all.json"
    export(memattach, exported, path)
    whole = json.loads(path.read_text())
    assert list(whole) == ["report", "memory", "frames", "types", "objects", "edges"]
    report = whole["report"]
    assert report["objects"] == len(whole["objects"]) and report["bytes"] == sum(o["size"] for o in whole["objects"])
    assert {o["addr"] for o in whole["objects"]} >= {e["src"] for e in whole["edges"]}
    values = {o["value"] for o in whole["objects"] if o["type"] == "str"}
    assert values >= {LONE if "\ud800" in t else t for t in evil()}
    one = json.loads(export(memattach, exported, "--format", "json", "--table", "types").out)
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


def test_arrow_in_pyarrow_and_duckdb(exported, memattach, one_python):
    reader = readers.tables_python(one_python)
    folder = memattach.folder / "arrow"
    export(memattach, exported, "--format", "arrow", "-o", f"{folder}/")
    done = subprocess.run([reader, "-c", READ_ARROW, folder, *TABLES], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout)
    assert read["rows"] == {name: memattach.value(exported, f"SELECT count(*) FROM {name}") for name in TABLES}
    assert read["schema"]["edges"] == ["src uint64", "dst uint64", "name string"]
    assert read["types"] == {r["type"]: r["n"] for r in memattach.query(exported, "SELECT type, count(*) AS n FROM objects GROUP BY 1")}
    assert read["held"] >= 2000
    assert set(read["texts"]) >= {LONE if "\ud800" in t else t for t in evil()}
    assert read["sizes"] == memattach.value(exported, "SELECT sum(size) FROM objects")
    assert read["gc"] == memattach.value(exported, "SELECT sum(gc) FROM objects")


def test_file_is_replaced_only_when_whole_and_says_so(exported, memattach):
    path = memattach.folder / "types.csv"
    assert "replaced the file" not in export(memattach, exported, "--table", "types", "-o", path).out
    before = path.read_text()
    assert "replaced the file" in export(memattach, exported, "--table", "types", "-o", path).out
    assert path.read_text() == before
    assert [p.name for p in memattach.folder.iterdir() if "tmp" in p.name] == []


def test_refusals(exported, memattach):
    check_error(memattach.run("export", exported), 2, "format")
    check_error(memattach.run("export", exported, "--format", "xml"), 2, "xml", "arrow")
    check_error(memattach.run("export", exported, "--format", "csv", "--table", "heap"), 2, "heap", "objects")
    check_error(memattach.run("export", exported, "--format", "csv", "-o", exported), 2, "snapshot itself")
    check_error(memattach.run("export", exported, "--format", "csv", "-o", "/dev/null"), 2, "regular")
    check_error(memattach.run("export", exported, "x.csv", "-o", "y.csv"), 2, "x.csv", "y.csv")
    check_error(memattach.run("export", exported, "-o", memattach.folder / "no" / "such.csv"), 1, "No such file")
    check_error(memattach.run("export", "/dev/full", "--format", "csv"), (1, 6), "/dev/full")
    assert exported.read_bytes()[:4] != b"addr"


def total_bytes(memattach, exported):
    return memattach.value(exported, "SELECT sum(bytes) FROM types")


def test_collapsed_stacks_are_all_of_the_memory(exported, memattach):
    out = export(memattach, exported, "--format", "collapsed").out
    ways = {}
    for line in out.splitlines():
        way, _, number = line.rpartition(" ")
        assert way.isprintable(), line
        ways[way] = ways.get(way, 0) + int(number)
    assert sum(ways.values()) == total_bytes(memattach, exported)
    sessions = [w for w in ways if w.endswith("Cache;.sessions dict;[] __main__.Session")]
    assert len(sessions) == 1 and sessions[0].startswith("__main__ module;.cache __main__.Cache;")
    assert [w for w in ways if ";.next __main__.Node" in w] and max(w.count(";") for w in ways) < 100, "a list is no way of 5000"
    assert [w for w in ways if "Odd:</script> \\u202e\\x07=1" in w], "a name with what parts frames, or does not show"


def test_speedscope(exported, memattach):
    path = memattach.folder / "x.speedscope.json"
    export(memattach, exported, "-o", path)
    whole = json.loads(path.read_text())
    profile, frames = whole["profiles"][0], whole["shared"]["frames"]
    assert whole["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    assert (profile["type"], profile["unit"], profile["startValue"]) == ("sampled", "bytes", 0)
    assert len(profile["samples"]) == len(profile["weights"])
    assert sum(profile["weights"]) == profile["endValue"] == total_bytes(memattach, exported)
    assert {i for s in profile["samples"] for i in s} == set(range(len(frames)))
    assert len({f["name"] for f in frames}) == len(frames)


def test_pprof_in_go(exported, memattach):
    go = readers.need("go")
    path = memattach.folder / "x.pb.gz"
    export(memattach, exported, "-o", path)

    def pprof(*args):
        done = subprocess.run([go, "tool", "pprof", *args, path], capture_output=True, text=True, timeout=120,
                              env={**os.environ, "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"})
        if done.returncode and "no such tool" in done.stderr:
            pytest.skip(f"this go has no pprof: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr
        return done.stdout
    top = pprof("-top", "-cum", "-unit=b", "-nodefraction=0", "-nodecount=100000")
    assert "Type: inuse_space" in top
    rows = {" ".join(line.split()[5:]): line.split() for line in top.splitlines()[6:] if line}
    assert f"of {total_bytes(memattach, exported)}B total" in top
    held = int(rows[".sessions dict"][3].rstrip("B"))
    cache = memattach.value(exported, "SELECT retained FROM objects WHERE type = '__main__.Cache'")
    assert cache * 0.9 < held <= cache
    objects = pprof("-top", "-sample_index=inuse_objects", "-nodefraction=0", "-nodecount=100000")
    assert f"of {memattach.value(exported, 'SELECT count(*) FROM objects')} total" in objects


READ_HEAPSNAPSHOT = """
import { createReadStream } from 'node:fs'
import { parse, diff } from 'heap-snapshot-toolkit'
const [first, second] = await Promise.all(process.argv.slice(2).map(p => parse(createReadStream(p, 'utf-8'))))
const classes = {}
for (const c of Object.values(first.aggregatesWithFilter({}))) classes[c.name] = [c.count, c.self, c.maxRet]
const changed = {}
if (second) for (const c of Object.values(diff(first, second))) changed[c.name] = [c.addedCount, c.removedCount]
console.log(JSON.stringify({ statistics: first.getStatistics(), classes, changed }))
"""


def read_heapsnapshot(memattach, *paths):
    folder = readers.node_modules("heap-snapshot-toolkit")
    script = memattach.folder / "read.mjs"
    script.write_text(READ_HEAPSNAPSHOT)
    os.symlink(folder / "node_modules", memattach.folder / "node_modules")
    done = subprocess.run([readers.need("node"), script, *paths], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_heapsnapshot_in_devtools(exported, memattach):
    """The code of Chrome's memory panel finds the same objects, the same bytes and the same retained sizes."""
    path = memattach.folder / "x.heapsnapshot"
    export(memattach, exported, "-o", path)
    read = read_heapsnapshot(memattach, path)
    assert read["statistics"]["total"] == total_bytes(memattach, exported)
    ours = {r["type"]: [r["count"], r["bytes"], r["retained"]] for r in memattach.query(
        exported, "SELECT type, count, bytes, retained FROM types")}
    ours["(string)"] = ours.pop("str")
    assert len(ours) > 50
    wrong = {t: (n, read["classes"].get(t)) for t, n in ours.items() if t.isascii() and t.isprintable() and t[0] != "<"
             and t != "Object" and read["classes"].get(t) != n}
    assert wrong == {}
    raw = json.loads(path.read_text())
    ids = raw["nodes"][2::7]
    assert len(set(ids)) == len(ids) and not [i for i in ids if i % 2 == 0 or i >= 2 ** 32]
    assert set(raw["strings"]) >= {LONE if "\ud800" in t else t for t in evil()}
    assert max(map(len, raw["strings"])) <= 1024


def test_heapsnapshots_of_one_process_compare(one_python, start, memattach):
    target = start(one_python, "exported")
    paths = []
    for name in "ab":
        export_from = memattach.folder / f"{name}.mas"
        assert memattach.run("snap", target.pid, "-o", export_from).rc == 0
        paths.append(memattach.folder / f"{name}.heapsnapshot")
        export(memattach, export_from, "-o", paths[-1])
    target.end_well()
    changed = read_heapsnapshot(memattach, *paths)["changed"]
    assert changed.get("__main__.Session", [0, 0]) == [0, 0], "the same objects have the same ids"
    assert sum(added + removed for added, removed in changed.values()) < 1000, changed


def near(a, b, share):
    return abs(a - b) <= b * share


def test_hprof_in_hprof_analyzer(exported, memattach):
    """It finds every object and, within the steps in which fields and arrays come, what each type retains."""
    analyzer = readers.hprof_analyzer()
    path, report = memattach.folder / "x.hprof", memattach.folder / "x.json"
    export(memattach, exported, "-o", path)
    done = subprocess.run([analyzer, "-f", "json", "--progress", "never", path, report], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    overview = json.loads(report.read_text())["overview"]
    assert overview["format"] == "JAVA PROFILE 1.0.2" and not overview["compressed_oops"]
    assert near(overview["total_shallow"], total_bytes(memattach, exported), 0.04)
    assert overview["unreachable_shallow"] == 0, "everything hangs below a root"
    found = {r["pretty_class"]: r for r in overview["histogram"]}
    ours = {r["type"]: r for r in memattach.query(exported, "SELECT type, count, bytes, retained FROM types")}
    wrong = {t: (r["count"], found.get(t, {}).get("instances")) for t, r in ours.items()
             if r["count"] > 20 and t.isascii() and t.isprintable() and found.get(t, {}).get("instances") != r["count"]}
    assert wrong == {}
    for name in ("__main__.Session", "__main__.Cache", "dict", "module", "__main__.Node"):
        assert near(found[name]["retained"], ours[name]["retained"], 0.15), (name, found[name], ours[name])
