# SPDX-License-Identifier: Apache-2.0
"""A deep recursion, a running chain of generators, a long linked list, and deeply nested lists."""
import sys
import threading

import common

sys.setrecursionlimit(20000)
threading.stack_size(512 << 20)


class Link:
    __slots__ = ("next",)


def recursive(depth):
    if depth:
        return recursive(depth - 1)  # LINE:recursion
    common.ready()
    common.serve()
    return 0


def chain(depth):
    if depth:
        yield from chain(depth - 1)
    else:
        recursive(3000)
        yield 1


def run():
    first = last = Link()
    for _ in range(200000):
        last.next = Link()
        last = last.next
    last.next = None
    nested = []
    for _ in range(100000):
        nested = [nested]
    out = []
    thread = threading.Thread(target=lambda: out.append(list(chain(100))))
    thread.start()
    thread.join()
    # taken apart by hand: the destructor of a chain is recursive
    while first:
        following, first.next = first.next, None
        first = following
    while nested:
        nested = nested.pop()
    common.say("done", out)


common.main(run)
