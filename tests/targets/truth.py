# SPDX-License-Identifier: Apache-2.0
"""Objects of all kinds, and a file that says of every object that Python can name: address, size, type.
truth.py FILE [what else to import]: "write" answers "written N", after which nothing more is done until the next command.

What can be named: the closure of gc.get_objects() under gc.get_referents, str keys of dicts, members of code objects, the
dicts of static types. The list must not disturb what it lists: it is made of ids and a few objects of its own that are
left out, everything listed is held to the end, and it is made again until two passes in a row say the same."""
import array
import gc
import importlib
import os
import sys
import types

import common
import kinds

BYTES_A_WRITE = 1 << 16


def beside(o, kind):
    """What gc.get_referents() leaves out."""
    if kind is dict:
        return list(o)
    if kind is types.CodeType:
        members = [o.co_consts, o.co_names, o.co_code, o.co_varnames, o.co_freevars, o.co_cellvars, o.co_filename, o.co_name]
        if sys.version_info >= (3, 10):
            members.append(o.co_linetable)
        else:
            members.append(o.co_lnotab)
        if sys.version_info >= (3, 11):
            members += [o.co_exceptiontable, o.co_qualname]
        return members
    if issubclass(kind, type):
        return gc.get_referents(type.__dict__["__dict__"].__get__(o))
    return ()


def closure(found, seen):
    """Appends to `found` what is not in `seen` yet."""
    pending = gc.get_objects()
    own = {id(found), id(seen), id(pending)}
    for o in pending:
        if id(o) not in seen and id(o) not in own:
            seen.add(id(o))
            found.append(o)
    del pending
    at = 0
    while at < len(found):
        o = found[at]
        kind = type(o)
        for group in (gc.get_referents(o), (kind,), beside(o, kind)):
            for x in group:
                # a list or tuple of ours, or something made for the question, has no other holder than our variables
                if id(x) not in seen and id(x) not in own and x is not group:
                    seen.add(id(x))
                    found.append(x)
        at += 1


def size_of(o):
    try:
        return sys.getsizeof(o)
    except Exception:
        return -1


class Truth:
    def __init__(self, path):
        self.path = path
        self.found, self.seen = [], set()
        self.sizes = array.array("q")
        self.types, self.own = {}, set()

    def measure(self):
        """One pass; true when nothing changed since the last one."""
        same = len(self.sizes) == len(self.found)
        for i, o in enumerate(self.found):
            size = size_of(o)
            if i == len(self.sizes):
                self.sizes.append(size)
            elif self.sizes[i] != size:
                self.sizes[i] = size
                same = False
        return same

    def name_types(self):
        for o in self.found:
            kind = type(o)
            if kind not in self.types:
                module = kind.__module__
                self.types[kind] = "%d %s%s" % (len(self.types), "" if module == "builtins" else "%s." % (module,), kind.__qualname__)

    def write(self, _):
        closure(self.found, self.seen)
        self.name_types()
        # our own lists and tables grow while they are made
        self.own = {id(x) for x in (self.found, self.seen, self.sizes, self.types, self.own, self.__dict__)}
        passes = 0
        while not self.measure() or passes < 2:
            passes += 1
            if passes > 20:
                common.say("wrong", "sizes never settle")
                break
        with open(self.path, "wb", buffering=BYTES_A_WRITE) as f:
            for text in self.types.values():
                f.write(b"type %s\n" % text.encode("utf-8", "replace"))
            for i, o in enumerate(self.found):
                if id(o) not in self.own:
                    f.write(b"%d %d %s\n" % (id(o), self.sizes[i], self.types[type(o)].partition(" ")[0].encode()))
        if not self.measure():
            common.say("wrong", "sizes changed while they were written")
        common.say("written", len(self.found))


def run():
    kept, lacking = kinds.everything()
    for text in lacking:
        common.say("lacking", text.replace("\n", " | "))
    for name in sys.argv[2:]:
        importlib.import_module(name)
    truth = Truth(sys.argv[1])
    gc.collect()
    gc.disable()
    common.ready()
    common.serve({"write": truth.write})
    common.say("done")
    sys.stdout.flush()
    os._exit(0)  # objects of all kinds: what their ends would say is of no interest


common.main(run)
