# SPDX-License-Identifier: Apache-2.0
"""Requests of io_uring under way, one polled and one held by a worker thread of the kernel: each must complete as asked."""
import ctypes
import mmap
import os
import struct

import calls
import common

IORING_OP_READ, IOSQE_ASYNC = 22, 16


class Ring:
    def __init__(self):
        self.params = ctypes.create_string_buffer(120)
        self.fd = calls.setup("io_uring_setup", 8, self.params)
        p = struct.unpack("30I", self.params.raw)
        self.sq, self.cq = p[10:20], p[20:30]
        size = max(self.sq[6] + 4 * 8, self.cq[5] + 16 * 16)
        self.ring = mmap.mmap(self.fd, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=0)
        self.cring = mmap.mmap(self.fd, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=0x8000000)
        self.sqes = mmap.mmap(self.fd, 64 * 8, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=0x10000000)
        self.count = 0

    def submit(self, fd, address, length, flags, tag):
        sqe = struct.pack("BBHiQQIIQ", IORING_OP_READ, flags, 0, fd, 2 ** 64 - 1, address, length, 0, tag)
        self.sqes[64 * self.count:64 * self.count + len(sqe)] = sqe
        struct.pack_into("I", self.ring, self.sq[6] + 4 * self.count, self.count)
        self.count += 1
        struct.pack_into("I", self.ring, self.sq[1], self.count)
        return calls.call("io_uring_enter", self.fd, 1, 0, 0, None, 0)

    def completed(self):
        head, = struct.unpack_from("I", self.cring, self.cq[0])
        tail, = struct.unpack_from("I", self.cring, self.cq[1])
        found = [struct.unpack_from("Qi", self.cring, self.cq[5] + 16 * (n & 15)) for n in range(head, tail)]
        return sorted(found)


def run():
    result = common.Result()
    ring = Ring()
    buffers = [ctypes.create_string_buffer(64) for _ in range(2)]
    pipes = [os.pipe() for _ in range(2)]
    for n, flags in enumerate((0, IOSQE_ASYNC)):
        got = ring.submit(pipes[n][0], ctypes.addressof(buffers[n]), 64, flags, 100 + n)
        result.check(got == (1, 0), "submit", got)
    common.ready()
    common.serve()
    result.check(ring.completed() == [], "completed too early:", ring.completed())
    for n in range(2):
        os.write(pipes[n][1], b"data%d" % n)
    got = calls.call("io_uring_enter", ring.fd, 0, 2, 1, None, 0)
    result.check(got == (0, 0), "enter", got)
    result.check(ring.completed() == [(100, 5), (101, 5)], "completed", ring.completed())
    result.check([b.value for b in buffers] == [b"data0", b"data1"], "data", [b.value for b in buffers])
    result.print()


common.main(run)
