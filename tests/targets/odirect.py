# SPDX-License-Identifier: Apache-2.0
"""Threads that read a file with O_DIRECT without a pause and look at every byte: a fork while such a read is under way lost
them on old kernels (man open). Argument: a folder on a disk. "not on this file system" where it has no O_DIRECT."""
import mmap
import os
import sys
import threading

import common

BLOCK, BLOCKS = 65536, 32


def reader(fd, wanted, result, over, count):
    buffer = mmap.mmap(-1, BLOCK, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    while not over.is_set():
        for n in range(BLOCKS):
            buffer[:] = bytes(BLOCK)
            got = os.preadv(fd, [buffer], n * BLOCK)
            result.check(got == BLOCK and buffer[:] == wanted[n], "block", n, "has", got, "bytes or others")
        count[0] += BLOCKS


def run():
    path = os.path.join(sys.argv[1], "direct")
    wanted = [bytes([n + 1]) * BLOCK for n in range(BLOCKS)]
    with open(path, "wb") as f:
        f.write(b"".join(wanted))
    result, over, count = common.Result(), threading.Event(), [0]
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
        os.preadv(fd, [mmap.mmap(-1, BLOCK, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)], 0)
    except OSError:
        common.say("not on this file system")
        common.ready()
        common.serve()
        return 0
    threads = [threading.Thread(target=reader, args=(fd, wanted, result, over, count)) for _ in range(3)]
    for t in threads:
        t.start()
    common.ready()
    common.serve()
    over.set()
    for t in threads:
        t.join()
    result.check(count[0] > 0, "nothing was read")
    result.print()
    return 0


common.main(run)
