# SPDX-License-Identifier: Apache-2.0
"""Has a userfaultfd with EVENT_FORK: a fork blocks until its own thread has read the event. One that is stopped never does."""
import ctypes
import os
import struct
import threading

import common


class Kept:
    pass


def run():
    keep = [Kept() for _ in range(5000)]
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.syscall(323, os.O_CLOEXEC)
    region = api = None
    if fd >= 0:
        api = ctypes.create_string_buffer(struct.pack("QQQ", 0xAA, 2, 0), 24)  # UFFD_FEATURE_EVENT_FORK
        libc.mmap.restype = ctypes.c_void_p
        region = libc.mmap(None, ctypes.c_size_t(1 << 20), 3, 0x22, -1, ctypes.c_long(0))
        register = ctypes.create_string_buffer(struct.pack("QQQQ", region, 1 << 20, 1, 0), 32)
        if libc.ioctl(fd, ctypes.c_ulong(0xC018AA3F), api) or libc.ioctl(fd, ctypes.c_ulong(0xC020AA00), register):
            fd = -1
    if fd < 0:
        common.say("not on this kernel")
    else:
        threading.Thread(target=os.read, args=(fd, 32), daemon=True).start()
    common.ready()
    common.serve()
    common.say("kept", len(keep))


common.main(run)
