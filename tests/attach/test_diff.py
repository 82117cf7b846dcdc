# SPDX-License-Identifier: Apache-2.0
"""What grew between two snapshots: the first growth point names the holder, whatever kind of leak it is."""
import json
import re

import pytest

# what the path of the first growth point has to say
LEAKS = {
    "dict": "results",
    "listeners": "listeners",
    "lru_cache": "Prices.price",
    "closure": "counter.__closure__.seen",
    "deque": "Registry.history",
    "exceptions": "failures",
    "generators": "waiting",
    "loggers": "logging.Logger.manager.loggerDict",
}
WORK = 2000


def snapshots(memattach, target, work=(WORK,)):
    paths = [memattach.snap(target.pid)]
    for count in work:
        target.ask(f"work {count}", "worked")
        paths.append(memattach.snap(target.pid))
    return paths


@pytest.mark.parametrize("kind", LEAKS)
def test_first_growth_point_names_the_holder(memattach, start, leak_python, kind):
    target = start(leak_python, "leaks", kind)
    old, new = snapshots(memattach, target)
    diff = memattach.diff(old, new)
    first = diff["growth"][0]
    seen = json.dumps([(g["path"], g["type"], g["gained_bytes"], g["gained_objects"]) for g in diff["growth"]])
    assert first["path"].endswith(LEAKS[kind]) or f"{LEAKS[kind]}." in first["path"], seen
    assert first["gained_objects"] >= WORK, seen
    assert first["new_retained"] > first["old_retained"], seen
    others = [g["gained_bytes"] for g in diff["growth"][1:]]
    assert not others or others[0] < first["gained_bytes"] / 4, f"what is steady seems to grow: {seen}"
    target.end_well()


def test_limits_end_with_exit_code_7(memattach, start, one_python):
    target = start(one_python, "leaks", "dict")
    old, new = snapshots(memattach, target)
    for args, code in ((("--fail-over", "100kB"), 7), (("--fail-over", "1GB"), 0), (("--fail-growth", "__main__.results"), 7),
                       (("--fail-growth", "*results"), 7), (("--fail-growth", "__main__.result"), 0),
                       (("--fail-growth", "__main__.settings"), 0), (("--fail-over", "many"), 2)):
        done = memattach.run("diff", old, new, *args)
        assert done.rc == code, done
        assert ("__main__.results" in done.out) == (code != 2), done
    assert memattach.run("diff", old, old, "--fail-over", "1B", "--fail-growth", "*").rc == 0
    target.end_well()


def test_across_a_restart_growth_is_found_by_path(memattach, start, leak_python):
    paths = []
    for work in (1, WORK):
        target = start(leak_python, "leaks", "deque")
        target.ask(f"work {work}", "worked")
        paths.append(memattach.snap(target.pid))
        target.end_well()
    diff = memattach.diff(*paths)
    assert diff["matched_by"] == "path" and diff["same_program"]
    seen = [(g["path"], g["gained_bytes"]) for g in diff["growth"]]
    assert diff["growth"][0]["path"] == "__main__.Registry.history", seen
    assert diff["growth"][0]["gained_objects"] >= WORK - 1, seen


def test_nothing_grows_in_a_snapshot_against_itself(memattach, start, one_python):
    target = start(one_python, "leaks", "dict")
    path = memattach.snap(target.pid)
    diff = memattach.diff(path, path)
    assert diff["growth"] == [] and diff["shrank"] == [] and diff["elapsed_s"] == 0
    assert all(t["old_count"] == t["new_count"] and t["old_bytes"] == t["new_bytes"] for t in diff["types"])
    assert all(m["old_bytes"] == m["new_bytes"] for m in diff["memory"])
    target.end_well()


GROWTH = {"path": str, "type": str, "address": (str, type(None)), "is_new": bool, "old_retained": int, "new_retained": int,
          "gained_bytes": int, "gained_objects": int, "gained_types": list, "allocated_at": type(None)}
ROWS = {
    "types": {"type": str, "old_count": int, "new_count": int, "old_bytes": int, "new_bytes": int},
    "memory": {"name": str, "old_bytes": int, "new_bytes": int},
    "modules": {"module": str, "old_retained": int, "new_retained": int, "old_instances": int, "new_instances": int,
                "old_bytes": int, "new_bytes": int},
    "growth": GROWTH,
    "shrank": GROWTH,
}


def test_shape_of_the_json(memattach, start, one_python):
    """By name and type, everything that docs/json.md promises, and nothing that it does not name."""
    target = start(one_python, "leaks", "dict")
    old, new = snapshots(memattach, target)
    diff = memattach.diff(old, new)
    assert (diff["old"], diff["new"]) == (str(old), str(new)) and diff["schema"] == 1
    assert isinstance(diff["elapsed_s"], float) and diff["elapsed_s"] > 0
    assert set(diff) == {"schema", "old", "new", "old_taken_at", "new_taken_at", "elapsed_s", "old_pid", "new_pid", "command",
                         "old_complete", "new_complete", "same_program", "matched_by", "old_rss_bytes", "new_rss_bytes", "old_objects",
                         "new_objects", "old_bytes", "new_bytes", "sites", *ROWS}
    assert diff["sites"] is None, "tracemalloc is off"
    for name, fields in ROWS.items():
        assert diff[name] or name == "shrank", name
        for row in diff[name]:
            assert set(row) == set(fields) and all(isinstance(row[f], fields[f]) for f in fields), (name, row)
    for kind in diff["growth"][0]["gained_types"]:
        assert set(kind) == {"type", "count", "bytes"} and kind["count"], kind
    for name, key in (("types", "bytes"), ("modules", "retained")):
        gains = [r[f"new_{key}"] - r[f"old_{key}"] for r in diff[name]]
        assert gains == sorted(gains, reverse=True), name
    gained = [g["gained_bytes"] for g in diff["growth"]]
    assert gained == sorted(gained, reverse=True)
    target.end_well()


def test_modules_are_compared(memattach, start, leak_python):
    target = start(leak_python, "leaks", "dict")
    old, new = snapshots(memattach, target)
    rows = {m["module"]: m for m in memattach.diff(old, new)["modules"]}
    main, reports = rows["__main__"], []
    for path in (old, new):
        done = memattach.run("report", path, "--module", "__main__", "--json")
        assert done.rc == 0, done
        reports += [m for m in json.loads(done.out)["modules"] if m["module"] == "__main__"]
    for when, report in zip(("old", "new"), reports):
        assert [main[f"{when}_{f}"] for f in ("retained", "instances", "bytes")] == [report[f] for f in ("retained", "instances", "bytes")]
    assert main["new_retained"] - main["old_retained"] > 100 * WORK and main["new_instances"] - main["old_instances"] >= WORK
    text = memattach.run("diff", old, new).out
    assert re.search(r"^MODULES +before +after +change", text, re.M), text
    assert re.search(r"^  retained by  __main__ .*\+", text, re.M) and re.search(r"^  instances of __main__ .*\+", text, re.M), text
    assert "instances of builtins" not in text
    target.end_well()


@pytest.mark.parametrize("kind", ["replaced", "chain", "tenants"])
def test_containers_that_grow_otherwise(memattach, start, leak_python, kind):
    """A list replaced by a longer copy, the head of a linked list, a dict in which every element grows."""
    target = start(leak_python, "leaks", kind)
    diff = memattach.diff(*snapshots(memattach, target))
    seen = [(g["path"], g["gained_bytes"]) for g in diff["growth"]]
    wanted = {"replaced": "__main__.journal.lines", "chain": "__main__.chain", "tenants": "__main__.tenants"}[kind]
    assert diff["growth"][0]["path"].startswith(wanted), seen
    assert len(diff["growth"][0]["path"]) < len(wanted) + 20, seen
    target.end_well()


def test_three_snapshots_say_whether_growth_is_steady(memattach, start, one_python):
    target = start(one_python, "leaks", "dict")
    a, b, c = snapshots(memattach, target, (WORK, WORK))
    diff = memattach.diff(a, b, c)
    first = diff["growth"][0]
    assert first["path"] == "__main__.results" and first["gained_objects"] >= 2 * WORK
    assert first["gained_first"] > 0 and first["gained_second"] > 0
    assert first["gained_first"] + first["gained_second"] == pytest.approx(first["gained_bytes"], rel=0.1)
    # what the first half of the work left behind is still there, and what was only churned is not
    sessions = {t["type"]: t["count"] for t in diff["survivors"]}["__main__.Session"]
    assert WORK <= sessions < 1.2 * WORK, diff["survivors"]
    assert first["survivor_objects"] >= 3 * WORK
    still = memattach.diff(a, b, b)["growth"][0]
    assert still["gained_second"] == 0 and still["steady"] is False
    assert memattach.run("diff", b, a, c).rc == 2, "the wrong order"
    target.end_well()
