# SPDX-License-Identifier: Apache-2.0
"""At "vfork" one thread makes a vfork child that takes its time, until a fifo in the folder of the argument is opened: the
thread is in a sleep that no stop ends."""
import ctypes
import os
import sys
import threading
import time

import common

LIBC = ctypes.CDLL(None, use_errno=True)


def run():
    result = common.Result()
    fifo = os.path.join(sys.argv[1], "fifo")
    os.mkfifo(fifo)
    ended = threading.Event()
    pids = []

    actions = ctypes.create_string_buffer(256)
    LIBC.posix_spawn_file_actions_init(actions)
    # opening the fifo is done by the child before it runs /bin/true, and keeps it there
    LIBC.posix_spawn_file_actions_addopen(actions, 9, fifo.encode(), os.O_RDONLY, 0)

    def child():
        pid = ctypes.c_int(0)
        arguments = (ctypes.c_char_p * 2)(b"true", None)
        # by ctypes, which lets go of the GIL; os.posix_spawn does not
        error = LIBC.posix_spawn(ctypes.byref(pid), b"/bin/true", actions, None, arguments, (ctypes.c_char_p * 1)(None))
        result.check(error == 0, "posix_spawn", error)
        pids.append(pid.value)
        ended.set()

    def start(_):
        threading.Thread(target=child).start()
        end = time.monotonic() + 10
        while time.monotonic() < end:
            found = []
            for tid in os.listdir("/proc/self/task"):
                with open("/proc/self/task/%s/children" % tid) as f:
                    found += f.read().split()
            if found:
                break
        common.say("forked")

    def release(_):
        with open(fifo, "wb"):
            pass
        result.check(ended.wait(20), "posix_spawn does not return")
        result.check(os.waitpid(pids[0], 0)[1] == 0, "status of the child")
        common.say("released")

    common.ready()
    common.serve({"vfork": start, "release": release})
    result.print()


common.main(run)
