# SPDX-License-Identifier: Apache-2.0
"""Makes children all the time, waits for any child, and knows each: another process's child, a missing or a second
SIGCHLD, or a child too many at the end shows. Kinds: fork, subprocess, thread (subprocesses in a thread beside)."""
import os
import signal
import subprocess
import sys
import threading

import common


def no_child(result):
    try:
        got = os.waitpid(-1, os.WNOHANG)
        result.check(False, "waitpid without a child gives", got)
    except ChildProcessError:
        pass


def fork_once(n, result):
    pid = os.fork()
    if pid == 0:
        os._exit(n % 200)
    got, status = os.waitpid(-1, 0)
    result.check(got == pid, "waited for", got, "not", pid)
    result.check(os.WIFEXITED(status) and os.WEXITSTATUS(status) == n % 200, "status", status, "of", n)
    no_child(result)


def run():
    kind = sys.argv[1]
    result = common.Result()
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    seen = n = 0
    stop = threading.Event()
    worker = None
    if kind == "thread":
        def loop():
            while not stop.is_set():
                out = subprocess.run(["/bin/echo", "x"], stdout=subprocess.PIPE)
                result.check(out.returncode == 0 and out.stdout == b"x\n", "echo", out)
        worker = threading.Thread(target=loop)
        worker.start()
    common.ready()
    while common.poll():
        n += 1
        if kind == "fork":
            fork_once(n, result)
        elif kind == "subprocess":
            out = subprocess.run(["/bin/echo", str(n)], stdout=subprocess.PIPE)
            result.check(out.returncode == 0 and out.stdout == b"%d\n" % n, "echo", out)
            no_child(result)
        else:
            sum(range(1000))
        try:
            seen += len(os.read(reader, 65536))
        except BlockingIOError:
            pass
    stop.set()
    if worker:
        worker.join()
    else:
        try:
            seen += len(os.read(reader, 65536))
        except BlockingIOError:
            pass
        result.check(seen == n, seen, "SIGCHLD for", n, "children")
    no_child(result)
    result.print()


common.main(run)
