# SPDX-License-Identifier: Apache-2.0
"""Waits: the main thread for a command, one thread on a lock in a known stack. Its objects are of known number.

It harms itself on command, so that the oracle of the tests can be tested."""
import gc
import os
import signal
import sys
import threading

import common
import things

KEEP = []
GATE = threading.Lock()


class Thing:
    """Its type is __main__.Thing: another one than things.Thing."""

    def __init__(self):
        self.value = object()


def outer(depth):
    if depth:
        return outer(depth - 1)  # LINE:recursion
    return inner("local value")  # LINE:outer


def inner(argument):
    marker = [argument]
    GATE.acquire()  # LINE:waits
    return marker


def harm(kind):
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    if kind == "map":
        import mmap
        KEEP.append(mmap.mmap(-1, 1 << 20))
    elif kind == "descriptor":
        KEEP.append(os.open("/dev/null", os.O_RDONLY))
    elif kind == "offset":
        os.lseek(KEEP[0].fileno(), 5, os.SEEK_SET)
    elif kind == "mask":
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    elif kind == "handler":
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    elif kind == "cwd":
        os.chdir("/tmp")
    elif kind == "child":
        if os.fork() == 0:
            os._exit(0)
    elif kind == "clone":  # as a twin that nobody reaps: no exit signal, a zombie
        if libc.syscall(56, 0, 0, 0, 0, 0) == 0:
            libc.syscall(231, 0)
    elif kind == "thread":
        threading.Thread(target=GATE.acquire, daemon=True).start()
    elif kind == "setuid":
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
    elif kind == "dumpable":
        libc.prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE
    elif kind == "nice":
        os.nice(1)
    elif kind == "oom":
        with open("/proc/self/oom_score_adj", "w") as f:
            f.write("7")
    elif kind == "name":
        libc.prctl(15, b"renamed", 0, 0, 0)
    elif kind == "output":
        common.say("wrong word")
    common.say("harmed")


def run():
    gc.disable()
    KEEP.append(open(__file__))
    KEEP.append([Thing() for _ in range(12345)])
    KEEP.append(things.make())
    GATE.acquire()
    threading.Thread(target=outer, args=(5,), name="waiter", daemon=True).start()
    gc.freeze() if "freeze" in sys.argv else None
    common.ready()
    common.serve({"harm": harm})  # LINE:serves
    things.close(KEEP[2])
    common.say("things", len(KEEP[1]))
    return 0


common.main(run)
