# SPDX-License-Identifier: Apache-2.0
"""50 threads that make and drop objects without a pause, each with 100 that it keeps."""
import sys
import threading

import common


class Kept:
    def __init__(self, owner):
        self.owner = owner


class Dropped:
    def __init__(self, other):
        self.other = other
        self.me = self


def churn(number, go, stop, sums):
    keep = [Kept(number) for _ in range(100)]
    go.wait()
    n = 0
    while not stop.is_set():
        last = None
        for i in range(50):
            last = Dropped(last)
            text = "%d-%d" % (number, i)
            table = {text: [i, text], i: (text,)}
            n += len(table[text]) - 1
        if n % 50:
            break
    sums[number] = (len(keep), n % 50, sum(k.owner for k in keep) // 100)


def run():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    result, go, stop, sums = common.Result(), threading.Event(), threading.Event(), {}
    sys.setswitchinterval(0.001)
    workers = [threading.Thread(target=churn, args=(n, go, stop, sums)) for n in range(count)]
    for w in workers:
        w.start()
    go.set()
    common.ready()
    common.serve()
    stop.set()
    for w in workers:
        w.join()
    for n in range(count):
        result.check(sums.get(n) == (100, 0, n), "thread", n, sums.get(n))
    result.print()


common.main(run)
