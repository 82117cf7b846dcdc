# SPDX-License-Identifier: Apache-2.0
"""The agent in a twin and the agent in a husk, on the same frozen memory: `--core` writes the core of the very twin that is
walked, so both must see the same. Where the husk may not ask tp_traverse its edges are guessed: how many of them are right
is counted."""
import collections
import json

import pytest
from test_data import data_python  # noqa: F401
from test_outside import exe_of

GUESSED = "<guessed>"
# Visitors of ours write their edges, in the twin as in the husk.
OURS = {"dict", "list", "tuple", "set", "frozenset", "function", "type", "code", "cell", "method", "generator", "coroutine", "frame",
        "slice", "range", "builtin_function_or_method", "method_descriptor", "wrapper_descriptor", "getset_descriptor",
        "member_descriptor", "weakref", "collections.deque", "collections.defaultdict", "collections.OrderedDict",
        "datetime.datetime", "numpy.ndarray", "numpy.dtype"}


def both(memattach, pid, python, tmp_path):
    """Paths of the snapshot of a process, and of that of its core."""
    core, a, b = tmp_path / "core", tmp_path / "twin.mas", tmp_path / "husk.mas"
    done = memattach.run("snap", pid, "-o", a, "--core", core)
    assert done.rc == 0, done
    assert core.stat().st_mode & 0o777 == 0o600
    done = memattach.run("snap", f"core:{core}", "-o", b, *exe_of(python))
    assert done.rc == 0, done
    core.unlink()
    return a, b


def rows(memattach, path, sql):
    answer = memattach.query(path, sql)
    return [tuple(r.values()) if isinstance(r, dict) else tuple(r) for r in answer]


def objects(memattach, path):
    found = rows(memattach, path, "SELECT addr, type, size, refcnt, gc, place FROM objects")
    return {r[0]: r[1:] for r in found}


def edges(memattach, path):
    found = {}
    for src, dst, name in rows(memattach, path, "SELECT src, dst, name FROM edges"):
        found.setdefault(src, []).append((dst, name))
    return {src: sorted(v, key=str) for src, v in found.items()}


def compare(memattach, a, b):
    """Of types with visitors of ours all is equal. Of the others: how many of the references that tp_traverse told were
    found, how many not, and how many were guessed that are none."""
    twin, husk = objects(memattach, a), objects(memattach, b)
    differ = [(x, twin[x], husk[x]) for x in set(twin) & set(husk) if twin[x] != husk[x]]
    assert not differ, differ[:5]
    told, seen = edges(memattach, a), edges(memattach, b)
    guessers = {objects[src][0] for objects, found in ((twin, told), (husk, seen)) for src, v in found.items()
                if src in objects and any(name == GUESSED for _, name in v)}
    counts = collections.Counter(objects=len(twin), lost=len(set(twin) - set(husk)), extra=len(set(husk) - set(twin)))
    for src in set(twin) & set(husk):
        want, got = told.get(src, []), seen.get(src, [])
        if want == got and twin[src][0] not in guessers:
            counts["exact"] += len(want)
            continue
        # a dict of C code may be known for globals, whose keys are names, by another reference than in the twin
        renamed = twin[src][0] == "dict" and [d for d, _ in want] == [d for d, _ in got]
        counts["renamed"] += renamed
        assert renamed or twin[src][0] not in OURS, (src, twin[src], want[:5], got[:5])
        if renamed:
            continue
        left = collections.Counter(dst for dst, name in want if name != GUESSED)
        found = collections.Counter(dst for dst, _ in got)
        counts["told"] += left.total() if hasattr(left, "total") else sum(left.values())
        counts["right"] += sum((left & found).values())
        counts["missing"] += sum((left - found).values())
        counts["wrong"] += sum((found - left).values()) - sum(name == GUESSED for _, name in want)
    return counts


def test_same_memory(python, start, memattach, tmp_path, record_property):
    t = start(python, "idle")
    found = compare(memattach, *both(memattach, t.pid, python, tmp_path))
    t.end_well()
    record_property("differential", json.dumps(found))
    print(found)
    assert not found["renamed"] and found["exact"] > 10 * found["told"] > 0, found
    assert found["missing"] < 0.2 * found["told"] and found["wrong"] < 0.3 * found["told"], found
    assert found["lost"] < 0.01 * found["objects"] and found["extra"] < 0.01 * found["objects"], found


@pytest.mark.long
def test_same_memory_with_pandas(data_python, start, memattach, tmp_path, record_property):  # noqa: F811
    t = start(data_python, "data_frames")
    found = compare(memattach, *both(memattach, t.pid, data_python, tmp_path))
    record_property("differential", json.dumps(found))
    print(found)
    assert found["renamed"] < 0.01 * found["objects"]
    assert found["lost"] < 0.02 * found["objects"] and found["extra"] < 0.02 * found["objects"], found
