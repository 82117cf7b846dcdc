# SPDX-License-Identifier: Apache-2.0
"""As shared.py, in an np.memmap: numpy writes it from C, with the GIL held."""
import tempfile

import numpy as np

import common


def run():
    result = common.Result()
    f = tempfile.NamedTemporaryFile()
    shared = np.memmap(f.name, dtype=np.uint64, mode="w+", shape=(4096,))
    mine = 0
    common.ready()
    while common.poll():
        for _ in range(100):
            mine += 1
            np.add(shared, 1, out=shared)
            if int(shared.min()) != mine or int(shared.max()) != mine:
                result.check(False, "memmap holds", shared.min(), shared.max(), "not", mine)
                shared[:] = mine
    result.print()


common.main(run)
