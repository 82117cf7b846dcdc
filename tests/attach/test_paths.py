# SPDX-License-Identifier: Apache-2.0
"""`memattach paths`, `report --type` and `report --module`, by a program whose holders are known."""
import json

import pytest

N = 15_000
SESSION = "__main__.Session"


def ask(memattach, *args):
    done = memattach.run(*args, "--json")
    assert done.rc == 0, done
    return json.loads(done.out)


@pytest.fixture
def snap(python, start, memattach):
    t = start(python, "suspects", "dict")
    yield memattach.snapshot(t.pid)
    t.end_well()


def test_paths_and_details(snap, memattach):
    ways = ask(memattach, "paths", snap.path, SESSION)
    assert ways["count"] == N and ways["retained"] >= ways["bytes"] > 0
    assert [(w["path"], w["count"], w["holder"]) for w in ways["ways"]] == [("__main__.cache[*]", N, "dict")]
    assert ways["other_ways"] == ways["other_count"] == 0
    assert [s["type"] for s in ways["steps"]] == ["module", "dict", SESSION], ways["steps"]
    assert ways["steps"][1]["step"] == ".cache" and ways["steps"][1]["elements"] == N
    assert "".join(s["step"] for s in ways["steps"]) == ways["path"]

    one = ask(memattach, "paths", snap.path, ways["ways"][0]["example"])
    assert one["type"] == SESSION and one["path"].startswith("__main__.cache[<str") and one["references"] == 1
    assert [(r["type"], r["name"]) for r in one["referrers"]] == [("dict", "[<str>]")]
    assert one["retained"] > one["size"]

    # SQL counts the same
    in_sql = memattach.query(snap.path, f"SELECT sum(retained) AS r FROM objects WHERE type = '{SESSION}'")
    assert in_sql[0]["r"] == ways["retained"]

    detail = ask(memattach, "report", snap.path, "--type", SESSION)["detail"]
    assert sum(s["count"] for s in detail["sizes"]) == N
    assert sum(s["bytes"] for s in detail["sizes"]) == ways["bytes"]
    assert detail["ways"] == ways["ways"] and len(detail["largest"]) == 5
    assert all(x["path"].startswith("__main__.cache[") for x in detail["largest"])

    modules = ask(memattach, "report", snap.path, "--module", "__main__")
    assert len(modules["modules"]) == len(modules["packages"]) == 1
    main = modules["modules"][0]
    assert main["instances"] == N and main["bytes"] == ways["bytes"] and main["retained"] > ways["retained"]
    assert modules["globals"][0]["path"] == "__main__.cache"
    assert modules["globals"][0]["retained"] >= ways["retained"]
    every = ask(memattach, "report", snap.path, "--module", "*")
    assert every["packages"][0]["package"] == "__main__"
    assert sum(m["retained"] for m in every["modules"]) == sum(p["retained"] for p in every["packages"]) <= snap.bytes
    in_sql = memattach.query(snap.path, "SELECT retained, instances FROM modules WHERE module = '__main__'")
    assert in_sql == [{"retained": main["retained"], "instances": N}]

    # as text, the same for people
    for args, wanted in ((("paths", snap.path, SESSION), "__main__.cache[*]"),
                         (("report", snap.path, "--type", SESSION), "HELD THROUGH"),
                         (("report", snap.path, "--module", "__main__"), "GLOBALS")):
        done = memattach.run(*args)
        assert done.rc == 0 and wanted in done.out, done


def test_several_holders(one_python, start, memattach):
    """Ways that part: below one dict of caches, by type; what one object holds is not thrown together with another's."""
    t = start(one_python, "names_of_edges")
    snap = memattach.snapshot(t.pid)
    ways = {w["path"]: w["count"] for w in ask(memattach, "paths", snap.path, "float")["ways"]}
    assert ways["app.generator.held_by_generator[*]"] >= 69_990, ways
    done = memattach.run("paths", snap.path, "no.such.type")
    assert done.rc == 2 and "no.such.type" in done.err and not done.out
    done = memattach.run("paths", snap.path, "0x10")
    assert done.rc == 2 and "0x10" in done.err
    done = memattach.run("report", snap.path, "--module", "no_such_module")
    assert done.rc == 2 and "no_such_module" in done.err
    t.end_well()
