# SPDX-License-Identifier: Apache-2.0
"""Threads that begin and end all the time: three makers, each of which starts and joins short threads."""
import threading

import common


class Kept:
    pass


def short(out):
    out.append(sum(range(50)))


def make(stop, result):
    while not stop.is_set():
        out = []
        threads = [threading.Thread(target=short, args=(out,)) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        result.check(out == [1225] * 4, "threads gave", out)


def run():
    result, stop = common.Result(), threading.Event()
    keep = [Kept() for _ in range(5000)]
    makers = [threading.Thread(target=make, args=(stop, result)) for _ in range(3)]
    for m in makers:
        m.start()
    common.ready()
    common.serve()
    stop.set()
    for m in makers:
        m.join()
    result.check(len(keep) == 5000)
    result.print()


common.main(run)
