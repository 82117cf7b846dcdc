# SPDX-License-Identifier: Apache-2.0
"""Memory of a known kind, as the argument says. Says what it knows of itself: "fact NAME NUMBER"."""
import ctypes
import mmap
import os
import sys
import threading

import common

libc = ctypes.CDLL(None, use_errno=True)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


class Mallinfo2(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
                ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")]


def fact(name, value):
    common.say("fact", name, value)


def tell_mallinfo():
    if hasattr(libc, "mallinfo2"):  # glibc 2.33
        libc.mallinfo2.restype = Mallinfo2
        info = libc.mallinfo2()
        for name, _ in Mallinfo2._fields_:
            fact(name, getattr(info, name))


class Kept:
    def __init__(self, i):
        self.number = i + 1000000
        self.text = "kept %d" % i


def idle():
    return None


def fragmented():
    keep, drop = [], []
    for i in range(400000):
        (drop if i % 300 else keep).append(Kept(i))
    del drop
    fact("kept", len(keep))
    return keep


def blocks(count, size):
    made = [libc.malloc(size) for _ in range(count)]
    for p in made:
        libc.memset(p, 1, size)
    return made


def free_heap():
    """Many small blocks, freed below one that stays."""
    made, top = blocks(200000, 200), blocks(1, 5000)
    for p in made:
        libc.free(p)
    fact("freed", 200000 * 208)
    return top


def used_heap():
    made = blocks(100000, 400)
    for p in made[::2]:
        libc.free(p)
    fact("used", 50000 * 416)
    fact("freed", 50000 * 416)
    return made[1::2]


def threads(count="50"):
    gone = threading.Event()
    begun = threading.Barrier(int(count) + 1)

    def run():
        mine = [Kept(i) for i in range(100)], blocks(50, 2000)
        begun.wait()
        gone.wait()
        del mine

    for _ in range(int(count)):
        threading.Thread(target=run, daemon=True).start()
    begun.wait()
    return gone


def mixed():
    """Objects and blocks of all sizes, for any allocator."""
    kept = [Kept(i) for i in range(20000)], [bytearray(os.urandom(1 << 16)) for _ in range(300)], blocks(20000, 300)
    for p in blocks(20000, 500):
        libc.free(p)
    return kept


def untouched():
    """Bytes of zeros come from calloc: of 256 MB only some pages exist."""
    fact("zeros", 256 << 20)
    return bytes(256 << 20)


def huge():
    """A free block with huge pages, of which one page in 512 was written to."""
    libc.mallopt(-4, 0)  # M_MMAP_MAX: all blocks come from the heap
    p = libc.malloc(64 << 20)
    top = libc.malloc(1 << 20)
    start = (p + (4 << 20)) & -(2 << 20)
    if libc.madvise(start, 32 << 20, 14):  # MADV_HUGEPAGE
        fact("huge", 0)
    for i in range(16):
        libc.memset(start + i * (2 << 20), 1, 1)
    with open("/proc/self/smaps") as f:
        fact("huge", sum(int(line.split()[1]) for line in f if line.startswith("AnonHugePages")) << 10)
    libc.free(p)
    return top


def private_map():
    """Memory that is nobody's: mapped by the program itself."""
    m = mmap.mmap(-1, 40 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for i in range(0, 40 << 20, 4096):
        m[i] = 1
    fact("mapped", 40 << 20)
    return m


def pandas(megabytes):
    import numpy as np
    import pandas as pd
    rows = int(megabytes) * (1 << 20) // 40
    frame = pd.DataFrame({name: np.arange(rows, dtype="int64") for name in "abcd"})
    frame["label"] = np.array(["label %d" % (i % 1000) for i in range(1000)], dtype=object)[np.arange(rows) % 1000]
    lazy = np.zeros(1 << 27)  # 1 GB of which no page exists
    fact("data", rows * 40)
    groups = frame.groupby("label").sum()
    return frame, lazy, groups


def run():
    kept = globals()[sys.argv[1]](*sys.argv[2:])
    tell_mallinfo()
    common.ready()
    common.serve()
    del kept
    common.say("done")


common.main(run)
