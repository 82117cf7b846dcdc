#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The program that tests/bench/attach.py measures: N objects with a __dict__ and a dict of N tuples and lists, eight
objects for each N, on request some MiB of raw data, and a thread whose heartbeat shows how long the program stood still. One JSON line of answer for
each command line on stdin: `gap`, `fork N`, `grow N`, `beat 0|1`, `guppy`, `muppy`, `quit`."""
import gc
import json
import os
import sys
import threading
import time

TICK_S = 0.0005


class Record:
    def __init__(self, i):
        self.name = "record %d" % i
        self.number = i + 1000


class Heartbeat(threading.Thread):
    """Wakes every half millisecond; remembers the longest time from one tick to the next."""

    def __init__(self):
        super().__init__(daemon=True)
        self.longest_ns = 0
        self.beating = threading.Event()
        self.beating.set()

    def run(self):
        last = time.perf_counter_ns()
        while True:
            if not self.beating.is_set():
                self.beating.wait()
                last = time.perf_counter_ns()
            time.sleep(TICK_S)
            bytearray(1000)  # `memray attach` waits until the program calls malloc
            now = time.perf_counter_ns()
            self.longest_ns = max(self.longest_ns, now - last)
            last = now

    def take(self):
        longest, self.longest_ns = self.longest_ns, 0
        return longest


def forks(times):
    """How long os.fork() keeps this process: nanoseconds, each child ends at once."""
    taken = []
    for _ in range(times):
        began = time.perf_counter_ns()
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        taken.append(time.perf_counter_ns() - began)
        os.waitpid(pid, 0)
    return taken


def guppy_heap():
    from guppy import hpy
    began = time.perf_counter_ns()
    heap = hpy().heap()
    return {"objects": heap.count, "ns": time.perf_counter_ns() - began}


def muppy_summary():
    from pympler import muppy, summary
    began = time.perf_counter_ns()
    objects = muppy.get_objects()
    summary.summarize(objects)
    return {"objects": len(objects), "ns": time.perf_counter_ns() - began}


def main():
    n = int(sys.argv[1])
    raw = bytearray(b"\1") * ((int(sys.argv[2]) if len(sys.argv) > 2 else 0) << 20)  # one block, in pages of 4 KiB
    gc.disable()  # while building, else half the time goes there
    records = [Record(i) for i in range(n)]
    table = {i + 10_000_000: ("value %d" % i, [i * 0.5]) for i in range(n)}
    gc.enable()
    heartbeat = Heartbeat()
    heartbeat.start()

    def answer(**fields):
        print(json.dumps(fields), flush=True)

    answer(pid=os.getpid(), python=sys.version.split()[0], records=len(records), entries=len(table), raw=len(raw))
    for line in sys.stdin:
        command, *args = line.split()
        if command == "quit":
            break
        if command == "gap":
            answer(gap_ns=heartbeat.take())
        elif command == "fork":
            answer(fork_ns=forks(int(args[0])))
        elif command == "grow":
            first = len(table) + 10_000_000
            table.update((first + i, ("value %d" % i, [i * 0.5])) for i in range(int(args[0])))
            answer(entries=len(table))
        elif command == "beat":
            heartbeat.beating.set() if int(args[0]) else heartbeat.beating.clear()
            answer()
        else:
            heartbeat.take()
            found = {"guppy": guppy_heap, "muppy": muppy_summary}[command]()
            answer(gap_ns=heartbeat.take(), **found)


if __name__ == "__main__":
    main()
