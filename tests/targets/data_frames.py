# SPDX-License-Identifier: Apache-2.0
"""Frames of pandas and tables of Arrow. "frames" prints name, address and bytes of what memory_usage(deep=True) says;
"blocks" name, address of each array behind a frame, where its data is and how much; "buffers" each buffer of Arrow:
its address and capacity; "arrow" what Arrow's own allocator says."""
import gc

import numpy as np
import pandas as pd
import pyarrow as pa

import common

N = 20000


def tables():
    text = ["row %d" % i for i in range(N)]
    t = pa.table({
        "i": pa.array(range(N)), "f": pa.array(np.random.default_rng(1).random(N)),
        "s": pa.array(text), "with_nulls": pa.array([None if i % 3 else i for i in range(N)]),
        "list": pa.array([[i, i + 1] for i in range(N)]), "struct": pa.array([{"a": i, "b": str(i)} for i in range(N)]),
        "dict": pa.array(text[:50] * (N // 50)).dictionary_encode(), "bool": pa.array([True, False] * (N // 2)),
    })
    return {"table": t, "chunked": pa.chunked_array([pa.array(range(5000)), pa.array(range(7000))]),
            "batch": pa.RecordBatch.from_pydict({"x": pa.array(range(9000)), "y": pa.array(text[:9000])}),
            "slice": t.slice(100, 50), "sliced_array": pa.array(range(11000))[5000:],
            "buffer": pa.allocate_buffer(123456), "wrapped": pa.array(np.arange(30000)),
            "views": pa.array(["a text too long to stand inline %d" % i for i in range(3000)], type=pa.string_view())
            if hasattr(pa, "string_view") else pa.array(text)}


def frames():
    rng = np.random.default_rng(2)
    f = {}
    f["numeric"] = pd.DataFrame({"i": np.arange(N), "f": rng.random(N), "g": rng.random(N), "small": np.arange(N, dtype="i2")})
    f["numeric"]["late"] = rng.random(N)
    f["objects"] = pd.DataFrame({"o": pd.Series(["object %d" % i for i in range(N)], dtype=object),
                                 "p": pd.Series([float(i) for i in range(N)], dtype=object)})
    f["strings"] = pd.DataFrame({"s": pd.array(["string %d" % i for i in range(N)], dtype="string[pyarrow]")})
    f["dates"] = pd.DataFrame({"d": pd.date_range("2026-01-01", periods=N, freq="min"),
                               "c": pd.Categorical(["x", "y"] * (N // 2)), "n": pd.array([1, None] * (N // 2), dtype="Int64")})
    f["view"] = f["numeric"][["i", "f"]]
    f["looked_up"] = pd.DataFrame({"v": rng.random(N)}, index=pd.Index(np.arange(N) * 3))
    f["looked_up"].loc[3]
    f["looked_up"].index.is_unique
    return f


TABLES = tables()
FRAMES = frames()
gc.collect()


def arrays_of(frame):
    for block in frame._mgr.blocks:
        v = block.values
        for a in (v, getattr(v, "_ndarray", None), getattr(v, "_data", None), getattr(v, "_mask", None)):
            if isinstance(a, np.ndarray):
                yield a


def show_frames(_):
    for name, f in FRAMES.items():
        common.say(name, id(f), f.memory_usage(index=False, deep=True).sum())
    common.say("end")


def show_blocks(_):
    for name, f in FRAMES.items():
        for a in arrays_of(f):
            owner = a
            while isinstance(owner.base, np.ndarray):
                owner = owner.base
            common.say(name, id(owner), owner.ctypes.data, owner.nbytes if owner.flags.owndata else 0)
    common.say("end")


def array_buffers(a):
    yield from (b for b in a.buffers() if b is not None)
    if isinstance(a, pa.DictionaryArray):
        yield from array_buffers(a.dictionary)


def show_buffers(_):
    for name, t in TABLES.items():
        if name == "buffer":
            found = [t]
        elif isinstance(t, pa.Array):
            found = array_buffers(t)
        elif isinstance(t, pa.ChunkedArray):
            found = [b for c in t.chunks for b in array_buffers(c)]
        elif isinstance(t, pa.RecordBatch):
            found = [b for c in t.columns for b in array_buffers(c)]
        else:
            found = [b for column in t.columns for c in column.chunks for b in array_buffers(c)]
        for b in found:
            common.say(name, id(t), b.address, b.size)
    common.say("end")


def show_arrow(_):
    common.say("allocated", pa.total_allocated_bytes(), pa.default_memory_pool().backend_name)
    common.say("end")


common.allow_tracing()
common.ready()
common.serve({"frames": show_frames, "blocks": show_blocks, "buffers": show_buffers, "arrow": show_arrow})
