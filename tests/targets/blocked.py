# SPDX-License-Identifier: Apache-2.0
"""One thread for each kind of blocking system call in calls.py. None may come back before "release"; what each then
returns is the output."""
import os
import signal
import threading
import time

import calls
import common


class Kept:
    pass


class Waiter:
    def __init__(self, name):
        self.name, self.tid, self.got, self.early = name, None, None, False
        self.call_name, self.call, self.release = calls.BLOCKING[name]()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        self.tid = threading.get_native_id()
        self.got = self.call()

    def blocked(self):
        try:
            with open("/proc/self/task/%s/syscall" % self.tid) as f:
                return f.read().split()[0] == str(calls.NR[self.call_name])
        except OSError:
            return False


def run():
    signal.signal(calls.RELEASE_SIGNAL, lambda *_: None)
    keep = [Kept() for _ in range(5000)]
    waiters, missing = [], []
    for name in calls.BLOCKING:
        try:
            waiters.append(Waiter(name))
        except OSError as e:
            missing.append((name, e.errno))
    for w in waiters:
        w.thread.start()
    end = time.monotonic() + 30
    while not all(w.blocked() for w in waiters) and time.monotonic() < end:
        time.sleep(0.005)
    for w in waiters:
        if not w.blocked():
            common.say("wrong", w.name, "does not block:", w.got)
    common.say("blocked", len(waiters))
    common.ready()
    common.serve()
    for w in waiters:
        if w.got is not None:
            common.say("wrong", w.name, "came back before its time:", *w.got)
    for w in waiters:
        if w.got is None:
            w.release()
            w.thread.join(20)
            common.say(w.name, *(w.got or ("does not come back",)))
    for name, number in missing:
        common.say("not on this kernel:", name, os.strerror(number))
    common.say("kept", len(keep))
    os._exit(0)


common.main(run)
