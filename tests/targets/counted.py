# SPDX-License-Identifier: Apache-2.0
"""Many objects of a few types, for guppy3 to count. counted.py FOLDER: where guppy3 lies. "count" prints what its heap() says.

guppy3 leaves out what it has made for itself (some 2800 strings, 700 tuples, 50 lists), so there are a thousand times as
many."""
import gc
import sys

sys.path.append(sys.argv[1])

import common  # noqa: E402
from guppy import hpy  # noqa: E402


class Plain:
    def __init__(self, value):
        self.value = value


class Slots:
    __slots__ = ("a",)


class Below(Plain):
    pass


def slots(value):
    o = Slots()
    o.a = value
    return o


def count(heap):
    for row in heap.heap().bytype.parts:
        common.say("counted", row.kind.arg.__name__, row.count)
    common.say("end")


def run():
    heap = hpy()
    heap.heap()  # what it makes for itself is there now
    kept = [[i + 0.5 for i in range(200_000)], ["s%d" % i for i in range(3_500_000)], [(i + 1000, None) for i in range(900_000)],
            [[i % 100] for i in range(100_000)], [Plain(1.5) for i in range(30_000)], [slots("x") for i in range(20_000)],
            [Below(None) for _ in range(10_000)]]
    gc.collect()
    common.ready()
    common.serve({"count": lambda _: count(heap)})
    common.say("done", len(kept))


common.main(run)
