# SPDX-License-Identifier: Apache-2.0
"""Huge pages of hugetlbfs, as many as the first argument says, which a thread writes to all the time: private ones, with
"noreserve" such as nobody has set aside for this program, or "shared" ones."""
import ctypes
import mmap
import sys
import threading

import common

LIBC = ctypes.CDLL(None, use_errno=True)
HUGE, MAP_HUGETLB, MAP_NORESERVE = 2 << 20, 0x40000, 0x4000


class Kept:
    pass


def run():
    result = common.Result()
    keep = [Kept() for _ in range(5000)]
    size = int(sys.argv[1]) * HUGE
    flags = mmap.MAP_SHARED if "shared" in sys.argv else mmap.MAP_PRIVATE | (MAP_NORESERVE if "noreserve" in sys.argv else 0)
    try:
        pages = mmap.mmap(-1, size, flags | mmap.MAP_ANONYMOUS | MAP_HUGETLB)
    except OSError as e:
        common.say("no huge pages:", e)
        common.ready()
        return
    address = ctypes.addressof(ctypes.c_char.from_buffer(pages))
    LIBC.memset(ctypes.c_void_p(address), 1, ctypes.c_size_t(size))
    ended = threading.Event()
    rounds = [0]

    def write():
        while not ended.is_set():
            rounds[0] += 1
            for at in range(0, size, HUGE):
                LIBC.memset(ctypes.c_void_p(address + at), rounds[0] & 127, ctypes.c_size_t(64))

    thread = threading.Thread(target=write)
    thread.start()
    common.ready()
    common.serve()
    ended.set()
    thread.join()
    for at in range(0, size, HUGE):
        result.check(pages[at:at + 64] == bytes([rounds[0] & 127]) * 64, "page at", at)
        result.check(pages[at + 64:at + HUGE] == b"\1" * (HUGE - 64), "rest of the page at", at)
    result.check(len(keep) == 5000)
    result.print()


common.main(run)
