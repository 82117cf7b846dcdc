# SPDX-License-Identifier: Apache-2.0
"""Waste of every kind, and what it amounts to by Python's own sizes: test_waste.py compares."""
import json
import sys

import common

N = 5000


class Plain:
    def __init__(self, i):
        self.first, self.second, self.third = i, None, True


class Slotted:
    __slots__ = ("first", "second", "third")

    def __init__(self, i):
        self.first, self.second, self.third = i, None, True


def shrunk():
    d = {i: None for i in range(100)}
    for i in range(1, 100):
        del d[i]
    return d


def main():
    strings = ["-".join(["a string that is long"] * 5) for _ in range(N)]
    blobs = [bytes(bytearray(b"so is this one") * 9) for _ in range(N)]
    tuples = [tuple([json, sys]) for _ in range(N)]
    empty = [[] for _ in range(3 * N)]
    dicts = [shrunk() for _ in range(N // 10)]
    plain, slotted = [Plain(i) for i in range(N)], [Slotted(i) for i in range(N)]
    each = sum(sys.getsizeof(p) + sys.getsizeof(p.__dict__) for p in plain) // N
    floats, numbers = [i + 0.5 for i in range(10 * N)], [10**9 + i for i in range(10 * N)]
    mixed = [i + 0.5 if i % 2 else None for i in range(N)]
    facts = {
        "copies str": [N - 1, (N - 1) * sys.getsizeof(strings[0])],
        "copies bytes": [N - 1, (N - 1) * sys.getsizeof(blobs[0])],
        "equal-tuples tuple": [N - 1, (N - 1) * sys.getsizeof(tuples[0])],
        "empty list": [3 * N, 3 * N * sys.getsizeof(empty[0])],
        "unused-room dict": [N // 10, N // 10 * (sys.getsizeof(dicts[0]) - sys.getsizeof({0: None}))],
        "slots __main__.Plain": [N, N * (each - sys.getsizeof(slotted[0]))],
        "boxed float": [10 * N, 10 * N * sys.getsizeof(floats[0])],
        "boxed int": [10 * N, 10 * N * sys.getsizeof(numbers[0])],
        "each": each, "each_then": sys.getsizeof(slotted[0]),
    }
    common.ready()
    common.serve({"facts": lambda _: common.say("facts", json.dumps(facts))})
    return strings, blobs, tuples, empty, dicts, plain, slotted, floats, numbers, mixed


main()
