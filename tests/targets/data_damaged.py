# SPDX-License-Identifier: Apache-2.0
"""An array whose dtype, after "damage", consists of itself 60 times over. "mend" puts it right."""
import ctypes

import numpy as np

import common

ITEMS = 24  # offset of the items of a tuple
dtype = np.dtype([("f%d" % i, object) for i in range(60)])
array = np.array([tuple(range(60))] * 40, dtype=dtype)
saved = []


def damage(_):
    for field in dtype.fields.values():
        word = ctypes.c_uint64.from_address(id(field) + ITEMS)
        saved.append((word, word.value))
        word.value = id(dtype)
    common.say("damaged")


def mend(_):
    for word, value in saved:
        word.value = value
    common.say("mended")


common.allow_tracing()
common.ready()
common.serve({"damage": damage, "mend": mend})
