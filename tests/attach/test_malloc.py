# SPDX-License-Identifier: Apache-2.0
"""Python's other allocators: PYTHONMALLOC=debug puts words around each block (debug builds do by default), malloc has no
arenas, every object is in the heap of the C library."""
import pytest
from target import baseline
from test_core import check_samples
from things import COUNTS
from unharmed import Unharmed


@pytest.mark.parametrize("how", ["malloc", "debug", "pymalloc"])
def test_python_malloc(python, start, memattach, how):
    if how == "pymalloc" and not python.debug:
        pytest.skip("what this build does by default: test_core has it")
    env = {"PYTHONMALLOC": how}
    t = start(python, "idle", env=env)
    with Unharmed(t):
        snap = memattach.snapshot(t.pid)
    counts = snap.counts()
    assert counts.get("__main__.Thing") == 12345
    assert {name: counts.get(name) for name in COUNTS} == COUNTS
    assert memattach.run("check", snap.path).rc == 0
    t.end_well(baseline(python, "idle", env=env))


@pytest.mark.parametrize("how", ["malloc", "debug"])
def test_objects_are_what_the_program_says(python, start, memattach, how):
    check_samples(start(python, "samples", env={"PYTHONMALLOC": how}), memattach)


def test_unreached_objects_behind_debug_words(python, start, memattach):
    """What a sleeping finaliser's collection holds is in no list: only its blocks tell of it."""
    t = start(python, "finaliser", env={"PYTHONMALLOC": "debug"})
    with Unharmed(t):
        snap = memattach.snapshot(t.pid)
    assert snap.counts().get("__main__.Garbage") == 1000
    assert t.end_well()[1] == 0
