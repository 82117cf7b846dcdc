# SPDX-License-Identifier: Apache-2.0
"""Under a seccomp filter: argument 1 is what happens ("errno", "kill", "strict"), the others are system call numbers."""
import ctypes
import os
import struct
import sys
import threading

import common


class Kept:
    pass


def install(action, numbers):
    code = struct.pack("HBBI", 0x20, 0, 0, 0)  # load the number
    for i, number in enumerate(numbers):
        code += struct.pack("HBBI", 0x15, len(numbers) - i, 0, number)  # equal: to the last instruction
    code += struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000)  # allow
    code += struct.pack("HBBI", 0x06, 0, 0, action)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program, 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")


def run():
    keep = [Kept() for _ in range(5000)]
    opened = os.pipe()
    threading.Thread(target=os.read, args=(opened[0], 1), daemon=True).start()
    actions = {"errno": 0x00050000 | 1, "kill": 0x80000000}
    install(actions[sys.argv[1]], [int(n) for n in sys.argv[2:]])
    common.ready()
    common.serve()
    os.fstat(opened[0]), os.fstat(opened[1])
    common.say("kept", len(keep))


common.main(run)
