# SPDX-License-Identifier: Apache-2.0
"""A parent with three Python children by fork, that share pages: 40 MB, of which child n has written to n * 8 MB, and
32 MB of shared memory. The last child has a child of its own, and there is a child that is no Python. Says the pids."""
import mmap
import os
import signal
import subprocess

import common

MB = 1 << 20


def child(data, number, done):
    for i in range(0, number * 8 * MB, 4096):
        data[i] = 1
    below = []
    if number == 3:
        below.append(os.fork())
        if not below[0]:
            below = []
    os.write(done, b"%d %d\n" % (os.getpid(), os.getppid()))
    signal.pause()


def main():
    common.allow_tracing()
    data = bytearray(os.urandom(MB)) * 40
    shared = mmap.mmap(-1, 32 * MB)
    shared[:] = b"s" * (32 * MB)
    reader, writer = os.pipe()
    forked = []
    for number in (1, 2, 3):
        pid = os.fork()
        if not pid:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            # the children end with the session that the test ends
            child(data, number, writer)
            os._exit(0)
        forked.append(pid)
    sleeper = subprocess.Popen(["sleep", "600"])
    seen = b""
    while seen.count(b"\n") < 4:
        seen += os.read(reader, 100)
    common.say("family", *seen.decode().replace("\n", ";").split())
    common.ready()
    common.serve()
    sleeper.kill()
    for line in seen.decode().split("\n"):
        if line:
            os.kill(int(line.split()[0]), signal.SIGKILL)
    sleeper.wait()
    for pid in forked:
        os.waitpid(pid, 0)


main()
