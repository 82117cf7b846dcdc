# SPDX-License-Identifier: Apache-2.0
"""Objects of known number. COUNTS is what a snapshot must find, to the one."""
import ctypes


class Thing:
    def __init__(self, n):
        self.n = n
        self.name = "thing"


class Slotted:
    __slots__ = ("a", "b")


class Outer:
    class Inner(dict):
        pass


class Atom:
    """No slots, no dict: nothing but a header."""
    __slots__ = ()


class HeldByC:
    """No Python object refers to one: only native code holds it. The collector's lists have it."""
    __slots__ = ()


class Ring:
    """A garbage cycle that stays: found through the collector's lists alone."""


class Meta(type):
    pass


class Number(int):
    pass


def generator():
    local = Thing(0)
    yield local


async def coroutine():
    local = Slotted()
    local.a = 1
    await Forever()


class Forever:
    def __await__(self):
        yield self


COMPLEX_HELD_BY_C = 70
COUNTS = {
    "things.Thing": 12345 + 7,
    "things.Slotted": 777 + 5,
    "things.Outer.Inner": 333,
    "things.Atom": 1000,
    "things.HeldByC": 50,
    "things.Ring": 44,
    "things.Meta": 3,
    "things.Number": 256,
    "things.Forever": 5,
}


def make(size=12345):
    """Returns what keeps all of them alive but what only C holds, and Ring."""
    things = {i: Thing(i) for i in range(size)}
    slotted = [Slotted() for _ in range(777)]
    for s in slotted:
        s.a = s
    inner = tuple(Outer.Inner() for _ in range(333))
    atoms = {Atom() for _ in range(1000)}
    for _ in range(50):
        held = HeldByC()
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(held))
    del held
    # the collector does not know these, either: found in the arenas alone
    for i in range(COMPLEX_HELD_BY_C):
        held = complex(i, 1.5)
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(held))
    del held
    import gc
    was = gc.isenabled()
    gc.disable()
    for _ in range(44):
        ring = Ring()
        ring.me = ring
    del ring
    if was:
        gc.enable()
    generators = [generator() for _ in range(7)]
    for g in generators:
        next(g)
    coroutines = [coroutine() for _ in range(5)]
    for c in coroutines:
        c.send(None)
    metas = [Meta("M%d" % i, (), {}) for i in range(3)]
    return things, slotted, inner, atoms, generators, coroutines, metas, [Number(10 ** 6 + i) for i in range(256)]


def close(kept):
    for c in kept[5]:
        c.close()
