# SPDX-License-Identifier: Apache-2.0
"""Counts every signal that it gets, by number; real-time signals queue, so none may be missing. "signals" prints them."""
import os
import signal
import threading

import common


def run():
    counts = {}
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in (signal.SIGUSR1, signal.SIGTRAP, signal.SIGRTMIN + 1, signal.SIGRTMIN + 2):
        signal.signal(number, lambda *_: None)

    def drain():
        try:
            for number in os.read(reader, 1 << 20):
                counts[number] = counts.get(number, 0) + 1
        except BlockingIOError:
            pass

    def report(_):
        drain()
        common.say("signals", *(f"{n}:{c}" for n, c in sorted(counts.items())))

    stop = threading.Event()

    def work():
        while not stop.is_set():
            sorted(str(i) for i in range(500))

    worker = threading.Thread(target=work)
    worker.start()
    common.ready()
    while common.poll({"signals": report}):
        drain()
    stop.set()
    worker.join()
    common.say("done")


common.main(run)
