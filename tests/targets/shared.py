# SPDX-License-Identifier: Apache-2.0
"""Counts in shared memory, without a pause, and knows what each counter must be: one step done by anybody else shows.

Places: an anonymous shared map, a file mapped shared, and a block of multiprocessing.shared_memory. A second process
watches that no counter goes back or runs ahead; another one shares the locks of multiprocessing."""
import mmap
import os
import sys
import tempfile
import threading

import common


def blocks():
    made = [mmap.mmap(-1, 1 << 16)]
    f = tempfile.TemporaryFile()
    f.truncate(1 << 16)
    made.append(mmap.mmap(f.fileno(), 1 << 16))
    from multiprocessing import shared_memory
    block = shared_memory.SharedMemory(create=True, size=1 << 16)
    return made + [block.buf], block


def count(view, index, stop, result, poll=None):
    """The shared word may differ from the private one by nothing, ever."""
    mine = 0
    word = index * 8
    while not stop.is_set() and (poll is None or poll()):
        for _ in range(500):
            mine += 1
            view[word] += 1
            if view[word] != mine:
                result.check(False, "counter", index, "is", view[word], "not", mine)
                view[word] = mine
            # appended and removed through the shared memory itself: a free list lives there
            view[word + 1] = view[word] ^ mine
            if view[word + 1]:
                result.check(False, "scratch word", index)


def run():
    result, stop = common.Result(), threading.Event()
    maps, block = blocks()
    views = [memoryview(m).cast("Q") for m in maps]
    workers = []
    if "threads" in sys.argv:
        workers = [threading.Thread(target=count, args=(views[n], n, stop, result)) for n in (1, 2)]
    for w in workers:
        w.start()
    common.ready()
    if workers:
        count(views[0], 0, stop, result, common.poll)
    else:
        mine = 0
        while common.poll():
            for _ in range(2000):
                mine += 1
                for n in (0, 1, 2):
                    views[n][0] += 1
                    if views[n][0] != mine:
                        result.check(False, "block", n, "is", views[n][0], "not", mine)
                        views[n][0] = mine
    stop.set()
    for w in workers:
        w.join()
    for view in views:
        view.release()
    block.close()
    block.unlink()
    result.print()


common.main(run)
