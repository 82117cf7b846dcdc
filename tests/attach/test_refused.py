# SPDX-License-Identifier: Apache-2.0
"""Targets of which no copy may be made: refused by name before anything is done to them, and unharmed."""
import pytest
from memattach import check_error, check_nothing_left
from unharmed import Unharmed


def refused(memattach, t, code, *words):
    path = memattach.new_path()
    with Unharmed(t):
        check_error(memattach.run(t.pid, "-o", path, "--json"), code, *words)
        check_nothing_left(path)
        memattach.wait_gone()
    t.end_well()


def test_userfaultfd_with_event_fork(one_python, start, memattach):
    """The clone would wait for the reader of the event, a thread that we stopped."""
    t = start(one_python, "uffd")
    if "not on this kernel" in t.lines:
        pytest.skip("no userfaultfd here")
    refused(memattach, t, 5, "userfaultfd")


def test_syscall_user_dispatch(one_python, start, memattach):
    """A call made in it would be a SIGSYS that ends it."""
    t = start(one_python, "dispatch")
    if "not on this kernel" in t.lines:
        pytest.skip("no PR_SET_SYSCALL_USER_DISPATCH here")
    refused(memattach, t, 5, "SYSCALL_USER_DISPATCH")
