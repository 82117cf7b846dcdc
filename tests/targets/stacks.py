# SPDX-License-Identifier: Apache-2.0
"""Threads that stand still in every kind of Python frame: recursion, generators, coroutines, comprehensions, callbacks
from C; one waits in a C function, one has no Python at all."""
import ctypes
import functools
import threading

import common

libc = ctypes.CDLL(None)
COMPARE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)


def wait_in_c():
    libc.pause()  # LINE:pause


def called_by_qsort(a, b):
    def inner():
        wait_in_c()
    inner()
    return 0


def sorts_in_c():
    array = (ctypes.c_int * 2)(2, 1)
    libc.qsort(array, 2, 4, COMPARE(called_by_qsort))  # LINE:qsort


def recursion(depth, then):
    if depth:
        return recursion(depth - 1, then)
    return then()


def generator(n):
    if n:
        yield from generator(n - 1)
    yield [x for x in map(lambda v: wait_in_c(), [n])]


class Awaited:
    def __await__(self):
        wait_in_c()
        yield


async def coroutine(n):
    if n:
        return await coroutine(n - 1)
    return await Awaited()


class Callable:
    def __call__(self, *args):
        return {k: recursion(2, v) for k, v in [("k", functools.partial(max, [1], key=lambda v: wait_in_c()))]}


def thread(name, target, *args):
    threading.Thread(target=target, args=args, name=name, daemon=True).start()


def without_python():
    """A thread that begins in the C library and stays there."""
    handle = ctypes.c_ulong()
    libc.pthread_create(ctypes.byref(handle), None, ctypes.cast(libc.pause, ctypes.c_void_p), None)


def serve_in_callback(unused):
    common.ready()
    common.serve()
    return 0


def run():
    thread("pause", wait_in_c)
    thread("qsort", recursion, 3, sorts_in_c)
    thread("generator", lambda: list(generator(3)))
    thread("coroutine", lambda: coroutine(3).send(None))
    thread("callable", Callable(), 1)
    thread("deep", recursion, 150, wait_in_c)
    without_python()
    recursion(2, lambda: sorted([1], key=serve_in_callback))


common.main(run)
