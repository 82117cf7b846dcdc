# SPDX-License-Identifier: Apache-2.0
"""A thread inside a restartable sequence: the injected call must not put it back into a section without its protection."""
import platform

import pytest

ATTACHES = 30


@pytest.mark.fault(16, "all threads inside a section nearly all the time",
                   "sent to the abort handler, as by a preemption", once=True)
@pytest.mark.parametrize("threads", [0, 3])
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the target program is written for x86-64")
def test_sections_keep_their_protection(one_python, start, native, memattach, threads):
    """With 0 there is no thread to choose but the one inside; with 3 all are inside, two of them running."""
    t = start(one_python, "rseq", native("rseq"), threads)
    if "no rseq area here" in t.lines:
        pytest.skip("this glibc registers no rseq area")
    before = int(t.ask("aborts", "aborts").split()[1])
    failed = [done for done in (memattach.run("stacks", t.pid) for _ in range(ATTACHES)) if done.rc]
    after = int(t.ask("aborts", "aborts").split()[1])
    t.end_well()
    assert not failed, failed[0]
    assert after - before >= ATTACHES / 4, f"only {after - before} of {ATTACHES} stops met a section"
