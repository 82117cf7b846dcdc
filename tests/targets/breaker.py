# SPDX-License-Identifier: Apache-2.0
"""A type whose tp_traverse breaks in the way that argument 2 names (breaker.c, whose library is argument 1). Its own collector
never runs while that is so."""
import ctypes
import gc
import mmap
import sys
import tempfile

import common

TRAVERSE = 184  # offset of tp_traverse in a type, 3.8 to 3.15


class Kept:
    pass


class Victim:
    pass


def run():
    gc.disable()
    library = ctypes.CDLL(sys.argv[1])
    keep, victims = [Kept() for _ in range(5000)], [Victim() for _ in range(20)]
    with tempfile.TemporaryFile() as f:
        f.truncate(8192)
        cut = mmap.mmap(f.fileno(), 8192, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
        f.truncate(0)
    anchor = (ctypes.c_char * 8192).from_buffer(cut)
    ctypes.c_void_p.in_dll(library, "cut_off").value = ctypes.addressof(anchor)
    slot = ctypes.c_uint64.from_address(id(Victim) + TRAVERSE)
    before, slot.value = slot.value, ctypes.cast(getattr(library, sys.argv[2]), ctypes.c_void_p).value
    common.ready()
    common.serve()
    slot.value = before
    common.say(len(keep), len(victims))
    return 0


common.main(run)
