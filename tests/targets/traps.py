# SPDX-License-Identifier: Apache-2.0
"""What has become of SIGTRAP: argument 1 is blocked, pending (blocked, and one has come), ignored, or handled."""
import os
import signal
import sys

import common


def run():
    got = []
    if sys.argv[1] in ("blocked", "pending"):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTRAP])
    if sys.argv[1] == "pending":
        os.kill(os.getpid(), signal.SIGTRAP)
    if sys.argv[1] == "ignored":
        signal.signal(signal.SIGTRAP, signal.SIG_IGN)
    if sys.argv[1] == "handled":
        signal.signal(signal.SIGTRAP, lambda *_: got.append(1))
    common.ready()
    common.serve()
    if sys.argv[1] == "handled":
        os.kill(os.getpid(), signal.SIGTRAP)
    blocked = signal.SIGTRAP in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    common.say(len(got), blocked, signal.SIGTRAP in signal.sigpending(), signal.getsignal(signal.SIGTRAP) == signal.SIG_IGN)
    return 0


common.main(run)
