# SPDX-License-Identifier: Apache-2.0
"""Ends by itself: at the word "go", in the way of the argument: return, _exit, abort, exec (of /bin/true), thread."""
import os
import sys
import threading

import common


def run():
    keep = [[i] for i in range(50000)]
    kind = sys.argv[1]
    if kind == "thread":
        threading.Thread(target=os.read, args=(os.pipe()[0], 1), daemon=True).start()
    common.ready()
    while True:
        line = common.next_line()
        if line in ("go", "end"):
            break
        common.answer(line)
    if kind == "_exit":
        os._exit(3)
    if kind == "abort":
        import resource
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.abort()
    if kind == "exec":
        os.execv("/bin/echo", ["echo", "another program"])
    return 4 + len(keep) - 50000


common.main(run)
