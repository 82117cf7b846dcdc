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
    # lists with the content of an array; of the same length only, and too short
    numbers, floats = [10**12 + 7 * i for i in range(N // 2)], first.tolist()
    array, short = np.array(numbers), numbers[:900]
    not_in_arrays = [[x + 1.5 for x in floats], [n + 1 for n in numbers], short]
    lists_bytes = sum(map(sys.getsizeof, (numbers, floats, *floats, *numbers[len(short):])))
    tiny, zeros, view = [np.arange(20) for _ in range(5)], [np.zeros(N) for _ in range(5)], first[::2]
    facts = {"count": 5 + 2 + 1, "bytes": 5 * sys.getsizeof(first) + 2 * sys.getsizeof(small[0]) + sys.getsizeof(odd[0]),
             "example": [id(a) for a in (first, *copies)], "each": sys.getsizeof(first), "lists": 2,
             "lists_bytes": lists_bytes}
    common.ready()
    common.serve({"facts": lambda _: common.say("facts", json.dumps(facts))})
    return array, numbers, floats, not_in_arrays, copies, small, odd, others, tiny, zeros, view


main()
