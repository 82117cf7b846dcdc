# SPDX-License-Identifier: Apache-2.0
"""References of every kind that has a name, and the way to large ones: test_edge_names.py compares."""
import collections
import functools
import gc
import json
import sys
import types

import common

app = types.ModuleType("app")
sys.modules["app"] = app


class Registry:
    pass


class Slotted:
    __slots__ = ("first", "cache")


class Plain:
    def __init__(self):
        self.attr, self.other = [4], (5, [6])


class WithProperty:
    @property
    def p(self):
        return 1

    @staticmethod
    def s():
        pass

    @classmethod
    def c(cls):
        pass


class Sub(dict):
    pass


def closure(n):
    captured, other = ["y%d" % i for i in range(n)], {"q": [8]}

    def inner():
        return captured, other
    return inner


def generator(n):
    held_by_generator = [i * 1.5 for i in range(n)]
    yield held_by_generator


def dynamic(n):
    class Dynamic:
        data = [(i,) for i in range(n)]
    return Dynamic()


def build():
    app.registry = Registry()
    slotted = Slotted()
    app.registry.listeners = [Plain(), None, None, slotted]
    slotted.first = [1]
    slotted.cache = {"k": [b"%d" % i * 20 for i in range(50_000)]}
    app.handler = closure(60_000)
    app.generator = generator(70_000)
    next(app.generator)
    app.dynamic = dynamic(80_000)


def edges():
    """[source, destination, name]: "key" stands for the name of a dict's entry."""
    found = []

    def edge(src, dst, name):
        found.append((id(src), id(dst), name))

    slotted, plain = app.registry.listeners[3], app.registry.listeners[0]
    edge(slotted, slotted.first, ".first")
    edge(slotted, slotted.cache, ".cache")
    edge(slotted.cache, slotted.cache["k"], "key")
    attributes = plain if sys.version_info >= (3, 11) else vars(plain)
    edge(attributes, plain.attr, ".attr")
    edge(attributes, plain.other, ".other")
    edge(plain.other, plain.other[1], "[1]")
    edge(app.registry.listeners, slotted, "[3]")
    handler = app.handler
    edge(handler, handler.__closure__, ".__closure__")
    for name, cell in zip(handler.__code__.co_freevars, handler.__closure__):
        edge(handler, cell, "." + name)
        edge(cell, cell.cell_contents, ".cell_contents")
    frame = app.generator.gi_frame
    edge(app.generator if sys.version_info >= (3, 11) else frame, frame.f_locals["held_by_generator"], ".held_by_generator")
    partial = functools.partial(print, [11], key=[12])
    edge(partial, partial.func, ".func")
    edge(partial, partial.args, ".args")
    edge(partial, partial.keywords, ".keywords")
    default = collections.defaultdict(list, w=[13])
    edge(default, default["w"], "key")
    edge(default, list, ".default_factory")
    ordered = collections.OrderedDict(z=[14])
    edge(ordered, ordered["z"], "key")
    queue = collections.deque([[i] for i in range(100)])
    edge(queue, queue[0], "[0]")
    edge(queue, queue[99], "[99]")
    sub = Sub(i=[18])
    edge(sub, sub["i"], "key")
    members = vars(WithProperty)
    edge(members["p"], members["p"].fget, ".fget")
    edge(members["s"], members["s"].__func__, ".__func__")
    edge(members["c"], members["c"].__func__, ".__func__")
    method = plain.__init__
    edge(method, plain, ".__self__")
    try:
        try:
            raise KeyError([20])
        except KeyError:
            raise ValueError([21])
    except ValueError as e:
        error = e
    edge(error, error.args, ".args")
    edge(error, error.__traceback__, ".__traceback__")
    edge(error, error.__context__, ".__context__")
    edge(error.__traceback__, error.__traceback__.tb_frame, ".tb_frame")
    edge(sys.modules, json, ".json")
    edge(sys.modules, app, ".app")
    edge(app, vars(app), ".__dict__")
    edge(vars(app), app.registry, ".registry")
    # keeps them alive until the snapshot is taken
    return found, (partial, default, ordered, queue, sub, method, error)


def main():
    build()
    mine = {i + 10**6: [i] for i in range(50_000)}
    found, keep = edges()
    gc.collect()
    common.ready()
    common.serve({"edges": lambda _: print(json.dumps(found), flush=True)})
    return mine, keep


main()
