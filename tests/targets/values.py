# SPDX-License-Identifier: Apache-2.0
"""Strings, bytes and numbers whose values test_values.py looks for. No constant of the code holds the seed: everything is
put together while it runs, so that what a snapshot has of it comes from the values alone."""
import json
import sys

import common

SEED = "".join(["s3", "cr", "3t-"])
NUMBER = sum(b << 8 * i for i, b in enumerate(b"n7mb3r#!"))  # the marker as an int of 8 bytes
LONG = 600_000


class Text(str):
    pass


class Data(bytes):
    pass


class Number(int):
    pass


class Held:
    def __init__(self):
        two, four = SEED + "\u0431\u0443-", SEED + "\U0001f600-"
        self.ascii = [SEED + "ascii-%d" % i for i in range(50)]
        self.latin = [SEED + "\xe9%d" % i for i in range(20)]
        self.two = [two + str(i) for i in range(20)]
        self.four = [four + str(i) for i in range(20)]
        self.short = [SEED[:n] + chr(97 + i) for n in range(8) for i in range(5)]
        self.twice = ["".join([SEED, "twice"]) for _ in range(3)]
        self.data = [SEED.encode() + b"bytes-%d\x00\xff\\" % i for i in range(20)]
        self.same = [SEED.encode() + b"bytes-0\x00\xff\\" for _ in range(2)]
        self.empty = [str(), bytes()]
        self.subclasses = [Text(SEED + "subclass"), Data(SEED.encode() + b"subclass"), Text(two + "subclass")]
        self.surrogate = [SEED + "\ud800."]
        self.long = [SEED + "x" * 300_000, SEED + "x" * 299_999 + "y"]
        # more than 1 MiB: both ends count
        self.huge = [SEED + "h" * 2 * LONG, SEED + "h" * (2 * LONG - 1) + "i", "\u0431" * LONG + SEED]
        self.numbers = [0, 1, -1, 127, 128, -128, -129, 255, 2**15, -2**15, 2**30, -2**30, 2**31, 2**62, 2**63, -2**63, 2**64,
                        -2**64, 10**40, -10**40, Number(41), NUMBER]
        self.floats = [float(len(SEED)) / 3, -0.0, 1e-300, 1e300]
        self.keys = {SEED + "key": [1], SEED.encode() + b"key": [2], NUMBER + 1: [3], 0.125: [4]}
        self.attribute_of_code = SEED + "attribute"

    def all(self):
        for part in vars(self).values():
            yield from part if isinstance(part, (list, dict)) else [part]


def described(o):
    """[address, type, content]; a str by its code points where JSON has no way to write it."""
    name = type(o).__name__
    if isinstance(o, str):
        try:
            o.encode()
            return [id(o), name, "str", o]
        except UnicodeEncodeError:
            return [id(o), name, "points", [ord(c) for c in o]]
    if isinstance(o, bytes):
        return [id(o), name, "bytes", o.hex()]
    return [id(o), name, "int" if isinstance(o, int) else "float", repr(float(o)) if isinstance(o, float) else str(int(o))]


def ready_strings():
    """Up to 3.11 a str may be made as wchar_t and stay so until somebody looks: two of the same text, one of them looked
    at."""
    import ctypes
    make = ctypes.pythonapi.PyUnicode_FromUnicode
    look = ctypes.pythonapi.PyUnicode_AsUnicode
    make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_ssize_t]
    look.restype, look.argtypes = ctypes.c_void_p, [ctypes.py_object]
    made = []
    for text in (SEED + "legacy", SEED + "l\u0431gacy", SEED + "l\U0001f600gacy"):
        o = make(None, len(text))
        ctypes.memmove(look(o), (ctypes.c_uint32 * len(text))(*map(ord, text)), 4 * len(text))
        made.append((o, id(o), text))
    return made


def main():
    held = Held()
    local_variable = SEED + "local"
    legacy = ready_strings() if sys.version_info < (3, 12) else []
    described_legacy = [[address, "str", "str", text] for _, address, text in legacy]

    def objects(_):
        print(json.dumps([described(o) for o in [*held.all(), local_variable]] + described_legacy), flush=True)

    common.ready()
    common.serve({"objects": objects})


main()
