# SPDX-License-Identifier: Apache-2.0
"""Nearly always inside a restartable sequence: the main thread, and as many native threads as argument 2 says (rseq.c, whose
library is argument 1). A section that goes on without its protection, or a lost update, is "wrong"."""
import ctypes
import sys

import common


class Kept:
    pass


def run():
    result = common.Result()
    native = ctypes.CDLL(sys.argv[1])
    native.rseq_value.restype = ctypes.c_long
    keep = [Kept() for _ in range(5000)]
    if native.rseq_ready():
        common.say("no rseq area here")
    result.check(native.rseq_start(int(sys.argv[2])) == 0, "threads do not start")
    handlers = {"aborts": lambda _: common.say("aborts", native.rseq_value(2))}
    common.ready()
    while True:
        native.rseq_until_readable(0)
        if not common.poll(handlers):
            break
    native.rseq_stop()
    commits, total, lost = (native.rseq_value(i) for i in (0, 1, 3))
    result.check(lost == 0, lost, "sections went on without their protection")
    result.check(total == commits, "counted", total, "of", commits)
    result.check(len(keep) == 5000)
    result.print()


common.main(run)
