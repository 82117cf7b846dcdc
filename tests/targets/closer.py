# SPDX-License-Identifier: Apache-2.0
"""Closes things without a pause and looks at once whether that had its effect: a copy of a descriptor in another process
keeps a pipe open, a port bound, a lock held, an epoll reporting."""
import fcntl
import os
import select
import socket
import sys
import tempfile

import common


def pipe_end(result):
    reader, writer = os.pipe()
    os.close(writer)
    ready = select.select([reader], [], [], 0)[0]
    result.check(ready and os.read(reader, 1) == b"", "no end of file on a closed pipe")
    os.close(reader)


def broken_pipe(result):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        os.write(writer, b"x")
        result.check(False, "a pipe without a reader takes a byte")
    except BrokenPipeError:
        pass
    os.close(writer)


def port(result, number=[0]):
    s = socket.socket()
    try:
        s.bind(("127.0.0.1", number[0]))
        s.listen(1)
        number[0] = s.getsockname()[1]
    except OSError as e:
        result.check(False, "port of a closed socket:", e)
        number[0] = 0
    s.close()


def lock(result, path):
    first = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as e:
        result.check(False, "flock of a closed descriptor:", e)
    os.close(first)


def epoll(result):
    reader, writer = os.pipe()
    with select.epoll() as e:
        e.register(reader, select.EPOLLIN)
        os.write(writer, b"x")
        os.close(reader)
        result.check(e.poll(0) == [], "epoll reports a closed descriptor")
    os.close(writer)


def peer(result):
    a, b = socket.socketpair()
    a.close()
    ready = select.select([b], [], [], 0)[0]
    result.check(ready and b.recv(1) == b"", "no end of stream after close")
    b.close()


def run():
    result = common.Result()
    keep = [[i] for i in range(int(sys.argv[1]))]
    f = tempfile.NamedTemporaryFile()
    common.ready()
    while common.poll():
        pipe_end(result)
        broken_pipe(result)
        port(result)
        lock(result, f.name)
        epoll(result)
        peer(result)
    f.close()
    result.check(len(keep) == int(sys.argv[1]))
    result.print()


common.main(run)
