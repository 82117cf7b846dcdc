# SPDX-License-Identifier: Apache-2.0
"""data_blobs.py FOLDER: objects of the extension blobtype, which is in FOLDER. "list" prints name, address, sys.getsizeof."""
import sys

import common

sys.path.insert(0, sys.argv[1])
import blobtype  # noqa: E402


class Held:
    pass


class Kept:
    pass


class Sub(blobtype.Blob):
    pass


def make():
    b = {"small": blobtype.Blob(Held(), 100, 0, None), "large": blobtype.Blob(Held(), 50000, 0, None),
         "mapped": blobtype.Blob(Held(), 3000000, 0, None), "inner": blobtype.Blob(Held(), 40, 70000, None),
         "none": blobtype.Blob(Held(), 0, 0, None), "sub": Sub(Held(), 20000, 0, None)}
    b["sharing"] = blobtype.Blob(Held(), 50000, 0, b["large"])
    b["many"] = [blobtype.Blob(Held(), 900, 0, None) for i in range(2000)]
    return b


BLOBS = make()
for _ in range(7):
    blobtype.keep(Kept())


def show(_):
    for name, b in BLOBS.items():
        if name != "many":
            common.say(name, id(b), sys.getsizeof(b), id(b.__class__))
    common.say("end")


common.allow_tracing()
common.ready()
common.serve({"list": show})
