# SPDX-License-Identifier: Apache-2.0
"""Takes memory on command, in megabytes, 200 of them a second at most; the answer comes when it is resident."""
import time

import common

KEEP = []


class Kept:
    pass


def grow(megabytes):
    for _ in range(int(megabytes)):
        KEEP.append((Kept(), b"x" * 1000000))
        time.sleep(0.005)
    common.say("grown")


def run():
    common.ready()
    common.serve({"grow": grow})


common.main(run)
