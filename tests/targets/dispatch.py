# SPDX-License-Identifier: Apache-2.0
"""System calls are its own business (PR_SET_SYSCALL_USER_DISPATCH, as Wine uses it): one made outside of libc's code is SIGSYS."""
import ctypes

import common


class Kept:
    pass


selector = ctypes.c_ubyte(0)


def run():
    keep = [Kept() for _ in range(5000)]
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/self/maps") as f:
        start, end = next((int(x, 16) for x in line.split()[0].split("-")) for line in f if "r-xp" in line and "libc" in line)
    if libc.prctl(59, 1, ctypes.c_ulong(start), ctypes.c_ulong(end - start), ctypes.byref(selector)):
        common.say("not on this kernel")
    else:
        selector.value = 1  # SYSCALL_DISPATCH_FILTER_BLOCK
    common.ready()
    common.serve()
    selector.value = 0
    common.say("kept", len(keep))


common.main(run)
