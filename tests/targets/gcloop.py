# SPDX-License-Identifier: Apache-2.0
"""Allocates and collects without a pause. With an argument, that many threads allocate beside it."""
import gc
import sys
import threading
import weakref

import common


class Kept:
    pass


class Cycle:
    def __init__(self):
        self.me = [self, {"me": self}]


def allocate(stop):
    while not stop.is_set():
        for _ in range(100):
            Cycle()


def run():
    result, stop = common.Result(), threading.Event()
    keep = [Kept() for _ in range(5000)]
    for k in keep:
        k.friends = [keep[0], k]
    workers = [threading.Thread(target=allocate, args=(stop,)) for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 0)]
    for w in workers:
        w.start()
    common.ready()
    while common.poll():
        seen = [weakref.ref(Cycle()) for _ in range(200)]
        gc.collect()
        result.check(all(r() is None for r in seen), "a cycle outlived its collection")
    stop.set()
    for w in workers:
        w.join()
    result.check(all(k.friends[1] is k for k in keep), "a kept object changed")
    result.print()


common.main(run)
