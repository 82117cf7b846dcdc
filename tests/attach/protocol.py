# SPDX-License-Identifier: Apache-2.0
"""The protocol of docs/protocol.md, written down a second time: a client that talks to `memattach --stdio`."""
import os
import select
import struct
import time

HELLO, ERROR, DONE, CANCEL, RECEIVED = 1, 2, 3, 4, 5
LIST, SNAPSHOT, DOCTOR, RESUME = 16, 17, 18, 19
PROCESS, PROGRESS, DATA, DIAGNOSIS = 32, 33, 34, 35
MAGIC = 0x0a1a0d506b61416d
VALUES_NONE, VALUES_HASH = 0, 1
USAGE, GONE, UNSUPPORTED, BAD_DATA, CANCELLED = 3, 4, 6, 7, 10


def varint(v):
    out = b""
    while v >= 0x80:
        out += bytes([v & 0x7f | 0x80])
        v >>= 7
    return out + bytes([v])


def fields(**by_tag):
    """fields(_1=u64(5), _4=b"text"): bytes of each field by its tag."""
    return b"".join(varint(int(t[1:])) + varint(len(v)) + v for t, v in by_tag.items())


def u32(v):
    return struct.pack("<I", v)


def u64(v):
    return struct.pack("<Q", v)


def parse(payload):
    """{tag: bytes}"""
    found, at = {}, 0

    def number():
        nonlocal at
        v = shift = 0
        while True:
            b = payload[at]
            at += 1
            v |= (b & 0x7f) << shift
            shift += 7
            if b < 0x80:
                return v
    while at < len(payload):
        tag, length = number(), number()
        assert at + length <= len(payload)
        found[tag] = payload[at:at + length]
        at += length
    return found


def frame(kind, payload=b""):
    return struct.pack("<IHH", len(payload), kind, 0) + payload


def hello(protocol=1, wire=1, magic=MAGIC, version=b"test"):
    return frame(HELLO, fields(_1=u64(magic), _2=u32(protocol), _3=u32(wire), _4=version))


def snapshot(pid, **more):
    return frame(SNAPSHOT, fields(_1=u32(pid), **more))


class Far:
    """A memattach --stdio; `p` is its Popen with pipes."""

    def __init__(self, p):
        self.p, self.buffer = p, b""

    def send(self, data):
        os.write(self.p.stdin.fileno(), data)

    def read(self, n, seconds=30.0):
        """Exactly n bytes, or fewer at the end."""
        end = time.monotonic() + seconds
        while len(self.buffer) < n:
            left = end - time.monotonic()
            assert left > 0, f"nothing came within {seconds} s"
            if select.select([self.p.stdout], [], [], left)[0]:
                data = os.read(self.p.stdout.fileno(), 1 << 16)
                if not data:
                    break
                self.buffer += data
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def receive(self):
        """(kind, payload), or None at the end."""
        header = self.read(8)
        if not header:
            return None
        length, kind, zero = struct.unpack("<IHH", header)
        assert length <= 1 << 20 and zero == 0
        payload = self.read(length)
        assert len(payload) == length, "cut off within a frame"
        return kind, payload

    def greet(self):
        kind, payload = self.receive()
        got = parse(payload)
        assert kind == HELLO and got[1] == u64(MAGIC) and got[2] == u32(1)
        self.send(hello())
        return got

    def answer(self):
        """The frames of one request up to DONE or ERROR."""
        frames = []
        while True:
            got = self.receive()
            assert got, "the far side ended without an answer"
            frames.append(got)
            if got[0] in (DONE, ERROR):
                return frames
