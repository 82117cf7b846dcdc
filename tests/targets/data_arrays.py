# SPDX-License-Identifier: Apache-2.0
"""Arrays of numpy of every kind. "list" prints for each object: name, address, type, sys.getsizeof, reference count; "items"
the objects that arrays hold: address and how many references the array has to it."""
import collections
import sys

import numpy as np

import common


class Item:
    def __init__(self, n):
        self.n = n


class Sub(np.ndarray):
    pass


class Real(np.float64):
    pass


def scalars():
    names = ("bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 longlong ulonglong float16 float32 float64 longdouble "
             "complex64 complex128 clongdouble").split()
    for name in names:
        yield name, getattr(np, name)(1)
    yield "str", np.str_("text " * 200)
    yield "str_wide", np.str_("t\u20acxt")
    yield "bytes", np.bytes_(b"bytes" * 5)
    yield "datetime64", np.datetime64("2026-11-21")
    yield "timedelta64", np.timedelta64(3, "s")
    yield "void", np.void(b"void" * 40)
    yield "real", Real(1.5)


def make():
    a = collections.OrderedDict(scalars())
    a["zero_d"] = np.array(5.0)
    a["empty"] = np.zeros((0, 3))
    a["flat"] = np.arange(1000)
    a["large"] = np.ones((512, 1024))
    a["fortran"] = np.asfortranarray(np.ones((30, 40), dtype="f4"))
    a["step"] = a["large"][::2, ::-3]
    a["row"] = a["step"][3]
    a["broadcast"] = np.broadcast_to(a["flat"], (50, 1000))
    a["sub"] = np.arange(300.).view(Sub)
    a["sub_own"] = Sub((70, 3))
    a["masked"] = np.ma.masked_less(np.arange(500.), 20)
    a["matrix"] = np.asmatrix(np.ones((3, 50)))
    a["records"] = np.rec.array([(1, 2.0, "three")] * 20)
    a["record"] = a["records"][3]
    a["text"] = np.array(["some", "words", "of text"] * 100)
    a["from_bytes"] = np.frombuffer(b"x" * 5000, dtype="u1")
    a["from_bytearray"] = np.frombuffer(bytearray(6000), dtype="u2")
    a["dates"] = np.arange("2026-01", "2026-12", dtype="datetime64[D]")
    plain = np.empty(40000, dtype=object)
    plain[:] = [Item(i) for i in range(len(plain))]
    a["objects"] = plain
    a["objects_strided"] = plain[::-7]
    a["objects_2d"] = plain.reshape(200, 200).T
    a["objects_fortran"] = np.asfortranarray(np.array([[Item(1), None], [Item(2), Item(3)]], dtype=object))
    a["objects_zero_d"] = np.array(Item(0), dtype=object)
    a["objects_same"] = np.full(3000, Item(9), dtype=object)
    nested = np.dtype([("x", "i4"), ("o", object), ("in", [("p", object), ("y", "f8")]), ("many", object, (2, 2))], align=True)
    s = np.zeros(50, dtype=nested)
    for i in range(len(s)):
        s[i]["o"], s[i]["in"]["p"] = Item(i), Item(i)
        s[i]["many"][:] = Item(i)
    a["structured"] = s
    a["structured_field"] = s["o"]
    a["structured_item"] = s[7]
    a["numbers"] = np.array([np.float64(i) for i in range(100)] + [np.complex128(i) for i in range(100)], dtype=object)
    a["dtype"] = a["large"].dtype
    a["dtype_nested"] = nested
    a["dtype_sub"] = np.dtype(("f4", (3, 4)))
    a["dtype_text"] = a["text"].dtype
    a["ufunc"] = np.add
    if hasattr(np, "dtypes") and hasattr(np.dtypes, "StringDType"):
        a["strings"] = np.array(["a string that is too long to stand in its slot: %d" % i for i in range(2000)],
                                dtype=np.dtypes.StringDType())
    return a


def items_of(array):
    base = array
    found = collections.Counter()
    for x in base.ravel(order="K").tolist() if base.dtype == object else walk(base):
        found[id(x)] += 1
    return found


def walk(structured):
    for row in structured:
        yield row["o"]
        yield row["in"]["p"]
        yield from row["many"].ravel().tolist()


ARRAYS = make()
OWNERS = ["objects", "objects_fortran", "objects_zero_d", "objects_same", "structured", "numbers"]


def show_list(_):
    for name, x in ARRAYS.items():
        t = type(x)
        module = "" if t.__module__ == "builtins" else t.__module__ + "."
        common.say(name, id(x), module + t.__qualname__, sys.getsizeof(x), sys.getrefcount(x) - 3)
    common.say("end")


def show_items(_):
    for name in OWNERS:
        for address, count in items_of(ARRAYS[name]).items():
            common.say(name, id(ARRAYS[name]), address, count)
    common.say("end")


common.allow_tracing()
common.ready()
common.serve({"list": show_list, "items": show_items})
