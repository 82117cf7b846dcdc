# SPDX-License-Identifier: Apache-2.0
"""Objects of every built-in type and of the C types of the standard library, in all their forms. Every function yields
lists of objects; what one version of Python does not have is left out. Python 3.8 or later."""
import array
import ast
import asyncio
import builtins
import codecs
import collections
import concurrent.futures
import contextlib
import contextvars
import csv
import ctypes
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import hashlib
import hmac
import inspect
import io
import itertools
import json
import json.scanner
import logging
import mmap
import operator
import os
import pathlib
import pickle
import queue
import random
import re
import select
import selectors
import socket
import string
import struct
import sys
import tempfile
import threading
import time
import types
import typing
import unicodedata
import uuid
import warnings
import weakref
import xml.etree.ElementTree as ET
import zlib

VERSION = sys.version_info[:2]


def module(name):
    """An optional part of the standard library, None when this build lacks it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return __import__(name, fromlist=["x"])
    except ImportError:
        return None


def attributes(o, **kw):
    for name, value in kw.items():
        setattr(o, name, value)
    return o


class Empty:
    pass


class Thing:
    def __init__(self, n):
        for i in range(n):
            setattr(self, "a%d" % i, [i])


class Slots:
    __slots__ = ("a", "b", "c")


class SlotsAndDict:
    __slots__ = ("a", "__dict__", "__weakref__")


class SlotsBelow(Slots):
    __slots__ = ("d",)


class DictBelow(Slots):
    pass


class Other(Thing):
    pass


class WithDel:
    def __del__(self):
        pass


class Meta(type):
    def __new__(mcs, name, bases, ns, **kw):
        cls = super().__new__(mcs, name, bases, ns)
        cls.extra = [name]
        return cls


class SlotsMeta(type):
    counter = 0


class WithMeta(metaclass=Meta):
    x = 1

    def method(self):
        return self

    @classmethod
    def of_class(cls):
        return cls

    @staticmethod
    def static():
        return 1

    @property
    def prop(self):
        return 2

    @functools.cached_property
    def cached(self):
        return [3]


class WithSlotsMeta(metaclass=SlotsMeta):
    __slots__ = ("x",)


class Generic(typing.Generic[typing.TypeVar("T")]):
    pass


@dataclasses.dataclass
class Data:
    a: int
    b: str = "x"
    c: list = dataclasses.field(default_factory=list)


class Colour(enum.Enum):
    RED = 1
    GREEN = "g"


class Flags(enum.IntFlag):
    A = 1
    B = 2


class Int(enum.IntEnum):
    X = 10 ** 30


Point = collections.namedtuple("Point", "x y z")


class Pair(typing.NamedTuple):
    a: int
    b: str = "b"


class Descriptor:
    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, instance, owner):
        return self


class Described:
    d = Descriptor()


def subclass(base, slots=None, **ns):
    if slots is not None:
        ns["__slots__"] = slots
    return types.new_class("Sub" + base.__name__.title(), (base,), {}, lambda d: d.update(ns, __module__=__name__))


# ---------------------------------------------------------------- numbers and text
def numbers():
    yield [sign * ((1 << bits) + delta) for bits in range(0, 700, 5) for sign in (1, -1) for delta in (-1, 0, 1)]
    yield [i for i in range(-300, 600)]
    yield [1 << 15 * k for k in range(60)] + [-(1 << 30 * k) for k in range(60)] + [(1 << 60 * k) - 1 for k in range(30)]
    shrunk = (1 << 3000) - ((1 << 3000) - 5)
    yield [shrunk, (1 << 900) >> 880, -(1 << 900) // (1 << 870), True, False, None, Ellipsis, NotImplemented]
    yield [float(i) / 3 for i in range(300)] + [float("nan"), float("inf"), -0.0] + [complex(i, 1) for i in range(100)]
    yield [decimal.Decimal(10) ** n / 7 for n in range(60)] + [decimal.Decimal("1." + "3" * n) for n in range(0, 400, 7)]
    yield [decimal.Decimal("NaN123"), decimal.Decimal("Infinity"), decimal.Context(prec=3), decimal.getcontext(),
           decimal.localcontext(), fractions.Fraction(1, 3)]
    sub = subclass(int)
    yield [attributes(sub(1 << n), x=[n]) for n in range(0, 200, 3)] + [sub(0), sub(-5), subclass(int, ())(7)]
    yield [attributes(subclass(float)(1.5), x=1), attributes(subclass(complex)(1), x=1), subclass(decimal.Decimal)("1" * 50)]
    yield [Colour.RED, Colour.GREEN, Flags.A | Flags.B, Flags(0), Int.X]


def texts():
    for n in list(range(0, 70)) + [100, 1000, 5000]:
        yield ["a" * n, "\xe9" * n, "\u1234" * n, "\U00012345" * n, b"b" * n, "%s" % ("x" * n), "".join(["y"] * n)]
        bytearray_ = bytearray(b"z" * n)
        grown = bytearray()
        for _ in range(n):
            grown.append(1)
        cut = bytearray(b"q" * n)
        del cut[:n // 2]
        yield [bytearray_, grown, cut, memoryview(bytearray_), memoryview(b"abc" * n)[::2]]
    cached = []
    for n in range(1, 60):
        for char in ("\xe9", "\u1234", "\U00012345"):
            text = char * n
            try:
                ctypes.pythonapi.PyUnicode_AsUTF8AndSize.restype = ctypes.c_void_p
                ctypes.pythonapi.PyUnicode_AsUTF8AndSize(ctypes.py_object(text), None)  # keeps its utf8
            except AttributeError:
                pass
            cached.append(text)
    yield cached
    yield wide_forms()
    sub, bsub, basub = subclass(str), subclass(bytes), subclass(bytearray)
    for text in ("", "abc", "h\xe9llo", "\u1234", "\U00012345"):
        yield [attributes(sub(text), x=[1]), sub(text), subclass(str, ())(text)]
        yield [bsub(text.encode()), attributes(bsub(text.encode()), x=[1]), attributes(basub(text.encode()), x=[1]), basub(b"")]
    yield [sys.intern("interned %d" % i) for i in range(50)] + list(string.printable)
    shape = memoryview(bytearray(24)).cast("B", [2, 3, 4])
    yield [shape, shape.obj, memoryview(array.array("i", [1, 2, 3]))]


def wide_forms():
    """3.8 to 3.11: strings with a cached wchar_t form, and strings made of one (legacy, ready and not)."""
    found = []
    if VERSION >= (3, 12):
        return found
    api = ctypes.pythonapi
    api.PyUnicode_AsUnicode.restype = ctypes.c_void_p
    api.PyUnicode_FromUnicode.restype = ctypes.py_object
    api.PyUnicode_FromUnicode.argtypes = [ctypes.c_void_p, ctypes.c_ssize_t]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for n in (1, 2, 5, 20, 60, 300):
            for char in ("a", "\xe9", "\u1234", "\U00012345"):
                text = char * n
                api.PyUnicode_AsUnicode(ctypes.py_object(text))
                found.append(text)
            legacy = api.PyUnicode_FromUnicode(None, n)  # not ready: made of wchar_t, to be filled by the caller
            found.append(legacy)
            at = api.PyUnicode_AsUnicode(ctypes.py_object(legacy))
            ctypes.memmove(at, ("\u1234" * n).encode("utf-32-le"), 4 * n)
            for char in ("a", "\xe9", "\u1234", "\U00012345"):
                text = api.PyUnicode_FromUnicode(None, n)
                at = api.PyUnicode_AsUnicode(ctypes.py_object(text))
                ctypes.memmove(at, (char * n).encode("utf-32-le"), 4 * n)
                len(text), hash(text)  # makes it ready
                found.append(text)
    return found


# ---------------------------------------------------------------- containers
def lists():
    grown, made = [], []
    for n in list(range(0, 130)) + [500, 4000]:
        grown.append([])
        for i in range(n):
            grown[-1].append(i)
        popped = list(range(n))
        if popped:
            popped.pop()
        cleared = list(range(n))
        cleared.clear()
        made += [list(range(n)), [None] * n, [x for x in range(n)], popped, cleared, list(range(n))[: n // 2], tuple(range(n)),
                 sorted(range(n)), [*range(n), 1]]
    yield grown + made
    sub, tsub = subclass(list), subclass(tuple)
    yield [attributes(sub(range(n)), x=n) for n in range(40)] + [attributes(tsub(range(n)), x=n) for n in range(40)]
    yield [subclass(list, ("z",))(range(5)), subclass(tuple, ())(range(5)), Point(1, 2, 3), Pair(1), Pair(2, "c")]
    yield [slice(1), slice([1], 2, [3]), range(0), range(10 ** 20), range(5, 100, 3), iter([1]), iter((1,)), iter(range(5)),
           iter(range(10 ** 20)), reversed([1]), iter("abc"), iter("\u1234"), iter(b"abc"), iter(bytearray(b"abc")), enumerate([1]),
           zip([1], [2]), map(len, [[]]), filter(None, [1]), iter(int, 1), reversed((1, 2)), iter({1}), iter(memoryview(b"a"))]


def dicts():
    yield [dict.fromkeys(range(45000)), dict.fromkeys(map(str, range(45000)))]  # indices of four bytes
    for n in list(range(0, 80)) + [200, 3000]:
        words = {"k%d" % i: i for i in range(n)}
        mixed = {i: [i] for i in range(n)}
        holes = {("h%d" % i if i % 2 else i): i for i in range(n)}
        for key in list(holes)[::3]:
            del holes[key]
        cleared = dict(words)
        cleared.clear()
        popped = dict(words)
        while len(popped) > n // 2:
            popped.popitem()
        yield [words, mixed, holes, cleared, popped, dict(words), words.copy(), {**mixed}, dict.fromkeys(range(n))]
        if n < 100:
            yield [collections.OrderedDict((i, i) for i in range(n)), collections.Counter("a" * n + "b"),
                   collections.defaultdict(list, mixed), dict(**words)]
            ordered = collections.OrderedDict(words)
            for key in list(ordered)[::2]:
                del ordered[key]
            if n:
                collections.OrderedDict.move_to_end(collections.OrderedDict(words), "k0")
            yield [ordered, collections.OrderedDict(ordered), collections.UserDict(words), collections.ChainMap(words, mixed)]
    d = {"a": [1], 2: 3}
    od = collections.OrderedDict(d)
    yield [d.keys(), d.values(), d.items(), iter(d), iter(d.values()), iter(d.items()), types.MappingProxyType(d), reversed(d),
           reversed(d.items()), od.keys(), od.values(), od.items(), iter(od), iter(od.items()), reversed(od)]
    dsub, osub, ddsub = subclass(dict), subclass(collections.OrderedDict), subclass(collections.defaultdict)
    for n in (0, 1, 5, 6, 40):
        pairs = {"k%d" % i: i for i in range(n)}
        yield [attributes(dsub(pairs), x=1), dsub(pairs), attributes(osub(pairs), x=1), attributes(ddsub(int, pairs), x=1),
               subclass(dict, ("s",))(pairs), attributes(collections.OrderedDict(pairs), x=[1])]


def sets():
    for n in list(range(0, 80)) + [500, 3000]:
        full = set(range(n))
        words = {"w%d" % i for i in range(n)}
        gone = set(range(n))
        for i in range(0, n, 2):
            gone.discard(i)
        cleared = set(range(n))
        cleared.clear()
        yield [full, words, gone, cleared, frozenset(range(n)), frozenset(words), {*full}, full | words]
    sub, fsub = subclass(set), subclass(frozenset)
    yield [attributes(sub(range(n)), x=[n]) for n in (0, 3, 9, 90)] + [attributes(fsub(range(n)), x=[n]) for n in (0, 3, 9, 90)]
    yield [weakref.WeakSet(), subclass(set, ())((1, 2)), set("abc"), frozenset()]


def queues():
    for n in list(range(0, 300, 7)) + [2000]:
        deque = collections.deque(range(n))
        left = collections.deque()
        for i in range(n):
            left.appendleft(i)
        turned = collections.deque(range(n))
        turned.rotate(n // 3)
        for _ in range(n // 2):
            turned.popleft()
        yield [deque, left, turned, collections.deque(range(n), maxlen=10), collections.deque(deque)]
    sub = subclass(collections.deque)
    yield [attributes(sub(range(n)), x=[n]) for n in (0, 1, 63, 64, 65, 500)]
    simple = queue.SimpleQueue()
    for i in range(20):
        simple.put([i])
    full = queue.Queue()
    full.put([1])
    yield [simple, full, queue.PriorityQueue(), queue.LifoQueue(), iter(collections.deque([1])), reversed(collections.deque([1]))]
    for code in "bBuhHiIlLqQfd":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            items = array.array(code, "abc" if code == "u" else [1, 2, 3])
            grown = array.array(code)
            for _ in range(50):
                grown.append("x" if code == "u" else 1)
        yield [items, grown, items[:0], iter(items), memoryview(items) if code != "u" else None]
    yield [attributes(subclass(array.array)("d", range(30)), x=[1])]


# ---------------------------------------------------------------- instances and classes
def instances():
    for n in list(range(0, 40)) + [60, 100, 300]:
        plain, read = Thing(n), Thing(n)
        vars(read)
        yield [plain, read, read.__dict__]
    for i in range(40):  # shared keys, filled in another order, deleted, replaced, with keys that are no str
        other = Other(5)
        if i % 4 == 1:
            del other.a3
        elif i % 4 == 2:
            other.__dict__ = {"own": 1}
        elif i % 4 == 3:
            other.__dict__[5] = 6
        copied = dict(vars(Other(3)))
        yield [other, copied]
    filled = Empty()
    filled.first, filled.second = 1, [2]
    yield [Empty(), filled, Slots(), attributes(Slots(), a=[1]), attributes(SlotsAndDict(), a=1, q=[2]), SlotsAndDict(),
           attributes(SlotsBelow(), a=1, d=[2]), attributes(DictBelow(), b=1, z=[3]), DictBelow(), WithDel(), WithMeta(),
           attributes(WithMeta(), y=1), attributes(WithSlotsMeta(), x=[1]), Generic(), Data(1), Data(2, "y", [3]), Described()]
    cached = WithMeta()
    cached.cached
    yield [cached, types.SimpleNamespace(a=1, b=[2]), types.SimpleNamespace(), object(), argument_parser(), threading.local(),
           attributes(threading.local(), x=[1]), attributes(subclass(threading.local)(), y=[2])]
    yield [subclass(types.SimpleNamespace)(a=1), subclass(types.ModuleType)("sub"), types.ModuleType("made", "doc"),
           attributes(types.ModuleType("made"), x=[1])]


def argument_parser():
    import argparse
    parser = argparse.ArgumentParser()
    parser.add_argument("--x", type=int, default=[1], help="h")
    return parser


def classes():
    for n in range(12):
        members = {"m%d" % i: (lambda self: [self, i]) for i in range(n)}
        cls = types.new_class("Made%d" % n, (), {}, lambda d: d.update(members))
        deep = types.new_class("Deep%d" % n, (cls, Slots), {}, lambda d: d.update(x=[n]))
        used = deep()
        used.attribute = 1
        yield [cls, deep, used, type("Plain%d" % n, (), {"__slots__": tuple("s%d" % i for i in range(n))}),
               Meta("WithMeta%d" % n, (), {}), Meta("Below%d" % n, (WithMeta,), {"y": n})]
    yield [Meta, WithMeta, WithSlotsMeta, Generic, Colour, Point, Data, type, object, int, Generic[int], Descriptor]
    import abc
    abstract = abc.ABCMeta("Abstract", (), {})
    abstract.register(int)
    isinstance([], abstract)
    yield [abstract, io.IOBase, collections.abc.Mapping, typing.Protocol]
    yield [typing.List[int], typing.Union[int, str], typing.Optional[str], typing.Callable[[int], str], typing.TypeVar("T"),
           typing.Any, typing.Dict[str, typing.List[int]], typing.Tuple[int, ...], typing.ForwardRef("X")]
    if VERSION >= (3, 9):
        yield [list[int], dict[str, list[int]], types.GenericAlias(list, (int, str)), tuple[int, ...], collections.abc.Callable[[int], str]]
    if VERSION >= (3, 10):
        yield [int | str, list[int] | None, typing.ParamSpec("P"), typing.ParamSpec("P").args]
    if VERSION >= (3, 11):
        yield [typing.TypeVarTuple("Ts"), typing.Unpack[typing.TypeVarTuple("Ts")]]
    if VERSION >= (3, 12):
        scope = {}
        exec("type Alias[T] = list[T]\ndef generic[T: int, *Ts, **P](x: T) -> T: ...\nclass G[T]: ...", scope)
        yield [scope["Alias"], scope["generic"], scope["G"], scope["G"][int], scope["Alias"].__type_params__]
    yield [WithMeta().method, WithMeta.of_class, WithMeta.static, WithMeta.__dict__["prop"], WithMeta.__dict__["of_class"],
           WithMeta.__dict__["static"], WithMeta.__dict__["cached"], super(Other, Other(1)), property(len, None, None, "doc")]
    yield [str.join, int.__add__, (1).__add__, dict.__dict__["fromkeys"], type.__dict__["__mro__"], types.CodeType.co_code, [].append,
           "".join, print, object.__init__, Slots.a, Slots.__dict__["b"], dict.fromkeys, operator.itemgetter.__call__]


def weak():
    target = Empty()
    kinds = [weakref.ref(target), weakref.ref(target, print), weakref.proxy(target), weakref.proxy(target, print),
             weakref.proxy(WithMeta().method.__func__), weakref.ref(WithMeta), weakref.WeakMethod(WithMeta.of_class)]
    yield kinds + [target]
    keyed, valued, members = weakref.WeakKeyDictionary(), weakref.WeakValueDictionary(), weakref.WeakSet()
    held = [Empty() for _ in range(30)]
    for i, o in enumerate(held):
        keyed[o], valued[i] = [i], o
        members.add(o)
    dead = weakref.ref(Empty())
    yield [keyed, valued, members, held, dead, weakref.finalize(target, len, ()), attributes(subclass(weakref.ref)(target), k=[1])]


# ---------------------------------------------------------------- code and what runs
def generator(n):
    held = [n]
    for i in range(n):
        yield held, i


async def coroutine(n):
    held = [n]
    await asyncio.sleep(0)
    return held


async def async_generator(n):
    for i in range(n):
        yield [i]


async def waits_long(*held):
    await asyncio.get_event_loop().create_future()


def delegating(n):
    return (yield from generator(n))


def functions():
    made = []
    for n in range(15):
        scope = {}
        arguments = ", ".join("a%d=[%d]" % (i, i) for i in range(n))
        body = "\n".join("    v%d = (a%d, %d)" % (i, i, i) for i in range(n))
        exec("def made(%s):\n    'doc %d'\n%s\n    return lambda q=1: (made, %s)" % (
            arguments, n, body, ", ".join("v%d" % i for i in range(n)) or "0"), scope)
        function = scope["made"]
        function.attribute = [n]
        made += [function, function(), function.__code__, function().__closure__]
    yield made
    x = [1]

    def closure(a=[1], *args: int, k={}, **kw) -> list:
        nonlocal x
        return x, [a for _ in x]

    for _ in range(2000):  # warms up: 3.8 to 3.10 make an opcode cache after 1024 calls, 3.11 specialises after 8
        closure()
    yield [closure, closure.__code__, functools.partial(closure, 1, k=2), functools.partial(print), functools.partial(closure).func]
    yield [functools.partialmethod(closure), functools.singledispatch(closure), functools.wraps(closure)(lambda: 1),
           functools.cmp_to_key(lambda a, b: 0), functools.cmp_to_key(lambda a, b: 0)([1]), functools.total_ordering]
    for size in (0, 1, 5, 100, None):
        cache = functools.lru_cache(size)(lambda v: [v])
        for i in range(50):
            cache(i), cache((i, "x"))
        yield [cache]
    yield [operator.itemgetter(1), operator.itemgetter("a", "b", [1]), operator.attrgetter("a.b", "c"), operator.methodcaller("x", 1, y=2)]
    yield [compile("a + %d" % n, "<made>", "eval") for n in range(50)] + [compile("import os\nx = [1]", "f.py", "exec")]
    yield [inspect.signature(closure), inspect.Parameter("x", inspect.Parameter.KEYWORD_ONLY), types.MethodType(closure, 1),
           types.CellType(), types.CellType([1]), closure.__globals__, closure.__kwdefaults__]


def running():
    for n in range(0, 12):
        started, ended = generator(n + 2), generator(1)
        next(started)
        list(ended)
        through = delegating(n + 2)
        next(through)
        unawaited, awaited = coroutine(n), coroutine(n)
        awaited.send(None)
        asynchronous = async_generator(n + 2)
        step = asynchronous.__anext__()
        yield [started, ended, generator(n), through, (i for i in range(n)), awaited, asynchronous, step, async_generator(n),
               async_generator(1).asend(1), async_generator(1).athrow(ValueError), started.gi_frame, awaited.cr_frame, Awaited(unawaited)]
    yield [coroutine_wrapper(), sys._getframe(), sys._getframe().f_back, make_frame(3), make_frame(40)]
    loop = asyncio.new_event_loop()
    future, done, failed = loop.create_future(), loop.create_future(), loop.create_future()
    done.set_result([1])
    failed.set_exception(ValueError("x"))
    failed.exception()
    future.add_done_callback(print)
    future.add_done_callback(len)
    tasks = [loop.create_task(waits_long(i), name="t%d" % i) for i in range(5)]
    loop.call_later(1e6, print, [1])
    loop.run_until_complete(asyncio.sleep(0))
    pending = [loop, future, done, failed, *tasks, iter(future), attributes(subclass(asyncio.Future)(loop=loop), z=[1])]
    locks = []

    async def make():
        locks.extend([asyncio.Lock(), asyncio.Event(), asyncio.Queue(), asyncio.Semaphore(3), asyncio.Condition()])
        locks.append(asyncio.gather(*[asyncio.ensure_future(asyncio.sleep(1e6)) for _ in range(3)]))
        await asyncio.sleep(0)

    loop.run_until_complete(make())
    yield pending + locks


class Awaited:
    """Closes a coroutine in the end, so that none complains of not having been awaited."""

    def __init__(self, coroutine):
        self.coroutine = coroutine
        self.wrapper = coroutine.__await__()

    def __del__(self):
        self.coroutine.close()


@types.coroutine
def old_style():
    yield [1]


def coroutine_wrapper():
    return Awaited(coroutine(1))


def make_frame(n):
    if n:
        held = [n]
        return make_frame(n - 1) or held
    return sys._getframe()


def errors():
    def raises(n, kind, *args):
        if n:
            local = [n]
            raises(n - 1, kind, *args)
            return local
        raise kind(*args)

    for n, (kind, args) in enumerate([(ValueError, ([1],)), (KeyError, ("k",)), (OSError, (2, "x", "y")), (StopIteration, ([1],)),
                                      (SyntaxError, ("x", ("f", 1, 2, "t"))), (UnicodeDecodeError, ("a", b"b", 0, 1, "c")),
                                      (UnicodeEncodeError, ("a", "b", 0, 1, "c")), (SystemExit, ([2],)), (ImportError, ("x",)),
                                      (AttributeError, ("x",)), (NameError, ("x",)), (ZeroDivisionError, ()), (RecursionError, ()),
                                      (BlockingIOError, (1, "x", 5)), (UnicodeTranslateError, ("a", 0, 1, "c"))]):
        try:
            raises(n, kind, *args)
        except BaseException as e:
            yield [e, e.__traceback__, e.__traceback__.tb_next, e.__traceback__.tb_frame]
            try:
                raise subclass(kind)(*args) from e
            except BaseException as e2:
                e2.attribute = [n]
                yield [e2]
    if VERSION >= (3, 11):
        noted = ValueError("x")
        noted.add_note("a note")
        yield [noted, builtins.ExceptionGroup("g", [ValueError(1), TypeError([2])])]
    yield [Warning("w"), ImportError("x", name="y", path="z"), MemoryError(), Exception(), attributes(Exception(), x=1)]


# ---------------------------------------------------------------- modules of the standard library, in C
def iterators():
    for n in range(1, 7):
        items = list(range(n + 2))
        yield [itertools.product(items, repeat=n), itertools.permutations(items, n), itertools.combinations(items, n),
               itertools.combinations_with_replacement(items, n), itertools.product(*[items] * n), itertools.permutations(items),
               itertools.permutations(items, 0), itertools.combinations(items, 0)]
        begun = [itertools.product(items, repeat=n), itertools.permutations(items, n), itertools.combinations(items, n),
                 itertools.combinations_with_replacement(items, n)]
        for it in begun:
            next(it)
        ended = [itertools.product(items[:2], repeat=2), itertools.permutations(items[:2]), itertools.combinations(items[:2], 1)]
        for it in ended:
            list(it)
        yield begun + ended
    for n in range(1, 70, 9):
        one, two = itertools.tee(range(100))
        for _ in range(n):
            next(one)
        groups = itertools.groupby([1, 1, 2])
        yield [one, two, groups, next(groups), next(groups)[1], itertools.chain([n], [2]), itertools.chain.from_iterable([[n]])]
    cycle = itertools.cycle([[1], [2]])
    next(cycle)
    yield [cycle, itertools.accumulate([1, 2]), itertools.compress([1], [1]), itertools.count(1), itertools.count(10 ** 30, 2),
           itertools.count(1.5), itertools.dropwhile(len, [1]), itertools.filterfalse(None, [0]), itertools.islice([1], 1),
           itertools.repeat([1]), itertools.repeat(1, 5), itertools.starmap(len, [[]]), itertools.takewhile(len, []),
           itertools.zip_longest([1], [2, 3], fillvalue=[4])]
    if VERSION >= (3, 10):
        yield [itertools.pairwise([1, 2, 3])]
    if VERSION >= (3, 12):
        yield [itertools.batched([1, 2, 3], 2)]


def files():
    fd, path = tempfile.mkstemp()
    os.write(fd, b"some text\n" * 500)
    os.close(fd)
    for size in (1, 16, 100, 4096, 8192, 100000):
        reader = open(path, "rb", buffering=size if size > 1 else 2)
        reader.read(3)
        writer = open(os.devnull, "wb", buffering=size if size > 1 else 2)
        writer.write(b"x")
        both = open(path, "r+b", buffering=size if size > 1 else 2)
        yield [reader, writer, both, reader.raw, io.BufferedRWPair(open(path, "rb", 0), open(os.devnull, "wb", 0), size)]
    text = open(path, encoding="utf-8")
    text.readline()
    written = open(os.devnull, "w", encoding="latin-1", errors="replace", newline="\r\n")
    written.write("x\xe9")
    closed = open(path)
    closed.close()
    raw = open(path, "rb", 0)
    detached = open(path, "rb")
    detached.detach()
    yield [text, text.buffer, text.buffer.raw, written, closed, raw, detached, text.newlines, os.scandir("/"), list(os.scandir("/"))[:3]]
    yield [io.IncrementalNewlineDecoder(None, True), codecs.getincrementaldecoder("utf-8")(), codecs.getincrementalencoder("utf-16")(),
           codecs.lookup("latin-1"), codecs.getreader("utf-8")(io.BytesIO()), sys.stdin, sys.stdout, sys.stderr]
    for code in ("gb18030", "shift_jis", "euc_kr", "utf-7", "big5"):
        yield [codecs.getincrementaldecoder(code)(), codecs.getincrementalencoder(code)(), codecs.lookup(code)]
    for n in (0, 1, 10, 100, 5000):
        taken, shared = io.BytesIO(b"x" * n), io.BytesIO()
        shared.write(b"y" * n)
        grown = io.BytesIO()
        for _ in range(n):
            grown.write(b"z")
        exported = io.BytesIO(b"q" * n)
        view = exported.getbuffer()
        value = grown.getvalue()
        letters = io.StringIO("a" * n)
        letters.write("b\u1234" * n)
        yield [taken, shared, grown, exported, view, value, letters, io.StringIO(), io.StringIO("x" * n, newline=None)]
    yield [attributes(subclass(kind)(*args), x=[1]) for kind, args in
           ((io.BytesIO, (b"abc",)), (io.StringIO, ("abc",)), (io.FileIO, (path,)), (io.BufferedReader, (io.BytesIO(b"x"),)),
            (io.BufferedWriter, (io.BytesIO(),)), (io.BufferedRandom, (io.BytesIO(),)), (io.TextIOWrapper, (io.BytesIO(),)))]
    yield [tempfile.TemporaryFile(), tempfile.SpooledTemporaryFile(), attributes(subclass(io.RawIOBase)(), x=1), pathlib.Path(path),
           pathlib.PurePosixPath("a/b").parent, pathlib.Path("/").joinpath("x", "y")]
    os.unlink(path)


def patterns():
    sources = ["a(b)", "(?P<name>x+)|y", "[a-z]+\\d*", "(a)(b)(c)(d)(e)", "x{3,7}?", "\u1234+", "^.*$", "(?i)abc", "[" + "abc" * 30 + "]", ""]
    for source in sources:
        compiled = re.compile(source)
        match = compiled.search("aab xxx yyy abcde abc")
        yield [compiled, match, re.compile(source.encode("utf-8")), compiled.scanner("abc"), compiled.finditer("aaa"),
               compiled.finditer("a" * 100)]
    scanner = re.Scanner([("a", None), ("b", lambda s, t: t)])
    yield [scanner, string.Template("$x y"), string.Formatter()]
    yield [re.sub("(a)", r"\1b", "abca")]


def times():
    zone, named = datetime.timezone(datetime.timedelta(hours=1)), datetime.timezone(datetime.timedelta(hours=2), "named")
    for i in range(20):
        yield [datetime.datetime(2000 + i, 1, 1, tzinfo=zone), datetime.datetime(2000 + i, 1, 1), datetime.time(i, tzinfo=zone),
               datetime.time(i), datetime.date(2000 + i, 1, 1), datetime.timedelta(i, i), datetime.datetime.now(named)]
    yield [zone, named, datetime.timezone.utc, time.localtime(), time.gmtime(0), datetime.timezone(datetime.timedelta(0))]
    yield [attributes(subclass(kind)(*args), x=[1]) for kind, args in
           ((datetime.datetime, (2000, 1, 1, 0, 0, 0, 0, zone)), (datetime.date, (2000, 1, 1)), (datetime.time, (1, 2, 3, 4, zone)),
            (datetime.timedelta, (1,)), (datetime.tzinfo, ()))]
    if VERSION >= (3, 9):
        yield [datetime.date(2000, 1, 1).isocalendar()]
        zoneinfo = module("zoneinfo")
        for name in ("UTC", "Europe/Berlin", "America/New_York"):
            try:
                yield [zoneinfo.ZoneInfo(name), datetime.datetime.now(zoneinfo.ZoneInfo(name)), zoneinfo.ZoneInfo.no_cache(name)]
            except Exception:
                pass


def packing():
    yield [struct.Struct(f) for f in ("", "i", "<i", "ii", "3s", "10i", "<bhilqfd", "iiiiiiiiii", "x3xi", "0i", "100s20i5d", "@nNP")]
    sub = subclass(struct.Struct)
    yield [attributes(sub("iid"), x=[1]), struct.iter_unpack("i", b"abcdefgh")]
    for n in (0, 1, 5, 30, 200):
        sink = io.BytesIO()
        pickler = pickle.Pickler(sink)
        pickler.dump([[i] for i in range(n)])
        loads = pickle.Unpickler(io.BytesIO(sink.getvalue()))
        loads.load()
        lines = pickle.Unpickler(io.BytesIO(pickle.dumps([str(i) for i in range(n)], 0)), encoding="latin-1", errors="replace")
        lines.load()
        cleared = pickle.Pickler(io.BytesIO(), 2)
        cleared.dump(list(range(n)))
        cleared.clear_memo()
        yield [pickler, loads, lines, cleared, pickler.memo, loads.memo, pickle.Pickler(io.BytesIO(), 0), pickle.Unpickler(io.BytesIO())]
    psub, usub = subclass(pickle.Pickler), subclass(pickle.Unpickler)
    yield [attributes(psub(io.BytesIO()), persistent_id=len), attributes(usub(io.BytesIO()), x=[1])]
    if hasattr(pickle, "PickleBuffer"):
        yield [pickle.PickleBuffer(b"abc"), pickle.PickleBuffer(bytearray(5))]


def trees():
    for n in range(0, 12):
        element = ET.Element("tag", {"k%d" % i: "v" for i in range(n)})
        for i in range(n):
            ET.SubElement(element, "child", a=str(i)).text = "t%d" % i
        element.text, element.tail = "text", "tail"
        grown = ET.Element("g")
        for _ in range(n):
            grown.append(ET.Element("x"))
        for _ in range(n // 2):
            grown.remove(grown[0])
        yield [element, grown, ET.Element("bare"), element.iter(), element.itertext(), ET.ElementTree(element)]
    parser = ET.XMLParser()
    parser.feed("<a b='c'><d>x</d>")
    builder = ET.TreeBuilder()
    builder.start("a", {})
    pull = ET.XMLPullParser(("start", "end"))
    pull.feed("<a><b/></a>")
    yield [parser, builder, pull, attributes(subclass(ET.Element)("x"), y=[1]), ET.fromstring("<a b='c'><d/>x</a>")]
    expat = module("pyexpat")
    if expat:
        handler = expat.ParserCreate()
        handler.StartElementHandler = lambda *a: None
        handler.Parse("<a><b>", False)
        yield [handler]


class Structure(ctypes.Structure):
    _fields_ = [("a", ctypes.c_int), ("b", ctypes.c_char_p), ("bits", ctypes.c_uint, 3)]


class Nested(ctypes.Structure):
    _fields_ = [("s", Structure), ("array", ctypes.c_int * 10), ("pointer", ctypes.POINTER(ctypes.c_int))]


class Variant(ctypes.Union):
    _fields_ = [("i", ctypes.c_int), ("d", ctypes.c_double)]


class Big(ctypes.BigEndianStructure):
    _fields_ = [("a", ctypes.c_int), ("b", ctypes.c_short)]


def foreign():
    made = [ctypes.c_int(5), ctypes.c_double(1), ctypes.c_char_p(b"abc"), ctypes.c_wchar_p("abc"), ctypes.py_object([1]), ctypes.c_bool(True),
            ctypes.create_string_buffer(500), ctypes.create_string_buffer(3), Structure(1, b"x"), Nested(), Variant(1), Big(1, 2),
            (ctypes.c_int * 0)(), (ctypes.c_int * 4)(), (ctypes.c_int * 400)(), (Structure * 5)(), ctypes.c_void_p(1)]
    nested = Nested()
    number = ctypes.c_int(7)
    nested.pointer = ctypes.pointer(number)
    view = nested.s
    array_view = nested.array
    yield made + [nested, view, array_view, ctypes.pointer(number), ctypes.pointer(nested), ctypes.byref(number), nested.pointer]
    yield [ctypes.POINTER(Structure), ctypes.c_int * 17, Structure, Nested, Variant, Structure.a, Nested.array, ctypes.c_int, ctypes.Array]
    prototype = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
    callback = prototype(lambda a, b: a)
    libc = ctypes.CDLL(None)
    libc.strlen.argtypes, libc.strlen.restype = [ctypes.c_char_p], ctypes.c_size_t
    yield [prototype, callback, libc, libc.strlen, ctypes.cast(callback, ctypes.c_void_p), ctypes.pythonapi, ctypes.PYFUNCTYPE(None),
           type(Structure), type(ctypes.c_int * 3), type(ctypes.c_int), type(prototype), type(ctypes.POINTER(ctypes.c_int)), type(Variant)]
    yield [attributes(subclass(ctypes.c_int)(1), x=[1]), subclass(Structure)(), Structure.from_buffer(bytearray(100))]


def binaries():
    names = sorted(hashlib.algorithms_guaranteed)
    for name in names:
        try:
            digest = hashlib.new(name, b"x")
        except ValueError:
            continue
        yield [digest, digest.copy()]
    for name in ("_md5", "_sha1", "_sha256", "_sha512", "_sha2", "_sha3", "_blake2"):
        m = module(name)
        for maker in dir(m) if m else ():
            if maker in ("md5", "sha1", "sha256", "sha512", "sha224", "sha3_256", "shake_128", "blake2b", "blake2s"):
                yield [getattr(m, maker)(b"x")]
    yield [hmac.new(b"k", b"m", "sha256"), module("_hashlib").hmac_new(b"k", b"m", "sha1") if hasattr(module("_hashlib"), "hmac_new") else 0]
    packer, unpacker = zlib.compressobj(), zlib.decompressobj()
    packer.compress(b"x" * 1000)
    yield [packer, unpacker, zlib.decompressobj(zdict=b"abc")]
    bz2, lzma = module("bz2"), module("lzma")
    if bz2:
        yield [bz2.BZ2Compressor(), bz2.BZ2Decompressor()]
    if lzma:
        yield [lzma.LZMACompressor(), lzma.LZMADecompressor()]
    for n in (1, 4096, 100000):
        yield [mmap.mmap(-1, n)]
    with open(sys.executable, "rb") as f:
        yield [mmap.mmap(f.fileno(), 4096, access=mmap.ACCESS_READ), attributes(subclass(mmap.mmap)(-1, 10), x=[1])]
    yield [random.Random(1), random.SystemRandom(), uuid.uuid4(), uuid.UUID(int=5), attributes(subclass(random.Random)(), x=[1])]
    yield [unicodedata.ucd_3_2_0, codecs.lookup("rot13")]


def formats():
    decoder, encoder = json.JSONDecoder(), json.JSONEncoder(indent=None)
    for c in (json.scanner.c_make_scanner, json.encoder.c_make_encoder):
        if c is json.scanner.c_make_scanner and c:
            yield [c(decoder)]
        elif c:
            yield [c({}, lambda o: o, json.encoder.encode_basestring, None, ": ", ", ", False, False, True)]
    reader = csv.reader(["a,b", "c,d"])
    next(reader)
    unfinished = csv.reader(["a,'" + "b" * 500, "c"], quotechar="'")
    next(unfinished)
    writer = csv.writer(io.StringIO())
    writer.writerow(["x" * 100, 1])
    yield [decoder, encoder, reader, unfinished, writer, reader.dialect, csv.DictReader([]), csv.Sniffer(), csv.get_dialect("excel")]
    sqlite3 = module("sqlite3")
    if sqlite3:
        db = sqlite3.connect(":memory:")
        db.row_factory = sqlite3.Row
        db.execute("create table t (a, b)")
        db.executemany("insert into t values (?, ?)", [(i, "x") for i in range(50)])
        cursor = db.execute("select * from t")
        row = cursor.fetchone()
        yield [db, cursor, row, cursor.description, attributes(subclass(sqlite3.Connection)(":memory:"), x=[1]), sqlite3.Error("x")]
        if VERSION >= (3, 11):
            db.execute("create table b (c)"), db.execute("insert into b values (zeroblob(10))")
            yield [db.blobopen("b", "c", 1)]
    yield [ast.parse("a + b\nf(x)"), ast.Name("x", ast.Load()), ast.parse("class A:\n def f(self): pass").body]
    symtable = module("symtable")
    if symtable:
        yield [symtable.symtable("def f(x): return x", "f", "exec")]
    if VERSION < (3, 10):
        parser = module("parser")
        if parser:
            yield [parser.expr("a + b * c"), parser.suite("def f(x):\n    return [x, 1, 'text']\n" * 20), parser.expr("a")]
    dbm = module("_gdbm") or module("_dbm")
    if dbm:
        folder = tempfile.mkdtemp()
        name = os.path.join(folder, "d")
        try:
            yield [dbm.open(name, "n")]
        finally:
            for entry in os.listdir(folder):
                os.unlink(os.path.join(folder, entry))
            os.rmdir(folder)


def system():
    here, there = socket.socketpair()
    listening = socket.socket()
    poll, epoll, chosen = select.poll(), select.epoll(), selectors.DefaultSelector()
    poll.register(here, select.POLLIN)
    epoll.register(here, select.EPOLLIN)
    chosen.register(here, selectors.EVENT_READ, [1])
    yield [here, there, listening, poll, epoll, chosen, selectors.PollSelector(), selectors.SelectSelector(),
           attributes(subclass(socket.socket)(fileno=listening.detach()), x=[1])]
    lock, again, event = threading.Lock(), threading.RLock(), threading.Event()
    lock.acquire()
    again.acquire()
    yield [lock, again, event, threading.Condition(), threading.Semaphore(2), threading.Barrier(2), threading.Timer(5, print),
           threading.current_thread(), threading.Thread(target=print, name="never started")]
    variable, token = contextvars.ContextVar("v", default=[1]), None
    token = variable.set([2])
    yield [variable, token, contextvars.copy_context(), contextvars.Context(), iter(contextvars.copy_context())]
    many = [contextvars.ContextVar("many%d" % i) for i in range(300)]

    def fill():
        for i, v in enumerate(many):
            v.set([i])
        return contextvars.copy_context()

    yield [contextvars.Context().run(fill), many]
    ssl = module("ssl")
    if ssl:
        context = ssl.create_default_context()
        yield [context, ssl.MemoryBIO(), context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="h"), ssl.SSLError(1, "x")]
    yield [os.stat("/"), os.statvfs("/"), os.times(), os.uname(), os.terminal_size((1, 2)), sys.flags, sys.version_info, sys.float_info,
           sys.thread_info, sys.hash_info, sys.int_info, sys.implementation, time.get_clock_info("time")]
    for name, call in (("resource", lambda m: m.getrusage(0)), ("pwd", lambda m: m.getpwuid(0)), ("grp", lambda m: m.getgrgid(0)),
                       ("_lsprof", lambda m: m.Profiler()), ("_queue", lambda m: m.SimpleQueue()),
                       ("_multiprocessing", lambda m: m.SemLock(1, 1, 1, "/memattach-%d" % os.getpid(), True)),
                       ("_tracemalloc", lambda m: m.get_traceback_limit()), ("_posixshmem", lambda m: m)):
        m = module(name)
        if m:
            yield [call(m)]
    pool = concurrent.futures.ThreadPoolExecutor(2)
    yield [pool, pool.submit(len, [1]), concurrent.futures.Future(), logging.getLogger("truth"), logging.StreamHandler(io.StringIO()),
           logging.makeLogRecord({"a": 1}), contextlib.ExitStack(), contextlib.nullcontext(), contextlib.suppress(KeyError)]
    pool.shutdown()
    curses = module("_curses_panel")
    interpreters = module("_xxsubinterpreters") or module("_interpreters")
    yield [curses, interpreters, sys.modules[__name__].__spec__, __loader__]


PARTS = (numbers, texts, lists, dicts, sets, queues, instances, classes, weak, functions, running, errors, iterators, files, patterns,
         times, packing, trees, foreign, binaries, formats, system)


def everything():
    keep, lacking = [], []
    for part in PARTS:
        try:
            for objects in part():
                keep.append(objects)
        except Exception as e:
            import traceback
            lacking.append("%s: %s" % (part.__name__, "".join(traceback.format_exception(type(e), e, e.__traceback__))))
    return keep, lacking
