# SPDX-License-Identifier: Apache-2.0
"""Seccomp filters for target programs."""
import ctypes
import struct


def filter_calls(action, numbers):
    """A seccomp filter from now on: these system calls fail ("errno"), or end the process ("kill")."""
    numbers = [int(n) for n in numbers]
    code = struct.pack("HBBI", 0x20, 0, 0, 0)  # load the number
    for i, number in enumerate(numbers):
        code += struct.pack("HBBI", 0x15, len(numbers) - i, 0, number)  # equal: to the last instruction
    code += struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000)  # allow
    code += struct.pack("HBBI", 0x06, 0, 0, {"errno": 0x00050000 | 1, "kill": 0x80000000}[action])
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program, 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")
