# SPDX-License-Identifier: Apache-2.0
"""A thread that waits for a FUSE server that does not answer, until "release": in stat, in read, or for a page of a mapping,
by the first argument. The second is a folder to mount on: run it in a mount namespace of its own.

With a third argument the server gives up what it is told to interrupt, once, as servers in Go do: the call ends with EINTR."""
import ctypes
import errno
import mmap
import os
import select
import stat
import struct
import sys
import threading

import common

LIBC = ctypes.CDLL(None, use_errno=True)
LOOKUP, FORGET, GETATTR, OPEN, READ, RELEASE, FLUSH, INIT, INTERRUPT, BATCH_FORGET = 1, 2, 3, 14, 15, 18, 25, 26, 36, 42
ROOT, FILE = 1, 2
DATA = b"from the server".ljust(4096, b".")


def attributes(node):
    mode = stat.S_IFDIR | 0o755 if node == ROOT else stat.S_IFREG | 0o644
    return struct.pack("6Q10I", node, 0 if node == ROOT else len(DATA), 8, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def answers(opcode, node, name):
    """The body of an answer, or an errno."""
    if opcode == INIT:
        return struct.pack("4I2H2I2H8I", 7, 31, 0, 0, 12, 9, 4096, 1, 1, 0, *[0] * 8)
    if opcode == LOOKUP:
        return struct.pack("4Q2I", FILE, 0, 0, 0, 0, 0) + attributes(FILE) if name == b"file" else errno.ENOENT
    if opcode == GETATTR:
        return struct.pack("Q2I", 0, 0, 0) + attributes(node)
    if opcode == OPEN:
        return struct.pack("Q2I", 0, 0, 0)
    if opcode == READ:
        return DATA
    return b"" if opcode in (RELEASE, FLUSH) else errno.ENOSYS


def send(device, unique, answer):
    body = answer if isinstance(answer, bytes) else b""
    os.write(device, struct.pack("IiQ", 16 + len(body), 0 if isinstance(answer, bytes) else -answer, unique) + body)


def serve(device, released, held, gives_up):
    """Answers all but a look for "stuck" and reads, which are held until `released` can be read."""
    waiting = {}
    while True:
        ready = select.select([device, released] if released is not None else [device], [], [])[0]
        if released in ready:
            released = None
            for unique, answer in waiting.items():
                send(device, unique, answer)
        if device not in ready:
            continue
        try:
            request = os.read(device, 1 << 17)
        except OSError:  # not mounted any more
            os._exit(0)
        _, opcode, unique, node = struct.unpack_from("IIQQ", request)
        name = request[40:].partition(b"\0")[0]
        if opcode == INTERRUPT:
            victim, = struct.unpack_from("Q", request, 40)
            if gives_up and victim in waiting:
                gives_up = False
                del waiting[victim]
                send(device, victim, errno.EINTR)
        elif opcode in (FORGET, BATCH_FORGET):
            pass
        elif released is not None and (opcode == READ or (opcode == LOOKUP and name == b"stuck")):
            waiting[unique] = answers(opcode, node, name)
            os.write(held, b"!")
        else:
            send(device, unique, answers(opcode, node, name))


def look(folder):
    try:
        os.stat(folder + "/stuck")
    except OSError as e:
        return e.errno == errno.ENOENT or e


def read(folder):
    with open(folder + "/file", "rb", buffering=0) as f:
        return f.read(4096) == DATA


def fault(folder):
    with open(folder + "/file", "rb") as f:
        mapped = mmap.mmap(f.fileno(), 4096, mmap.MAP_PRIVATE)
    copy = ctypes.create_string_buffer(4096)
    # by ctypes, which lets go of the GIL
    LIBC.memcpy(copy, ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(mapped))), ctypes.c_size_t(4096))
    return copy.raw == DATA


def run():
    result = common.Result()
    kind, folder, gives_up = sys.argv[1], sys.argv[2], len(sys.argv) > 3
    device = os.open("/dev/fuse", os.O_RDWR)
    options = "fd=%d,rootmode=40000,user_id=0,group_id=0" % device
    if LIBC.mount(b"memattach-test", folder.encode(), b"fuse", 0, options.encode()):
        common.say("no fuse:", os.strerror(ctypes.get_errno()))
        common.ready()
        return
    release, held = os.pipe(), os.pipe()
    if os.fork() == 0:
        os.close(0)
        os.close(1)
        serve(device, release[0], held[1], gives_up)
    os.close(device)
    found = []
    thread = threading.Thread(target=lambda: found.append({"stat": look, "read": read, "map": fault}[kind](folder)))

    def stick(_):
        thread.start()
        os.read(held[0], 1)
        common.say("stuck")

    def again(_):
        os.read(held[0], 1)
        common.say("asked again")

    def let_go(_):
        os.write(release[1], b"!")
        thread.join()
        result.check(found == [True], "found", found)
        common.say("released")

    common.ready()
    common.serve({"stick": stick, "again": again, "release": let_go})
    LIBC.umount2(folder.encode(), 2)
    result.print()


common.main(run)
