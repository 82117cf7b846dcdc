# SPDX-License-Identifier: Apache-2.0
"""Runs inside the Python under test: builds something, walks it with the agent, says as JSON what it found.
Usage: probe.py BUILD_DIR OUT_FILE CASE"""
import array
import collections
import ctypes
import gc
import json
import mmap
import os
import subprocess
import sys
import threading

import blocks

BUILD, OUT, CASE = sys.argv[1:4]
BLOB = os.path.join(BUILD, "attach/agent/agent.bin")


class Result(ctypes.Structure):
    _fields_ = [(n, ctypes.c_uint64) for n in ("walk_ns", "blocks", "bytes", "faults", "cpu_ns", "sys_ns")] + \
               [(n, ctypes.c_int32) for n in ("done", "err", "signal")]


HARNESS = ctypes.PyDLL(os.path.join(BUILD, "bin/agent_harness.so"))


def arguments(values=0):
    # from within a tree (tests/attach/enter_tree) a program of this machine runs in the file system outside
    outside = os.environ.get("MEMATTACH_OUTSIDE", "").split()
    return subprocess.run(outside + [os.path.join(BUILD, "bin/agent_args_dump"), str(os.getpid()), str(values)],
                          stdout=subprocess.PIPE,
                          check=True).stdout


def walk(flags=0, slow_us=0, args=None):
    """A walk of this process as it is now; the GIL is held until it is over."""
    args = args or arguments()
    r = Result()
    rc = HARNESS.harness_run(args, ctypes.c_size_t(len(args)), BLOB.encode(), 0, OUT.encode(), flags, slow_us, ctypes.byref(r))
    return {"rc": rc, "done": r.done, "err": r.err, "signal": r.signal, "faults": r.faults, "blocks": r.blocks}


def counts(s):
    return collections.Counter(s.type_name(o[0]) for o in s.objects.values())


def snapshot(**options):
    run = walk(**options)
    s = blocks.Snapshot(OUT)
    result = {"run": run, "stats": s.stats, "threads": len(s.threads), "interps": len(s.interps),
              "excess": [(s.type_name(s.objects[a][0]), n, rc) for a, n, rc in s.excess()][:20],
              "faulted": [s.type_name(o[0]) for o in s.objects.values() if o[5] & blocks.OX_FAULT]}
    return s, result


def closure():
    """Every object that the collector knows and what these refer to."""
    found = gc.get_objects()
    ids = {id(o) for o in found}
    at = 0
    while at < len(found):
        for x in gc.get_referents(found[at]):
            if id(x) not in ids:
                ids.add(id(x))
                found.append(x)
        at += 1
    return found


def size_of(o):
    try:
        return sys.getsizeof(o)
    except Exception:
        return None


def case_zoo():
    import zoo
    keep = zoo.everything()
    gc.collect()
    gc.disable()
    own, args = {id(globals())}, arguments()
    found = closure()
    # arrays: as tuples and numbers these would be most of what is walked and read
    addresses, kinds = array.array("Q", map(id, found)), [type(o) for o in found]
    said_sizes = array.array("q", (-1 if size is None else size for size in map(size_of, found)))
    names = {}
    for t in set(kinds):
        names[t] = t.__qualname__ if t.__module__ == "builtins" else "%s.%s" % (t.__module__, t.__qualname__)
    sources, targets = array.array("Q"), array.array("Q")
    for o in found:
        if not isinstance(o, (type(sys._getframe()), dict)) and o is not found:
            referents = gc.get_referents(o)
            sources.extend(array.array("Q", [id(o)]) * len(referents))
            targets.extend(map(id, referents))
    del o, referents
    own.update(map(id, (found, addresses, kinds, said_sizes, names, sources, targets, own)))
    held = len(found)
    s, result = snapshot(args=args)
    facts, refs = list(zip(addresses, said_sizes, kinds)), zip(sources, targets)
    result["held"] = held
    result["missing"] = sorted({t.__name__ for a, _, t in facts if a not in s.objects and a not in own})
    sizes, wrong = {}, set()
    for a, size, t in facts:
        o = s.objects.get(a)
        if o is None or a in own or size < 0:
            continue
        # what this probe itself changes after it was measured: its code warms up, its classes get attributes
        if s.types[o[0]][1] & blocks.TF_SIZER and o[2] != size and t.__name__ not in ("code",):
            sizes["%s" % t.__name__] = (o[2], size)
        if s.type_name(o[0]) != names[t]:
            wrong.add((s.type_name(o[0]), names[t]))
    result["sizes"], result["names"] = sizes, sorted(wrong)
    edges = {a: {e[0] for e in o[6]} | {s.types[o[0]][0]} for a, o in s.objects.items()}
    result["lacking"] = sorted({s.type_name(s.objects[a][0]) for a, b in refs if a in edges and b not in edges[a] and a not in own})
    p = keep[0][0]
    o = s.objects[id(p)]
    result["plain"] = sorted(s.names[e[2]] for e in o[6] if e[1] == blocks.NAMED)
    slots = s.objects[id(keep[0][6])]
    result["slots"] = sorted(s.names[e[2]] for e in slots[6] if e[1] == blocks.NAMED)
    result["data_is_no_name"] = "secret-key" not in s.names.values()
    return result


SECRET = {"secret-key": ["secret-value"]}


def case_collecting():
    """A finaliser asleep inside a collection: what the collector holds is in no generation list, and nothing reaches it."""
    out = {}

    class Garbage(object):
        first = True

        def __init__(self):
            self.me = self
            self.load = [self]

        def __del__(self):
            if Garbage.first:
                Garbage.first = False
                s, result = snapshot()
                result["garbage"] = counts(s)["__main__.case_collecting.<locals>.Garbage"]
                out.update(result)

    gc.disable()
    for _ in range(1000):
        Garbage()
    gc.collect()
    return out


def case_threads():
    gate, ready = threading.Event(), threading.Semaphore(0)

    def outer(k):
        local = [k]
        inner(local)

    def inner(value):
        ready.release()
        gate.wait()

    threads = [threading.Thread(target=outer, args=(i,)) for i in range(10)]
    for t in threads:
        t.start()
    for _ in threads:
        ready.acquire()
    s, result = snapshot()

    def stacks():
        return [[s.names[f["function"]].rsplit(".", 1)[-1] for f in t["frames"]] for t in s.threads]

    def lines():
        return sorted({f["line"] for t in s.threads for f in t["frames"] if s.names[f["function"]].endswith("outer")})

    result["stacks"] = sum("inner" in t and t.index("outer") == t.index("inner") + 1 for t in stacks())
    result["lines"], result["line"] = lines(), outer.__code__.co_firstlineno + 2
    result["gil"] = [t["gil"] for t in s.threads]
    s, only = snapshot(flags=1)
    result["only"] = {"objects": len(s.objects), "threads": len(s.threads),
                      "stacks": sum("inner" in t and "outer" in t for t in stacks()), "lines": lines()}
    gate.set()
    return result


def case_interpreters():
    try:
        import _xxsubinterpreters as interpreters
    except ImportError:
        import _interpreters as interpreters
    sub = interpreters.create()
    interpreters.run_string(sub, "class Sub: pass\nxs = [Sub() for _ in range(500)]")
    s, result = snapshot()
    result["sub"] = counts(s)["__main__.Sub"]
    return result


def case_shapes():
    """A list of a million nodes, long lists, and a consumer that makes the ring full."""
    class Node(object):
        __slots__ = ("next", "value")

    head = None
    for i in range(300000):
        n = Node()
        n.next, n.value = head, float(i)
        head = n
    wide = [float(i) for i in range(500000)]
    dicts = {str(i): [i] for i in range(100000)}
    s, result = snapshot(slow_us=20000)
    c = counts(s)
    result["nodes"], result["floats"] = c["__main__.case_shapes.<locals>.Node"], c["float"]
    result["wide"] = [e[2] for e in s.objects[id(wide)][6]][-1]
    result["dict"] = sum(e[1] == blocks.VALUE for e in s.objects[id(dicts)][6])
    result["conts"] = s.conts
    result["rss"] = int(open("/proc/self/statm").read().split()[1]) * 4096
    return result


def case_corrupt():
    """Pointers and lengths that are garbage: they cost these objects, nothing else."""
    class Thing(object):
        pass

    kept = [[object() for _ in range(10)] for _ in range(200)]
    saved, many = [], [arguments(mode) for mode in (0, 1, 3)]
    gc.disable()

    def bad(o, offset, value):
        word = ctypes.c_uint64.from_address(id(o) + offset)
        saved.append((word, word.value))
        word.value = value

    hole = mmap.mmap(-1, 4096 * 4)
    base = ctypes.addressof(ctypes.c_char.from_buffer(hole))
    ctypes.CDLL(None).mprotect(ctypes.c_void_p(base + 4096), ctypes.c_size_t(4096), 0)
    garbage = [0xdeadbeef0, 0x8, 0x7fffffffe000, 0xffffffffffff8000, id(kept), id(CASE), BLOB.__hash__() & (2**63 - 8), base]
    lists, dicts = [[1, 2, 3] for _ in garbage], [{"a": 1} for _ in garbage]
    tuples, things, strings = [(Thing(),) for _ in garbage], [Thing() for _ in garbage], ["s%d" % len(garbage * i) for i in range(8)]
    long, deques = [1, 2], [__import__("collections").deque([1]) for _ in range(3)]
    for i, value in enumerate(garbage):
        bad(lists[i], 24, value)
        bad(lists[i], 16, 1 << 40)
        bad(dicts[i], 32, value)
        bad(tuples[i], 24, value)
        bad(tuples[i], 16, 1 << 50 if i & 1 else 5)
        bad(things[i], 8, value)
        bad(strings[i], 16, 1 << 60)
    bad(long, 24, base)
    bad(long, 16, 4096 * 3 // 8)
    bad(deques[0], 24, 0x10)
    bad(deques[1], 24, base + 4096)
    data = [bytes([i]) * (i + 20) for i in range(8)]
    texts = ["%d \xe9" % i for i in range(4)] + ["%d \u0431" % i for i in range(4)]
    for i in range(8):
        bad(data[i], 16, (1 << 19, 1 << 20, 1 << 21, 1 << 22, 1 << 61, 1 << 62, 2**64 - 1, 1 << 63)[i])
        bad(texts[i], 16, (1 << 19, 1 << 20, 1 << 21, 1 << 22, 1 << 61, 1 << 62, 2**64 - 1, 1 << 63)[i])

    def with_values(args):
        done = walk(args=args)
        v = blocks.Snapshot(OUT)
        return done["done"], v.values, v.stats[25], v.unread, sum(id(k) in v.objects for k in kept)

    values = [with_values(args) for args in many[1:]]
    run = walk(args=many[0])
    for word, value in reversed(saved):
        word.value = value
    s = blocks.Snapshot(OUT)
    return {"values": values, "run": run, "stats": s.stats, "kept": sum(id(k) in s.objects for k in kept),
            "faulted": sorted(s.type_name(o[0]) for o in s.objects.values() if o[5] & blocks.OX_FAULT)}


def case_native():
    """Objects that only native code holds are found in the arenas: instances by the collector's lists, tuples that it no
    longer tracks and strings by the blocks alone."""
    class Thing(object):
        def __init__(self, i):
            self.i = i

    n = 3000
    held = (ctypes.c_uint64 * n)()
    incref = ctypes.pythonapi.Py_IncRef
    incref.argtypes = [ctypes.py_object]
    things = []
    for i in range(0, n, 3):
        things += [Thing(i + 100000), (i + 100000, float(i)), "string %d" % i]
    for i, t in enumerate(things):
        incref(t)
        held[i] = id(t)
    gc.collect()
    keep = [things[0], gc.is_tracked(things[1])]
    t = None
    del things
    s, result = snapshot()
    result["things"] = sum(a in s.objects for a in held)
    result["flagged"] = sum(bool(s.objects[a][5] & blocks.OX_UNREACHED) for a in held if a in s.objects)
    result["arena_bytes"] = [a[1] for a in s.arenas][:1]
    result["classes"] = all(used >= objects for _, _, used, _, objects, _ in s.classes)
    result["untracked"] = not keep[1]
    return result


def case_data():
    """Arrays of numpy, Arrow and pandas, while tracemalloc is on: the memory of each is said with it, once."""
    import tracemalloc
    import numpy
    import pandas
    import pyarrow
    tracemalloc.start(5)
    floats, objects, matrix = numpy.arange(100000.0), numpy.array([[i] for i in range(1000)] + [None], object), numpy.ones((300, 200), "i2", "F")
    views = [floats[10:], floats.reshape(100, 1000), matrix.T]
    records = numpy.zeros(500, [("when", "M8[s]"), ("what", "U20"), ("more", object)])
    arrow = [pyarrow.array(range(50000)), pyarrow.array(["text %d" % i for i in range(1000)]), pyarrow.chunked_array([[1.5], [2.5, None]]),
             pyarrow.table({"a": [1, 2, 3], "b": [[1], [], None]})]
    frame = pandas.DataFrame({"n": range(4000), "x": floats[:4000], "s": ["row %d" % i for i in range(4000)]})
    frame["c"] = frame["s"].str[:5].astype("category")
    owners = {"float64": floats, "object": objects, "matrix": matrix, "records": records}
    held = [*owners.values(), *views, *arrow, frame, *objects[:1000]]
    gc.collect()
    traced = walk()
    tracemalloc.stop()
    s, result = snapshot()
    result["traced"] = [traced[what] for what in ("rc", "done", "faults")]
    result["missing"] = [type(o).__name__ for o in held if id(o) not in s.objects]
    result["buffers"] = {name: [s.objects[id(a)][4], a.nbytes] for name, a in owners.items()}
    result["views"] = [s.objects[id(v)][4] for v in views]
    return result


print(json.dumps(globals()["case_" + CASE]()))
sys.stdout.flush()
os._exit(0)
