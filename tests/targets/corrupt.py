# SPDX-License-Identifier: Apache-2.0
"""Objects that the test damages from outside, and mends again: nothing here touches them meanwhile, and the collector is off.
"list" prints the name and address of each; 5,000 others must be found whatever happens to these."""
import gc

import common


class Kept:
    pass


class Node:
    def __init__(self):
        self.value = [1, 2, 3]
        self.next = None


class Named:
    pass


def run():
    gc.disable()
    keep = [Kept() for _ in range(5000)]
    chain = [Node() for _ in range(50)]
    for a, b in zip(chain, chain[1:]):
        a.next = b
    victims = {
        "list": [object() for _ in range(20)], "tuple": tuple([object()] for _ in range(20)),
        "dict": {"k%d" % i: [i] for i in range(20)}, "set": {"e%d" % i for i in range(20)}, "str": "text" * 20,
        "bytes": b"bytes" * 20, "int": 3 ** 200, "float": 2.5 * len(keep), "node": chain[10], "class": Named,
        "function": lambda: keep, "generator": (x for x in keep), "bytearray": bytearray(b"1234" * 20),
        "scratch": bytearray(4096),
    }

    def addresses(_):
        for name, value in victims.items():
            common.say("object", name, id(value))
        common.say("listed")

    common.ready()
    common.serve({"list": addresses})
    common.say(len(keep), len(chain), sorted(victims))
    return 0


common.main(run)
