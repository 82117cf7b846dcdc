# SPDX-License-Identifier: Apache-2.0
"""Allocations on lines that are known, with tracemalloc on: test_sites.py compares what memattach and tracemalloc say of
them. Arguments: how many frames it keeps (0: it is started and stopped again; none: it is left as it is); "damage": traces of
four objects are then overwritten."""
import ctypes
import json
import os
import re
import struct
import sys
import tracemalloc

import common

N = 4000
DOMAIN, TRACKED, TRACKED_BYTES = 77, 0x123451, 1_000_000  # not a multiple of 8: any number may be tracked


class Plain:
    def __init__(self, i):
        self.value = i * 1.5  # LINE:floats


def innermost():
    return [bytes(300 + i) for i in range(N)]  # LINE:bytes


def middle():
    return innermost()  # LINE:middle


def outermost():
    return middle()  # LINE:outermost


def track():
    """A block in a domain of its own, as numpy has one."""
    if ctypes.pythonapi.PyTraceMalloc_Track(ctypes.c_uint(DOMAIN), ctypes.c_size_t(TRACKED),  # LINE:tracked
                                            ctypes.c_size_t(TRACKED_BYTES)) == 0:
        return True


def words(fd, address, count):
    return struct.unpack(f"{count}Q", os.pread(fd, 8 * count, address))


def find_traces(pid, fd):
    """nbuckets and buckets of the table of traces of a process that stands still: the one with so many entries (3.9 and later)."""
    image = False  # of the interpreter itself: between others lies whatever memory found room there
    with open(f"/proc/{pid}/maps") as maps:
        ranges = [(int(a, 16), int(b, 16), mode, path.strip()) for a, b, mode, path in
                  re.findall(r"^(\w+)-(\w+) (\S+) \S+ \S+ \S+(.*)$", maps.read(), re.M)]
    writable = [(a, b - 24) for a, b, mode, _ in ranges if mode == "rw-p"]
    for start, end, mode, path in ranges:
        image = image and not path or re.match(r"(lib)?python3", os.path.basename(path))
        if mode != "rw-p" or not image:
            continue
        for word in words(fd, start, (end - start) // 8):
            if word % 16 or not any(a <= word <= b for a, b in writable):
                continue
            entries, buckets, table = words(fd, word, 3)
            if buckets > 4 * N and not buckets & (buckets - 1) and buckets // 10 < entries < buckets and table % 16 == 0:
                return buckets, table
    raise LookupError("no table of traces")


def overwrite(pid, objects, fake):
    fd = os.open(f"/proc/{pid}/mem", os.O_RDWR)
    buckets, table = find_traces(pid, fd)
    wild = [(24, 0x7FFFF000), (8, 0x10), (0, 1 << 63), (8, ctypes.addressof(fake))]
    for number, (offset, value) in enumerate(wild):
        key = id(objects[number])
        place = table + 8 * ((key >> 4) & (buckets - 1))
        entry, = words(fd, place, 1)
        while words(fd, entry + 16, 1) != (key,):
            entry, = words(fd, entry, 1)
        at = entry + offset if number == 0 else words(fd, entry + 24, 1)[0] + offset
        os.pwrite(fd, struct.pack("Q", value), at)


def damage(objects):
    """What stands in the traces of four of them leads nowhere. A child writes it: the table changes with each block that
    this process itself would take meanwhile."""
    fake = ctypes.create_string_buffer(struct.pack("QHHQI", 1, 1, 1, 0x123400000010, 7) + bytes(64))
    pid = os.fork()
    if not pid:
        try:
            overwrite(os.getppid(), objects, fake)
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    return fake


def statistics():
    """Line: bytes and blocks, of this file."""
    rows = tracemalloc.take_snapshot().statistics("lineno")
    return {row.traceback[0].lineno: [row.size, row.count] for row in rows if row.traceback[0].filename == __file__}


def main():
    if len(sys.argv) > 1:
        tracemalloc.start(max(int(sys.argv[1]), 1))
    kept = outermost()
    objects = [Plain(i) for i in range(N)]  # LINE:objects
    keys = {str(i): (i, None) for i in range(N)}  # LINE:dict
    more = []
    is_tracked = tracemalloc.is_tracing() and track()
    if sys.argv[1:] == ["0"]:
        tracemalloc.stop()

    def grow(_):
        more.extend([bytearray(2000) for _ in range(N)])  # LINE:grown
        common.say("grown")

    fake = damage(kept) if sys.argv[2:] == ["damage"] else None
    common.ready()
    if fake:
        common.next_line()
        os._exit(0)  # nothing may be freed any more
    common.serve({"facts": lambda _: common.say("facts", json.dumps({
        "lines": statistics(), "tracked": bool(is_tracked), "own": tracemalloc.get_tracemalloc_memory()})),
                  "grow": grow})
    return kept, objects, keys


main()
