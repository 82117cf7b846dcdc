# SPDX-License-Identifier: Apache-2.0
"""Writes to each page of so many MB, over and over, without a pause."""
import sys

import common


def run():
    memory = bytearray(int(sys.argv[1]) << 20)
    common.ready()
    while common.poll():
        for i in range(0, len(memory), 4096):
            memory[i] = (memory[i] + 1) & 255


common.main(run)
