# SPDX-License-Identifier: Apache-2.0
"""The books balance: no object has more counted references in the snapshot than its reference count says."""
import pytest

from memattach import check_report


@pytest.mark.parametrize("program", ["http", "asyncio", "pool", "text", "testing", "pytest"])
def test_ordinary_programs(python, start, memattach, program):
    t = start(python, "ordinary", program)
    if "lacking" in t.lines:
        pytest.skip("no pytest in this Python")
    for _ in range(3):
        snap = memattach.snapshot(t.pid, check=False)
        check_report(snap, t.pid, whole=snap.consistency != "arbitrary")
    t.end_well()
