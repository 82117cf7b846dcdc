# SPDX-License-Identifier: Apache-2.0
"""Targets of which no copy may be made: refused by name before anything is done to them, and unharmed."""
import os
import subprocess

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


@pytest.mark.fault(14, "a userfaultfd that a fork would wait for", "refused", refused="userfaultfd")
def test_userfaultfd_with_event_fork(one_python, start, memattach):
    """The clone would wait for the reader of the event, a thread that we stopped."""
    t = start(one_python, "uffd")
    if "not on this kernel" in t.lines:
        pytest.skip("no userfaultfd here")
    refused(memattach, t, 5, "userfaultfd")


def test_musl(one_python, start, memattach, tmp_path, need_root):
    """By name, until one is at hand to try: here it is glibc's linker under that name."""
    program = tmp_path / "python"
    linker = subprocess.run(["readelf", "-p", ".interp", one_python.path], capture_output=True, text=True).stdout.split()[-1]
    there = b"/mnt/ld-musl-x86_64.so.1"
    assert len(there) <= len(linker)
    data = open(one_python.path, "rb").read()
    program.write_bytes(data.replace(linker.encode() + b"\0", there.ljust(len(linker) + 1, b"\0"), 1))
    program.chmod(0o755)
    mounts = f"mount -t tmpfs none /mnt && cp {linker} {there.decode()} && mount --bind {program} {os.path.realpath(one_python.path)}"
    t = start(one_python, "idle", wrap=("unshare", "--mount", "sh", "-c", mounts + ' && exec "$@"', "sh"))
    refused(memattach, t, 5, "musl", there.decode())


def test_syscall_user_dispatch(one_python, start, memattach):
    """A call made in it would be a SIGSYS that ends it."""
    t = start(one_python, "dispatch")
    if "not on this kernel" in t.lines:
        pytest.skip("no PR_SET_SYSCALL_USER_DISPATCH here")
    refused(memattach, t, 5, "SYSCALL_USER_DISPATCH")
