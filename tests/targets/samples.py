# SPDX-License-Identifier: Apache-2.0
"""One object of each of many types. "samples" prints for each: name, address, type, sys.getsizeof, whether it has a header
of the collector, its reference count, and the addresses that gc.get_referents gives, its class aside."""
import array
import asyncio
import collections
import contextvars
import ctypes
import datetime
import decimal
import enum
import fractions
import functools
import gc
import io
import itertools
import re
import struct
import sys
import threading
import types
import weakref

import common
import things


class Plain:
    def __init__(self):
        self.first, self.second = "first", ["second"]

    def method(self):
        return self


class Colour(enum.Enum):
    RED = 1


class Point(collections.namedtuple("Point", "x y")):
    pass


class WithSlots:
    __slots__ = ("left", "right", "__weakref__")


class Zone(datetime.tzinfo):
    def utcoffset(self, when):
        return datetime.timedelta(hours=1)


def closure(value):
    def inner(other=value, *, key=None):
        return value, other, key
    return inner


async def agen():
    yield 1


@functools.lru_cache(maxsize=None)
def cached(x):
    return [x]


def raised():
    try:
        {}["no such key"]
    except KeyError as e:
        return e


def make():
    plain = Plain()
    generator = things.generator()
    next(generator)
    coroutine = things.coroutine()
    coroutine.send(None)
    slots = WithSlots()
    slots.left = slots
    cached("argument")
    grown = [n for n in range(5)]
    grown.append(object())
    split = Plain().__dict__
    words = {"k%d" % i: i for i in range(100)}
    del words["k3"]
    made = {
        "int": 12345678, "big int": 1 << 1000, "negative int": -(1 << 70), "float": 1.5, "complex": 1j, "bool": True, "none": None,
        "str ascii": "ascii" * 5, "str latin": "caf\xe9", "str two": "\u20ac" * 9, "str four": "\U0001f600" * 3,
        "bytes": b"x" * 100, "bytearray": bytearray(1000), "empty bytearray": bytearray(), "tuple": (object(), "x"), "empty tuple": (),
        "list": [object()] * 3, "grown list": grown, "empty list": [], "dict": {object(): object()}, "empty dict": {},
        "str dict": words, "int dict": {i: [i] for i in range(50)}, "split dict": split, "set": {object(), "a", 3},
        "big set": set(range(1000)), "frozenset": frozenset([object()]), "range": range(10 ** 6, 10 ** 7, 3), "slice": slice(object(), 1, 2),
        "object": object(), "plain": plain, "slots": slots, "point": Point(object(), 2), "enum": Colour.RED,
        "function": closure(object()), "lambda": lambda: plain, "method": plain.method, "builtin": [].append, "module": things,
        "class": Plain, "static type": dict, "meta": things.Meta("Made", (), {}), "property": property(len), "classmethod": classmethod(len),
        "staticmethod": staticmethod(len), "generator": generator, "coroutine": coroutine, "async generator": agen(), "code": make.__code__,
        "cell": closure(plain).__closure__[0], "memoryview": memoryview(bytearray(10)), "mappingproxy": Plain.__dict__,
        "deque": collections.deque([object()] * 70), "OrderedDict": collections.OrderedDict(a=object()),
        "defaultdict": collections.defaultdict(list, a=[1]), "Counter": collections.Counter("abc"), "array": array.array("d", [1.0] * 50),
        "partial": functools.partial(print, object(), end=""), "lru_cache": cached, "datetime": datetime.datetime(2020, 1, 1, tzinfo=Zone()),
        "date": datetime.date(2020, 1, 1), "timedelta": datetime.timedelta(1), "Decimal": decimal.Decimal("1.1"),
        "Fraction": fractions.Fraction(1, 3), "pattern": re.compile("(a)(?P<n>b)"), "match": re.match("(a)", "a"),
        "weakref": weakref.ref(slots), "weak dict": weakref.WeakValueDictionary({1: slots}), "enumerate": enumerate([object()]),
        "zip": zip([1], [2]), "map": map(len, []), "filter": filter(None, []), "chain": itertools.chain([1], [2]),
        "reversed": reversed([1]), "list iterator": iter([object()]), "dict view": {1: 2}.items(), "super": super(Plain, plain),
        "namespace": types.SimpleNamespace(a=object()), "exception": raised(), "StringIO": io.StringIO("x" * 100),
        "BytesIO": io.BytesIO(b"x" * 100), "Struct": struct.Struct("<ii"), "Lock": threading.Lock(), "RLock": threading.RLock(),
        "local": threading.local(), "Event": threading.Event(), "context variable": contextvars.ContextVar("v", default=object()),
        "context": contextvars.copy_context(), "c struct": ctypes.c_int(5), "frame": sys._getframe(), "Number": things.Number(5),
        "inner": things.Outer.Inner(a=1), "file": open(__file__), "wrapper": plain.__init__, "slot wrapper": dict.__len__,
        "member": WithSlots.left, "getset": type.__dict__["__dict__"], "method descriptor": list.append, "tracebacks": raised().__traceback__,
        "loop policy": asyncio.Future.__new__(asyncio.Future),
    }
    if sys.version_info >= (3, 9):
        made["alias"] = list[int]
    if sys.version_info >= (3, 10):
        made["union"] = int | str
    if sys.version_info >= (3, 11):
        made["group"] = ExceptionGroup("g", [ValueError(object())])  # noqa: F821
    return made


def is_static(x):
    return issubclass(type(x), type) and not x.__flags__ & (1 << 9)


def type_name(x):
    t = type(x)
    module = t.__dict__.get("__module__") if t.__flags__ & (1 << 9) else None
    if not isinstance(module, str):
        module = t.__module__
    return t.__qualname__ if module == "builtins" else f"{module}.{t.__qualname__}"


def run():
    gc.disable()
    made = make()

    def samples(_):
        for name, x in made.items():
            refs = gc.get_referents(x)
            # what sys.getsizeof adds is the header; but a static type has none, which some versions count all the same
            header = not is_static(x) and sys.getsizeof(x) - (type if issubclass(type(x), type) else type(x)).__sizeof__(x)
            line = ["sample", name.replace(" ", "_"), id(x), type_name(x).replace(" ", "_"), sys.getsizeof(x), int(header > 0)]
            common.say(*line, sys.getrefcount(x), *sorted({id(r) for r in refs if r is not type(x)}))
        common.say("sampled")

    common.ready()
    common.serve({"samples": samples})
    made["coroutine"].close()
    common.say("done")


common.main(run)
