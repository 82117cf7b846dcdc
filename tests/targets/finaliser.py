# SPDX-License-Identifier: Apache-2.0
"""A finaliser asleep inside a collection: what the collector holds is in no generation list, nothing reaches it, and the
GIL is free. 1,000 objects are garbage that still lives, 1,000 are kept."""
import gc
import os
import threading

import common


class Kept:
    pass


class Garbage:
    gate = None
    asleep = None
    ended = 0

    def __init__(self):
        self.me = self
        self.load = [self]

    def __del__(self):
        Garbage.ended += 1
        if Garbage.ended == 1:
            os.write(Garbage.asleep, b"!")
            os.read(Garbage.gate, 1)  # LINE:sleeps


def collect():
    gc.collect()  # LINE:collects


def run():
    result = common.Result()
    gc.disable()
    keep = [Kept() for _ in range(1000)]
    for _ in range(1000):
        Garbage()
    Garbage.gate, wake = os.pipe()
    seen, Garbage.asleep = os.pipe()
    thread = threading.Thread(target=collect, name="collector")
    thread.start()
    os.read(seen, 1)
    common.ready()
    common.serve()
    os.write(wake, b"!")
    thread.join()
    result.check(Garbage.ended == 1000, "finalised", Garbage.ended)
    result.check(len(keep) == 1000)
    result.print()


common.main(run)
