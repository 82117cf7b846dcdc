# SPDX-License-Identifier: Apache-2.0
"""Raw data in many forms, large enough that a copy of it costs a stop: bytes, bytearray, mappings, arrays of numpy where it is
installed. Beside it large memory that holds references, and a range that the program keeps out of its own children.
Arguments: MB of each, and the numbers of system calls that end it."""
import array
import ctypes
import mmap
import os
import sys
import threading
import zlib

import common

try:
    import numpy
except ImportError:
    numpy = None

LIBC = ctypes.CDLL(None, use_errno=True)
MB = 1 << 20
DONTFORK = 10


class Kept:
    pass


def block(seed, size):
    """Bytes that are no pointers."""
    return (b"%07d " % (seed % 10000000)) * (size // 8)


def mapping(size, seed):
    m = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    m.write(block(seed, size))
    return m


def address(m):
    return ctypes.addressof(ctypes.c_char.from_buffer(m))


def run():
    size = int(sys.argv[1]) * MB if len(sys.argv) > 1 else 40 * MB  # up to 32 MB malloc may take it from a heap
    result = common.Result()
    keep = [Kept() for _ in range(5000)]
    data = {
        "bytes": block(1, size),
        "bytearray": bytearray(block(2, size)),
        "mapping": mapping(size, 3),
        "array": array.array("q", block(4, size)),
        "own": mapping(16 * MB, 5),
    }
    if numpy is not None:
        data["numpy"] = numpy.frombuffer(block(6, size), dtype="u1").copy()
        data["float64"] = numpy.arange(size // 8, dtype="f8") + 1
    # what it keeps out of its children is larger than what is looked at, and a part of a mapping
    if LIBC.madvise(ctypes.c_void_p(address(data["own"])), 16 * MB, DONTFORK):
        raise OSError(ctypes.get_errno(), "madvise")
    # references: each must be in the copy
    held = [Kept() for _ in range(1000)]
    pointers = (ctypes.py_object * (size // 8))()  # one in each page
    for i in range(0, size // 8, 512):
        pointers[i] = held[i % 1000]
    objects = None
    if numpy is not None:
        objects = numpy.empty(size // 8, dtype=object)
        objects[:] = held[0]
    sums = {name: zlib.crc32(value) for name, value in data.items()}

    def whole(names):
        return all(zlib.crc32(data[n]) == sums[n] for n in names)

    def fork(_):
        """A child of ours has all that it should have."""
        child = os.fork()
        if child == 0:
            os._exit(0 if whole(n for n in sums if n != "own") else 1)
        common.say("forked", os.waitpid(child, 0)[1])

    def ranges(_):
        for name, value in sorted(data.items()):
            if name in ("mapping", "own"):
                common.say("range", name, address(value), len(value))
        common.say("end")

    threads = [threading.Thread(target=threading.Event().wait, daemon=True) for _ in range(3)]
    for t in threads:
        t.start()
    if len(sys.argv) > 2:
        import filters
        filters.filter_calls("kill", sys.argv[2:])
    common.ready()
    common.serve({"fork": fork, "ranges": ranges})
    result.check(whole(sums), "data changed")
    result.check(len(keep) == 5000 and pointers[0] is not None, "objects are gone")
    result.print()


common.main(run)
