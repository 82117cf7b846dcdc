# SPDX-License-Identifier: Apache-2.0
"""Allocations on lines that are known, with tracemalloc on: test_sites.py compares what memattach and tracemalloc say of
them. Arguments: how many frames it keeps (0: it is started and stopped again; none: it is left as it is)."""
import json
import sys
import tracemalloc

import common

N = 4000
DOMAIN, TRACKED, TRACKED_BYTES = 77, 0x123451, 1_000_000  # not a multiple of 8: any number may be tracked


class Plain:
    def __init__(self, i):
        self.value = i * 1.5  # LINE:floats


def innermost():
    return [bytes(300 + i) for i in range(N)]  # LINE:bytes


def middle():
    return innermost()  # LINE:middle


def outermost():
    return middle()  # LINE:outermost


def track():
    """A block in a domain of its own, as numpy has one."""
    try:
        import ctypes
    except ImportError:
        return
    if ctypes.pythonapi.PyTraceMalloc_Track(ctypes.c_uint(DOMAIN), ctypes.c_size_t(TRACKED),  # LINE:tracked
                                            ctypes.c_size_t(TRACKED_BYTES)) == 0:
        return True


def statistics():
    """Line: bytes and blocks, of this file."""
    rows = tracemalloc.take_snapshot().statistics("lineno")
    return {row.traceback[0].lineno: [row.size, row.count] for row in rows if row.traceback[0].filename == __file__}


def main():
    if len(sys.argv) > 1:
        tracemalloc.start(max(int(sys.argv[1]), 1))
    kept = outermost()
    objects = [Plain(i) for i in range(N)]  # LINE:objects
    keys = {str(i): (i, None) for i in range(N)}  # LINE:dict
    more = []
    is_tracked = tracemalloc.is_tracing() and track()
    if sys.argv[1:] == ["0"]:
        tracemalloc.stop()

    def grow(_):
        more.extend([bytearray(2000) for _ in range(N)])  # LINE:grown
        common.say("grown")

    common.ready()
    common.serve({"facts": lambda _: common.say("facts", json.dumps({"lines": statistics(), "tracked": bool(is_tracked)})),
                  "grow": grow})
    return kept, objects, keys


main()
