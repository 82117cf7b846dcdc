# SPDX-License-Identifier: Apache-2.0
"""A small heap with known objects and hostile strings, for exports: they must come out whole and harmless."""
import common

EVIL = ["</script><script>window.broken = 1</script>", "<!--<script>", "\u202egnp.exe", "=cmd|' /C calc'!A0", "@SUM(1)", "a;b 7\nc",
        "\x1b[31mred\x1b[0m", 'quote"back\\slash', "\u2028line", "caf\u00e9 \U0001f40d", "\ud800 alone", "nul\0inside"]


class Session:
    def __init__(self, number):
        self.number = 1000 + number
        self.name = "session %d" % number


class Cache:
    def __init__(self):
        self.sessions = {}


class Node:
    __slots__ = ("next", "payload")


def odd_class():
    return type("Odd;</script> \u202e\x07=1", (), {"</b>&;\n": 1})


cache = Cache()
evil = EVIL
weird = [odd_class()() for _ in range(3)]


def chain(length):
    head = None
    for i in range(length):
        node = Node()
        node.next, node.payload = head, b"payload %d" % i
        head = node
    return head


def main():
    for i in range(2000):
        cache.sessions["=key %d" % i] = Session(i)
    nodes = chain(5000)
    copies = ["twin %d" % (i % 10) for i in range(1000)]
    common.ready()
    common.serve()
    common.say("done", len(copies), nodes is not None)


common.main(main)
