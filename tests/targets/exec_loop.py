# SPDX-License-Identifier: Apache-2.0
"""Runs itself anew, over and over, as long as its count is below the argument; then it answers commands."""
import os
import sys

import common

count, last = int(sys.argv[1]), int(sys.argv[2])
common.allow_tracing()
if count == 0:
    common.ready()
if count < last:
    os.execv(sys.executable, [sys.executable, __file__, str(count + 1), str(last)])
common.say("executed", count)
common.serve()
common.say("done")
