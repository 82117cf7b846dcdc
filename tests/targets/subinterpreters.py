# SPDX-License-Identifier: Apache-2.0
"""Two interpreters beside the main one, each with 1,000 objects of its own class; both idle."""
import sys

import common

CODE = """
import sys
class Inside:
    pass
keep = [Inside() for _ in range(1000)]
"""


# Everything that the interpreter reaches, kept alive, and written down as address and type.
TELL = """
import gc
seen, todo = {}, gc.get_objects()
while todo:
    o = todo.pop()
    if id(o) in seen or type(o).__name__ == "frame" or o is todo or o is seen:
        continue
    seen[id(o)] = o
    todo.extend(gc.get_referents(o))
    if type(o) is dict:
        todo.extend(o)
del todo
kept = list(seen.items())
with open(PATH, "a") as f:
    for address, o in kept:
        if o is not f and type(o).__name__ not in ("TextIOWrapper", "BufferedWriter", "FileIO"):
            f.write("%d %s\\n" % (address, type(o).__qualname__))
del f, o, seen
"""


class Kept:
    pass


def make():
    if sys.version_info >= (3, 13):
        import _interpreters as interpreters
    else:
        import _xxsubinterpreters as interpreters
    made = [interpreters.create() for _ in range(2)]
    for i in made:
        interpreters.run_string(i, CODE)
    return interpreters, made


def run():
    keep = [Kept() for _ in range(5000)]
    interpreters, made = make()
    common.ready()

    def tell(path):
        for i in made:
            interpreters.run_string(i, TELL.replace("PATH", repr(path)))
        common.say("told")

    common.serve({"tell": tell})
    for i in made:
        interpreters.destroy(i)
    common.say("kept", len(keep))


common.main(run)
