# SPDX-License-Identifier: Apache-2.0
"""Watches its memory by userfaultfd and asked for an event at each fork: a fork waits until that event is read."""
import ctypes
import fcntl
import os
import struct

import common


def run():
    fd = ctypes.CDLL(None, use_errno=True).syscall(323, os.O_CLOEXEC)
    if fd < 0:
        common.say("no userfaultfd:", os.strerror(ctypes.get_errno()))
    else:
        try:
            fcntl.ioctl(fd, 0xC018AA3F, struct.pack("QQQ", 0xAA, 2, 0))  # UFFDIO_API, UFFD_FEATURE_EVENT_FORK
        except OSError as e:
            common.say("no fork event:", e)
    common.ready()
    common.serve()
    common.say("done")


common.main(run)
