# SPDX-License-Identifier: Apache-2.0
"""A thread that wakes every 2 ms and knows its longest gap; "gap" prints it in microseconds and begins anew; "rest" stops it up to the
next line. The heap is as
large as the argument says, so that a walk of it takes CPU time. A second one: so many MB of bytes that nobody can compress."""
import gc
import os
import sys
import time

import common


def run():
    gc.disable()
    keep = [[i] for i in range(int(sys.argv[1]))]
    noise = [os.urandom(1 << 18) for _ in range(4 * int((sys.argv + ["0"])[2]))]
    longest = [0.0]

    def gap(_):
        common.say("gap", int(longest[0] * 1e6))
        longest[0] = 0.0

    def rest(_):
        common.say("rests")
        common.next_line()

    common.ready()
    last = time.monotonic()
    going = True
    while going:
        time.sleep(0.002)
        now = time.monotonic()
        longest[0] = max(longest[0], now - last)
        last = now
        going = common.poll({"gap": gap, "rest": rest})
        last = time.monotonic() if not going else last
    common.say("kept", len(keep), len(noise))


common.main(run)
