# SPDX-License-Identifier: Apache-2.0
"""Interpreters with a GIL of their own (3.12+), each busy in a thread of its own, beside a busy main interpreter."""
import os
import sys
import threading

import common

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 2
MAIN_IS_BUSY = "idle" not in sys.argv

CODE = """
import os
class Inside:
    def __init__(self, before):
        self.before = before
keep = [Inside(None) for _ in range(1000)]
rounds = 0
os.write({ready}, b"x")
while True:
    last = None
    for i in range(200):
        last = Inside((last, str(i)))
        table = {{str(i): [last, i], i: (i, table) if i % 5 else ()}} if i else {{}}
    rounds += 1
    if rounds % 10 == 0:
        try:
            if not os.read({stop}, 1):
                break
        except BlockingIOError:
            pass
assert len(keep) == 1000
os.write({ready}, b"e")
"""


class Kept:
    pass


def run():
    if sys.version_info >= (3, 13):
        import _interpreters as interpreters
    else:
        import _xxsubinterpreters as interpreters
    keep = [Kept() for _ in range(5000)]
    told, tell = os.pipe()
    stop, end = os.pipe()
    os.set_blocking(stop, False)
    made = [interpreters.create() for _ in range(COUNT)]
    workers = [threading.Thread(target=interpreters.run_string, args=(i, CODE.format(ready=tell, stop=stop))) for i in made]
    for w in workers:
        w.start()
    got = b""
    while len(got) < COUNT:
        got += os.read(told, 100)
    common.ready()
    if MAIN_IS_BUSY:
        while common.poll():
            for i in range(100):
                keep.append([i, str(i), {i: keep}])
            del keep[5000:]
    else:
        common.serve()
    os.close(end)
    for w in workers:
        w.join()
    got = b""
    while len(got) < COUNT:
        got += os.read(told, 100)
    common.say("kept", len(keep), "ended", got.count(b"e"))
    for i in made:
        interpreters.destroy(i)


common.main(run)
