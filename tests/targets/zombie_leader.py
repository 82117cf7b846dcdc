# SPDX-License-Identifier: Apache-2.0
"""The main thread has exited, and the process lives on in other threads: /proc/PID/maps is empty then."""
import ctypes
import os
import threading

import common


class Kept:
    pass


KEEP = [Kept() for _ in range(5000)]


def serve():
    while os.path.exists("/proc/self/task/%d" % os.getpid()) and state() != "Z":
        pass
    common.ready()
    common.serve()
    common.say("kept", len(KEEP))
    os._exit(0)


def state():
    with open("/proc/self/task/%d/stat" % os.getpid()) as f:
        return f.read().rpartition(")")[2].split()[0]


common.allow_tracing()
threading.Thread(target=serve).start()
ctypes.CDLL(None).syscall(60, 0)  # exit of this thread alone
