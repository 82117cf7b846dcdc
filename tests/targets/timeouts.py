# SPDX-License-Identifier: Apache-2.0
"""Calls with a timeout of 1 s, all at once, each in a thread of its own: "go" runs them and prints for each how it ended and
its time in ms. Raw system calls, and what Python makes of them (Python repeats after EINTR with the time that is left)."""
import ctypes
import queue
import select
import selectors
import socket
import struct
import threading
import time

import calls
import common


def pairs():
    a, b = socket.socketpair()
    calls.call.keep += [a, b]
    return a


def raw_recv():
    a = pairs()
    a.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("qq", 1, 0))
    return lambda: calls.call("recvfrom", a.fileno(), calls.BUFFER, 64, 0, None, None)


def raw_accept():
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen(1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("qq", 1, 0))
    return lambda: calls.call("accept", s.fileno(), None, None)


def raw(name, *args):
    return lambda: (lambda: calls.call(name, *args))


def raw_on(name, args):
    fd = pairs().fileno()
    given = args(fd)
    return lambda: calls.call(name, *given)


def python_recv():
    a = pairs()
    a.settimeout(1)

    def run():
        try:
            a.recv(1)
        except socket.timeout:
            return 0, 0
        return 1, 0
    return run


def python_selector():
    s = selectors.DefaultSelector()
    s.register(pairs(), selectors.EVENT_READ)
    return lambda: (len(s.select(1)), 0)


def python_queue():
    q = queue.Queue()

    def run():
        try:
            q.get(timeout=1)
        except queue.Empty:
            return 0, 0
        return 1, 0
    return run


WORD = ctypes.c_int(0)
KINDS = {
    "epoll_wait": lambda: raw_on("epoll_wait", lambda fd: (calls.epoll_on(fd), calls.EVENTS, 1, 1000)),
    "epoll_pwait": lambda: raw_on("epoll_pwait", lambda fd: (calls.epoll_on(fd), calls.EVENTS, 1, 1000, None, 8)),
    "epoll_pwait2": lambda: raw_on("epoll_pwait2", lambda fd: (calls.epoll_on(fd), calls.EVENTS, 1, calls.spec(1), None, 8)),
    "poll": lambda: raw_on("poll", lambda fd: (calls.pollfds(fd), 1, 1000)),
    "ppoll": lambda: raw_on("ppoll", lambda fd: (calls.pollfds(fd), 1, calls.spec(1), None, 0)),
    "select": lambda: raw_on("select", lambda fd: (fd + 1, calls.fdset(fd), None, None, calls.spec(1))),
    "pselect6": lambda: raw_on("pselect6", lambda fd: (fd + 1, calls.fdset(fd), None, None, calls.spec(1), None)),
    "recv": raw_recv,
    "accept": raw_accept,
    "nanosleep": raw("nanosleep", calls.spec(1), None),
    "clock_nanosleep": raw("clock_nanosleep", 1, 0, calls.spec(1), None),
    "futex": raw("futex", ctypes.byref(WORD), 128, 0, calls.spec(1), None, 0),
    "Python recv": python_recv,
    "Python select": lambda: (lambda a: lambda: (len(select.select([a], [], [], 1)[0]), 0))(pairs()),
    "Python selectors": python_selector,
    "Python sleep": lambda: lambda: (time.sleep(1) or 0, 0),
    "Python Event.wait": lambda: lambda: (int(threading.Event().wait(1)), 0),
    "Python Queue.get": python_queue,
}


def run():
    def one(name, function, took):
        begin = time.monotonic()
        got = function()
        took[name] = (int((time.monotonic() - begin) * 1000), *got)

    def go(_):
        took = {}
        ready = [(name, make()) for name, make in KINDS.items()]
        threads = [threading.Thread(target=one, args=(name, function, took)) for name, function in ready]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        for name, values in took.items():
            common.say("took", *values, name)
        common.say("went")

    common.ready()
    common.serve({"go": go})
    common.say("done")


common.main(run)
