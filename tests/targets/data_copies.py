# SPDX-License-Identifier: Apache-2.0
"""Arrays of numpy that are equal, and some that only look alike. "facts" prints how many copies there are, and their bytes."""
import json
import sys

import numpy as np

import common

N = 50_000


def main():
    first = np.arange(N, dtype="f8") + 0.25
    copies = [first.copy() for _ in range(5)]
    small = [np.arange(300, dtype="i4") for _ in range(3)]
    odd = [np.frombuffer(b"some text" * 200, dtype="u1")[1:].copy() for _ in range(2)]  # no multiple of 8 bytes
    # not these: other values, another type of the same bytes, another shape, too small, nothing but zeros, a view
    others = [first + 1, first.view("i8").copy(), first.reshape(2, -1).copy(), np.append(first[:-1], 7.0)]
    tiny, zeros, view = [np.arange(20) for _ in range(5)], [np.zeros(N) for _ in range(5)], first[::2]
    facts = {"count": 5 + 2 + 1, "bytes": 5 * sys.getsizeof(first) + 2 * sys.getsizeof(small[0]) + sys.getsizeof(odd[0]),
             "example": [id(a) for a in (first, *copies)], "each": sys.getsizeof(first)}
    common.ready()
    common.serve({"facts": lambda _: common.say("facts", json.dumps(facts))})
    return copies, small, odd, others, tiny, zeros, view


main()
