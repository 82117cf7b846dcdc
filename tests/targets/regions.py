# SPDX-License-Identifier: Apache-2.0
"""Memory of every unusual kind: kept out of forks, wiped in them, locked, without access, shared and cut off behind its end,
huge; and objects of known number beside."""
import ctypes
import mmap
import tempfile

import common

LIBC = ctypes.CDLL(None, use_errno=True)
SIZE = 1 << 21


class Kept:
    pass


def advise(m, advice):
    address = ctypes.addressof(ctypes.c_char.from_buffer(m))
    if LIBC.madvise(ctypes.c_void_p(address), SIZE, advice):
        raise OSError(ctypes.get_errno(), "madvise %d" % advice)
    return address


def run():
    result = common.Result()
    keep = [Kept() for _ in range(5000)]
    maps = [mmap.mmap(-1, SIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) for _ in range(5)]
    for m in maps:
        m.write(b"x" * SIZE)
    addresses = [advise(maps[0], 10), advise(maps[1], 18), advise(maps[2], 14)]  # DONTFORK, WIPEONFORK, HUGEPAGE
    locked = ctypes.addressof(ctypes.c_char.from_buffer(maps[3]))
    LIBC.mlock(ctypes.c_void_p(locked), 65536)
    closed = ctypes.addressof(ctypes.c_char.from_buffer(maps[4]))
    LIBC.mprotect(ctypes.c_void_p(closed), SIZE, 0)
    f = tempfile.TemporaryFile()
    f.truncate(SIZE)
    shared = mmap.mmap(f.fileno(), SIZE)
    f.truncate(4096)  # what lies behind gives SIGBUS
    # pages of shared memory without a file
    anonymous = mmap.mmap(-1, SIZE)
    anonymous.write(b"y" * SIZE)
    common.ready()
    common.serve()
    for m in maps[:4]:
        result.check(m[:] == b"x" * SIZE, "a mapping changed")
    result.check(anonymous[:] == b"y" * SIZE, "shared memory changed")
    LIBC.mprotect(ctypes.c_void_p(closed), SIZE, 3)
    result.check(maps[4][:] == b"x" * SIZE, "a closed mapping changed")
    result.check(len(keep) == 5000 and shared is not None and len(addresses) == 3)
    result.print()


common.main(run)
