# SPDX-License-Identifier: Apache-2.0
"""Allocates without a pause beside native threads that do so, too (malloc_threads.c, whose library is the argument)."""
import ctypes
import sys

import common


class Kept:
    pass


def run():
    result = common.Result()
    native = ctypes.CDLL(sys.argv[1])
    native.churn_stop.restype = ctypes.c_long
    keep = [Kept() for _ in range(5000)]
    result.check(native.churn_start(int(sys.argv[2]) if len(sys.argv) > 2 else 2) == 0, "threads do not start")
    common.ready()
    while common.poll():
        for n in range(200):
            big = [bytes(600 + n * 7), bytearray(1000 + n), {i: str(i) for i in range(40)}]
        result.check(len(big[2]) == 40)
    result.check(native.churn_stop() == 0, "native memory changed")
    result.check(len(keep) == 5000)
    result.print()


common.main(run)
