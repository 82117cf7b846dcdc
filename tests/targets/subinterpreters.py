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
    common.serve()
    for i in made:
        interpreters.destroy(i)
    common.say("kept", len(keep))


common.main(run)
