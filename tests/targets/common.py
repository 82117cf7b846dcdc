# SPDX-License-Identifier: Apache-2.0
"""What every target program shares: talking to the test, and objects whose number the test knows. Python 3.8 or later."""
import os
import select
import sys
import threading


def allow_tracing():
    """Where Yama lets only a parent attach, name everybody: PR_SET_PTRACER, PR_SET_PTRACER_ANY."""
    if os.geteuid() != 0:
        import ctypes
        ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(-1 & (2 ** 64 - 1)), 0, 0, 0)


RAW_DATA = []


def say(*words):
    """One line in one write, so that lines of several threads or processes never mix."""
    os.write(1, (" ".join(str(w) for w in words) + "\n").encode())


def ready():
    """MEMATTACH_RAW=live of the tests: memory that holds no object, behind all that was loaded."""
    if "TARGET_RAW_MB" in os.environ and not RAW_DATA:
        RAW_DATA.append(bytearray(int(os.environ["TARGET_RAW_MB"]) << 20))
    say("ready")


_pending = [b""]


def next_line(block=True):
    """The next command, "end" at the end of stdin, None when there is none yet and block is false."""
    if not block:
        if b"\n" not in _pending[0] and not select.select([0], [], [], 0)[0]:
            return None
    while b"\n" not in _pending[0]:
        data = os.read(0, 4096)
        if not data:
            return "end"
        _pending[0] += data
    line, _, _pending[0] = _pending[0].partition(b"\n")
    return line.decode()


def serve(handlers=None):
    """Answers commands until "end"."""
    while True:
        line = next_line()
        if line == "end":
            return
        answer(line, handlers)


def answer(line, handlers=None):
    if line == "ping":
        say("pong")
        return
    word, _, rest = line.partition(" ")
    (handlers or {})[word](rest)


def poll(handlers=None):
    """For a busy loop: answers what has come, false when it is time to end."""
    line = next_line(block=False)
    if line is None:
        return True
    if line == "end":
        return False
    answer(line, handlers)
    return True


def serve_in_thread(handlers=None):
    """Commands are answered by a thread of its own; returns an event that "end" sets."""
    ended = threading.Event()

    def run():
        serve(handlers)
        ended.set()

    threading.Thread(target=run, name="commands", daemon=True).start()
    return ended


class Result:
    """Counts what must be; print() says "wrong N" only for what is not, so the output never depends on time."""

    def __init__(self):
        self.notes = []

    def check(self, good, *words):
        if not good and len(self.notes) < 20:
            self.notes.append(" ".join(str(w) for w in words))
        return good

    def print(self):
        for note in self.notes:
            say("wrong", note)
        say("done")


def main(run):
    allow_tracing()
    code = run()
    sys.stdout.flush()
    sys.exit(code or 0)
