# SPDX-License-Identifier: Apache-2.0
"""One or more objects of every built-in type that the agent has a visitor or sizer for, and of many others."""
import array
import ast
import asyncio
import collections
import contextvars
import csv
import dataclasses
import datetime
import decimal
import enum
import functools
import hashlib
import io
import itertools
import json
import mmap
import operator
import os
import pickle
import queue
import random
import re
import sqlite3
import struct
import sys
import threading
import time
import types
import typing
import weakref
import xml.etree.ElementTree as ET
import zlib


class Plain:
    pass


class Slots:
    __slots__ = ("a", "b")


class Dict(dict):
    pass


class List(list):
    __slots__ = ("z",)


class Tuple(tuple):
    pass


class Int(int):
    pass


class Str(str):
    pass


class Bytes(bytes):
    pass


class ByteArray(bytearray):
    pass


class Set(set):
    pass


class Deque(collections.deque):
    pass


class Ordered(collections.OrderedDict):
    pass


class Error(Exception):
    pass


class Meta(type):
    pass


class WithMeta(metaclass=Meta):
    x = 1

    def method(self):
        pass


class Ref(weakref.ref):
    __slots__ = ("k",)


class Future(asyncio.Future):
    pass


@dataclasses.dataclass
class Data:
    a: int
    b: str = "x"


def generator():
    held = [1]
    yield held
    yield 2


async def coroutine():
    await asyncio.sleep(0)


async def async_generator():
    yield 1


def attributes(o, **kw):
    for name, value in kw.items():
        setattr(o, name, value)
    return o


def instances():
    p = attributes(Plain(), x=[1], y="abc")
    split = attributes(Plain(), x=1)
    odd = Plain()
    odd.__dict__[5] = 6
    wide = Plain()
    for i in range(50):
        setattr(wide, "a%d" % i, i)
    del wide.a3
    yield [p, split, split.__dict__, odd, wide, Plain(), attributes(Slots(), a=[2]), Slots()]
    yield [attributes(List([1, 2]), z=3), attributes(Dict(k=[1]), foo=1), attributes(Tuple((1, [2])), u=1)]
    yield [attributes(Int(10**30), att=[3]), Int(0), Int(-5), attributes(Str("h\u00e9llo"), att=[4]), WithMeta()]
    yield [attributes(Error("a", [1]), foo=2), attributes(Ref(p), k=3), attributes(Bytes(b"abc"), a=1)]
    yield [ByteArray(b"x" * 1000), attributes(Set([1, 2]), b=1), attributes(Deque(range(200)), x=1), Data(1)]
    loop = asyncio.new_event_loop()
    yield [attributes(Ordered(a=1, b=2), t=1), attributes(Future(loop=loop), z=[1]), asyncio.Future(loop=loop), loop]
    yield [weakref.proxy(WithMeta), weakref.WeakKeyDictionary({WithMeta: 1}), weakref.finalize(p, print)]


def containers():
    yield [{i: (i, [i]) for i in range(9000)}, [object() for _ in range(9000)], tuple(str(i) for i in range(9000))]
    yield [set(str(i) for i in range(12000)), set(range(1000)), {1, 2, 3}, frozenset("abc"), [], {}, (), set()]
    grown = list(range(100))
    grown.pop()
    holes = {i: [i] for i in range(100)}
    for i in range(0, 100, 3):
        del holes[i]
    gone = set(range(100))
    gone.discard(50)
    yield [grown, holes, gone, collections.deque(range(1000)), collections.defaultdict(list, {1: [2]})]
    yield [collections.OrderedDict((i, i) for i in range(100)), collections.Counter("aab"), collections.ChainMap({1: 2})]
    yield [array.array("d", range(100)), memoryview(bytearray(10)), range(10**20), slice([1], 2, [3]), types.SimpleNamespace(a=1)]
    yield [{}.keys(), {1: [2]}.values(), {1: 2}.items(), types.MappingProxyType({1: [2]}), Plain.__dict__]
    unshared = io.BytesIO()
    unshared.write(b"x" * 100)
    yield [unshared, io.BytesIO(b"abc"), io.StringIO("x"), mmap.mmap(-1, 4096), queue.SimpleQueue()]


def values():
    cached = "\u00e9" * 20
    cached.encode("utf8")
    yield ["\u1234" * 30, cached, "\U00012345" * 7, "", "x", "plain ascii", 1.5, 3 + 4j, b"", b"abc", True, None]
    yield [0, 1, -1, 10**9, 10**10, -10**100, 2**30, 2**60, decimal.Decimal("1.5"), decimal.Context(), uuid()]
    zone = datetime.timezone(datetime.timedelta(hours=1))
    yield [datetime.datetime.now(zone), datetime.datetime.now(), datetime.time(1, tzinfo=zone), datetime.timedelta(1)]
    yield [os.stat("/"), time.localtime(), sys.flags, sys.version_info, struct.Struct("ii"), hashlib.sha256(), zlib.compressobj()]


def uuid():
    import uuid as u
    return u.uuid4()


def code():
    started = generator()
    next(started)
    unawaited = coroutine()
    yield [started, generator(), unawaited, async_generator(), (i for i in [1]), iter([1]), iter(()), iter(int, 1)]
    unawaited.close()
    x = [1]

    def closure(a=[1], *, k={}) -> int:
        return x

    closure.attribute = [5]
    yield [closure, closure.__code__, closure.__code__.co_code, closure.__code__.co_varnames, closure.__closure__]
    yield [WithMeta().method, [].append, "".join, print, property(len), classmethod(len), staticmethod(len), super(dict, {})]
    yield [str.join, int.__add__, (1).__add__, dict.__dict__["fromkeys"], type.__dict__["__mro__"], types.CodeType.co_code]
    cache = functools.lru_cache(5)(lambda v: v)
    cache(1), cache(2), cache([].__len__())
    yield [cache, functools.lru_cache()(len), functools.partial(print, 1, x=2), functools.cmp_to_key(print)]
    yield [operator.itemgetter("a", "b"), operator.attrgetter("a.b"), operator.methodcaller("x", 1, y=2), re.compile("a(b)").match("ab")]
    yield [itertools.chain([1], [2]), itertools.cycle([1]), itertools.groupby([1]), itertools.tee([1]), zip([1]), map(len, [])]
    try:
        1 / 0
    except ZeroDivisionError as e:
        yield [e, e.__traceback__, e.__traceback__.tb_frame]
    yield [OSError(2, "x", "y"), StopIteration([1]), SyntaxError("x", ("f", 1, 2, "t")), ImportError("x", name="y")]
    yield [sys._getframe(), ast.parse("a + b"), enum.Enum("Colour", "red green"), typing.List[int], typing.TypeVar("T")]
    yield [threading.Lock(), threading.RLock(), threading.Event(), attributes(threading.local(), x=[1]), contextvars.copy_context()]
    yield [csv.reader(["a,b"]), json.JSONEncoder(), random.Random(), pickle.Pickler(io.BytesIO()), ET.fromstring("<a b='c'><d/>x</a>")]
    connection = sqlite3.connect(":memory:")
    yield [connection, connection.execute("select 1"), open("/dev/null"), os.scandir("/"), contextvars.ContextVar("v")]


def everything():
    keep = []
    for part in (instances, containers, values, code):
        keep.extend(part())
    return keep
