# SPDX-License-Identifier: Apache-2.0
"""Computes in Python without a pause, in the main thread; each round must give the same number."""
import common


class Node:
    def __init__(self, left, right):
        self.left, self.right = left, right


def build(depth):
    return Node(build(depth - 1), build(depth - 1)) if depth else None


def weigh(node):
    return 1 + weigh(node.left) + weigh(node.right) if node else 0


def work():
    tree = build(9)
    total = weigh(tree)
    text = "".join(str(i * i % 97) for i in range(2000))
    table = {word: [word] for word in text.split("7")}
    return total, len(text), len(table), sum(map(len, table))


def run():
    result = common.Result()
    keep = [Kept() for _ in range(5000)]
    first = work()
    common.ready()
    while common.poll():
        got = work()
        result.check(got == first, "round", got, "instead of", first)
    result.check(len(keep) == 5000)
    result.print()


class Kept:
    pass


common.main(run)
