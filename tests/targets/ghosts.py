# SPDX-License-Identifier: Apache-2.0
"""Frees 100,000 objects and uses their blocks again as tables: of lists, dicts, sets, bytearrays, arrays. Prints how many of each
class live. Nothing else of these classes may be found, though their old words still stand in the blocks, and though some
of the new tables hold words that look like the head of an object."""
import array
import collections
import gc
import io
import struct

import common

EACH, LIVE = 10_000, 50


class Plain:
    pass


class Slots:
    __slots__ = ("a", "b")


class Tuple(tuple):
    __slots__ = ()


class List(list):
    pass


class Dict(dict):
    pass


class Int(int):
    pass


class Float(float):
    __slots__ = ()


class Str(str):
    __slots__ = ()


class Bytes(bytes):
    __slots__ = ()


class Error(Exception):
    pass


def make(cls, i):
    if cls in (Plain, Error):
        o = cls()
        o.value = i
        return o
    if cls is Slots:
        o = cls()
        o.a = o.b = o
        return o
    if cls is Str:
        return cls("x" * (i % 60))
    if cls is Bytes:
        return cls(b"x" * (i % 60))
    if cls in (Tuple, List):
        return cls([i] * (i % 9))
    if cls is Dict:
        return cls(a=i)
    return cls(i)


CLASSES = (Plain, Slots, Tuple, List, Dict, Int, Float, Str, Bytes, Error)


def heads(cls, words):
    """The bytes of a block that could be an object of the class, without and with a GC header."""
    head = struct.pack("QQ", 1, id(cls))
    return [(lead + head + bytes(8 * words))[:8 * words] for lead in (b"", bytes(16), bytes(32))]


def run():
    gc.disable()
    made = {cls: [make(cls, i) for i in range(EACH)] for cls in CLASSES}
    for cls, objects in made.items():
        # of every run of neighbours some stay, so that no pool is given back and all blocks are used again
        made[cls] = objects[::EACH // LIVE]
        del objects
    gc.collect()
    tables = []
    for i in range(EACH * len(CLASSES) // 40):
        for words in range(2, 24, 3):
            cls = CLASSES[i % len(CLASSES)]
            grown = []
            for _ in range(words - 1):
                grown.append(None)  # has room that was never written
            spare = bytearray(8 * words)
            del spare[8:]
            tables.append(([1, cls] + [None] * (words - 2), [True, cls] * (words // 2), grown, spare))
            if words < 12:
                tables.append(({k: cls for k in range(words)}, {cls, 1, None, *range(words)},
                               *[bytearray(b) for b in heads(cls, 2 * words)],
                               array.array("Q", [1, id(cls)] + [0] * words), io.BytesIO(heads(cls, words)[0]),
                               collections.deque([1, cls])))
    for cls, objects in made.items():
        common.say("live", cls.__name__, len(objects))
    common.ready()
    common.serve()
    common.say("done", len(tables))


common.main(run)
