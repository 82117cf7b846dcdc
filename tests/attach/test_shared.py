# SPDX-License-Identifier: Apache-2.0
"""The copy runs forward; nothing of that may reach memory that the target shares with others."""
import platform
import subprocess
import sys

import pytest

import pythons
from target import baseline
from unharmed import Unharmed


@pytest.mark.fault(7, "counters in shared memory", "shared memory is read-only in the copy, then unmapped", once=True)
@pytest.mark.parametrize("args", [(), ("threads",)], ids=["one", "threads"])
def test_shared_counters(hazard_python, start, memattach, args):
    """Without protection the prototype of design 5 changed a counter in 25 of 60 snapshots."""
    t = start(hazard_python, "shared", *args)
    for _ in range(20):
        with Unharmed(t, quiet=False):
            memattach.snapshot(t.pid)
    t.end_well(baseline(hazard_python, "shared", *args))


@pytest.mark.fault(7, "a lock of multiprocessing, two processes", "the copy never touches it", once=True)
def test_multiprocessing_lock(hazard_python, start, memattach):
    t = start(hazard_python, "mplock")
    other = int(t.lines[0].split()[1])
    for n in range(20):
        with Unharmed(t, quiet=False):
            memattach.snapshot(other if n % 2 else t.pid)
    lines, code, err = t.end_well()
    assert (lines[1:], code, err) == (["done"], 0, "")


def test_memmap(one_python, start, memattach):
    # tools/setup installs numpy for the Python that runs the tests, not for every one
    candidates = [one_python, pythons.Python(sys.executable, platform.python_version(), "own")]
    able = [p for p in candidates if pythons.OLDEST <= p.minor <= pythons.NEWEST
            and subprocess.run([*p.command, "-c", "import numpy"], capture_output=True).returncode == 0]
    if not able:
        pytest.skip("no numpy in " + " or ".join(p.path for p in candidates))
    t = start(able[0], "memmap")
    for _ in range(20):
        with Unharmed(t, quiet=False):
            # numpy 2 does not count 16 references to each of its static dtype classes (gc.get_referents() finds the
            # same ones in the process itself), so the books of those, and of nothing else, do not balance
            snap = memattach.snapshot(t.pid, check=False)
            assert snap.faults == 0 and snap.consistency != "arbitrary"
    t.end_well()
