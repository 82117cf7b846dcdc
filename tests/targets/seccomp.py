# SPDX-License-Identifier: Apache-2.0
"""Under a seccomp filter: argument 1 is what happens ("errno", "kill"), the others are system call numbers."""
import os
import sys
import threading

import common
import filters


class Kept:
    pass


def run():
    keep = [Kept() for _ in range(5000)]
    opened = os.pipe()
    threading.Thread(target=os.read, args=(opened[0], 1), daemon=True).start()
    filters.filter_calls(sys.argv[1], sys.argv[2:])
    common.ready()
    common.serve()
    os.fstat(opened[0]), os.fstat(opened[1])
    common.say("kept", len(keep))


common.main(run)
