# SPDX-License-Identifier: Apache-2.0
"""Requests of io_uring under way, one polled and one held by a worker thread of the kernel: each must complete as asked.

With "sqpoll" a thread of the kernel takes the requests from the ring by itself, without a call; "more" is one more of them."""
import ctypes
import mmap
import os
import struct
import sys
import time

import calls
import common

IORING_OP_NOP, IORING_OP_READ, IOSQE_ASYNC = 0, 22, 16
IORING_SETUP_SQPOLL, IORING_SQ_NEED_WAKEUP, IORING_ENTER_SQ_WAKEUP, IDLE_MS = 2, 1, 2, 60000


class Ring:
    def __init__(self, polled):
        self.params, self.polled = ctypes.create_string_buffer(120), polled
        if polled:
            struct.pack_into("3I", self.params, 8, IORING_SETUP_SQPOLL, 0, IDLE_MS)
        self.fd = calls.setup("io_uring_setup", 8, self.params)
        p = struct.unpack("30I", self.params.raw)
        self.sq, self.cq = p[10:20], p[20:30]
        size = max(self.sq[6] + 4 * 8, self.cq[5] + 16 * 16)
        self.ring = mmap.mmap(self.fd, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=0)
        self.cring = mmap.mmap(self.fd, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=0x8000000)
        self.sqes = mmap.mmap(self.fd, 64 * 8, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=0x10000000)
        self.count = 0

    def submit(self, fd, address, length, flags, tag, operation=IORING_OP_READ):
        sqe = struct.pack("BBHiQQIIQ", operation, flags, 0, fd, 2 ** 64 - 1, address, length, 0, tag)
        slot = self.count & 7
        self.sqes[64 * slot:64 * slot + len(sqe)] = sqe
        struct.pack_into("I", self.ring, self.sq[6] + 4 * slot, slot)
        self.count += 1
        # in one store: pack_into() fills with zeros first, and the kernel looks all the time
        ctypes.c_uint32.from_buffer(self.ring, self.sq[1]).value = self.count
        if not self.polled:
            return calls.call("io_uring_enter", self.fd, 1, 0, 0, None, 0)
        taken = self.wait(self.taken)
        return (1, 0) if taken else "not taken by the kernel"

    def taken(self):
        if struct.unpack_from("I", self.ring, self.sq[4])[0] & IORING_SQ_NEED_WAKEUP:
            calls.call("io_uring_enter", self.fd, 0, 0, IORING_ENTER_SQ_WAKEUP, None, 0)
        return struct.unpack_from("I", self.ring, self.sq[0])[0] == self.count

    @staticmethod
    def wait(true):
        end = time.monotonic() + 20
        while not true() and time.monotonic() < end:
            time.sleep(0.001)
        return true()

    def completed(self):
        head, = struct.unpack_from("I", self.cring, self.cq[0])
        tail, = struct.unpack_from("I", self.cring, self.cq[1])
        found = [struct.unpack_from("Qi", self.cring, self.cq[5] + 16 * (n & 15)) for n in range(head, tail)]
        return sorted(found)

    def more(self):
        """One request without anything to do, from the ring to its completion, which is taken out."""
        if self.submit(-1, 0, 0, 0, 7, IORING_OP_NOP) != (1, 0) or not self.wait(self.completed):
            return False
        found, (head,) = self.completed(), struct.unpack_from("I", self.cring, self.cq[0])
        ctypes.c_uint32.from_buffer(self.cring, self.cq[0]).value = head + 1
        return found == [(7, 0)]


def run():
    result = common.Result()
    ring = Ring("sqpoll" in sys.argv)
    buffers = [ctypes.create_string_buffer(64) for _ in range(2)]
    pipes = [os.pipe() for _ in range(2)]
    for n, flags in enumerate((0, IOSQE_ASYNC)):
        got = ring.submit(pipes[n][0], ctypes.addressof(buffers[n]), 64, flags, 100 + n)
        result.check(got == (1, 0), "submit", got)
    common.ready()
    common.serve({"more": lambda _: common.say("good" if ring.more() else "bad")})
    result.check(ring.completed() == [], "completed too early:", ring.completed())
    for n in range(2):
        os.write(pipes[n][1], b"data%d" % n)
    got = calls.call("io_uring_enter", ring.fd, 0, 2, 1, None, 0)
    result.check(got == (0, 0), "enter", got)
    result.check(ring.completed() == [(100, 5), (101, 5)], "completed", ring.completed())
    result.check([b.value for b in buffers] == [b"data0", b"data1"], "data", [b.value for b in buffers])
    result.print()


common.main(run)
