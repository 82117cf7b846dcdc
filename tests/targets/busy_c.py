# SPDX-License-Identifier: Apache-2.0
"""Computes in C with the GIL held, for 0.1 s or more at a time: pow, sorted, json or re, as the argument says."""
import json
import random
import re
import sys

import common


class Kept:
    pass


def prepare(kind):
    if kind == "pow":
        return lambda: (3 ** 150001).bit_length()
    if kind == "sorted":
        rng = random.Random(1)
        numbers = [rng.random() for _ in range(200000)]
        return lambda: hash(tuple(sorted(numbers)[::10000]))
    if kind == "json":
        value = [{"key": [i, str(i), {"n": None}]} for i in range(40000)]
        return lambda: len(json.dumps(value))
    text = "a" * 20
    pattern = re.compile("(a+)+b")
    return lambda: pattern.match(text)


def run():
    result = common.Result()
    keep = [Kept() for _ in range(5000)]
    work = prepare(sys.argv[1])
    first = work()
    common.ready()
    while common.poll():
        got = work()
        result.check(got == first, "round", got, "instead of", first)
    result.check(len(keep) == 5000)
    result.print()


common.main(run)
