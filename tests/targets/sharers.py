# SPDX-License-Identifier: Apache-2.0
"""200 classes whose instances share their keys. Prints the size of all their dicts, how many these are, and what a class gains by
having such keys."""
import sys

import common


def run():
    kept = []
    for i in range(200):
        cls = type("Sharer%d" % i, (), {})
        bare = sys.getsizeof(cls)
        kept.append([cls() for _ in range(3)])
        for o in kept[-1]:
            o.first, o.second = 1, 2
    dicts = [vars(o) for objects in kept for o in objects]
    for d in dicts:
        common.say("dict", id(d))
    gained = sys.getsizeof(type(kept[-1][0])) - bare
    for number in (sum(map(sys.getsizeof, dicts)), len(dicts), gained):
        common.say("size", number)
    common.ready()
    common.serve()
    common.say("done")


common.main(run)
