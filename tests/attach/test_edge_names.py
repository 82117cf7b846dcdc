# SPDX-License-Identifier: Apache-2.0
"""References carry the names that Python has for them, and a report writes the way to an object with them."""
import json
import re


def ask_edges(t):
    t.send("edges")
    return json.loads(t.read_line())


def take(memattach, t, mode):
    path = memattach.new_path()
    done = memattach.run("snap", t.pid, "-o", path, "--values", mode)
    assert done.rc == 0, done
    return path


def names(memattach, path, wanted):
    sources = ",".join(str(e[0]) for e in wanted)
    found = {}
    for row in memattach.query(path, f"SELECT src, dst, name FROM edges WHERE src IN ({sources})"):
        found.setdefault((row["src"], row["dst"]), []).append(row["name"])
    return found


def missing(memattach, path, wanted, key):
    found = names(memattach, path, wanted)
    return [(name, found.get((src, dst))) for src, dst, name in wanted
            if not any(re.fullmatch(key, n) if name == "key" else n == name for n in found.get((src, dst), []))]


def test_names(python, start, memattach):
    t = start(python, "names_of_edges")
    taken = {mode: take(memattach, t, mode) for mode in ("none", "hash", "all")}
    wanted = ask_edges(t)
    assert not missing(memattach, taken["none"], wanted, r"\[<str>\]")
    assert not missing(memattach, taken["hash"], wanted, r"\[<str #[0-9a-f]{4}, 1 char>\]")
    assert not missing(memattach, taken["all"], wanted, r"\['[kwzi]'\]")
    t.end_well()


def holders(memattach, path):
    done = memattach.run("report", path, "--json")
    assert done.rc == 0, done
    return [h["path"] for h in json.loads(done.out)["holders"]]


def test_ways(python, start, memattach):
    t = start(python, "names_of_edges")
    generator = "app.generator.held_by_generator" if python.minor >= (3, 11) else "app.generator.gi_frame.held_by_generator"
    for mode, key in (("all", "['k']"), ("none", "[<str>]")):
        found = holders(memattach, take(memattach, t, mode))
        for way in ("app.registry.listeners[3].cache" + key, "app.handler.__closure__.captured", generator,
                    "app.dynamic.__class__.data", "main() mine"):
            assert way in found, f"{way} is not in {found}"
    found = holders(memattach, take(memattach, t, "hash"))
    assert any(re.fullmatch(r"app\.registry\.listeners\[3\]\.cache\[<str #[0-9a-f]{4}, 1 char>\]", way) for way in found), found
    t.end_well()
