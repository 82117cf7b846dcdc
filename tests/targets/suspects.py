# SPDX-License-Identifier: Apache-2.0
"""One leak, of the kind that the argument names, beside a cache of a steady size: test_suspects.py looks for it."""
import asyncio
import collections
import functools
import gc
import logging
import sys
import threading

import common

N = 15_000
STEADY = {i: "value %d" % i for i in range(500)}


class Session:
    def __init__(self, i):
        self.user, self.data, self.number = "user %d" % i, "x" * 200 + str(i), i + 1000


def sessions():
    return (Session(i) for i in range(N))


def kind_dict():
    global cache
    cache = {"key %d" % i: s for i, s in enumerate(sessions())}


def kind_listeners():
    global bus
    bus = type("Bus", (), {})()
    bus.listeners = [lambda event, s=s: s for s in sessions()]


def kind_calls():
    class Service:
        @functools.lru_cache(maxsize=None)
        def load(self, i):
            return Session(i)
    global service
    service = Service()
    for i in range(N):
        service.load(i)


def kind_bound_calls():
    global load
    load = functools.lru_cache(maxsize=10**6)(Session)
    for i in range(N):
        load(i)


def kind_closure():
    def make():
        kept = list(sessions())
        return lambda: kept
    global handler
    handler = make()


def kind_class():
    global Queue

    class Queue:
        history = collections.deque(sessions())


def kind_exceptions():
    def fail(i):
        session = Session(i)
        raise ValueError(session.number)
    global errors
    errors = []
    for i in range(N):
        try:
            fail(i)
        except ValueError as e:
            errors.append(e)


def kind_generators():
    def generate(i):
        session = Session(i)
        yield session
    global waiting
    waiting = [generate(i) for i in range(N)]
    for g in waiting:
        next(g)


def kind_loggers():
    for i in range(N):
        logging.getLogger("request.%d" % i).session = i


def kind_thread_local():
    global local
    local = threading.local()
    local.items = list(sessions())


def kind_output():
    global Out
    Out = dict(enumerate(sessions()))


def kind_finalisers():
    class Node:
        def __init__(self, i):
            self.me, self.session = self, Session(i)

        def __del__(self):
            pass
    gc.disable()
    for i in range(N):
        Node(i)


def kind_none():
    pass


async def wait(i):
    session = Session(i)
    await asyncio.sleep(1000)
    return session


async def kind_tasks():
    global jobs
    jobs = {asyncio.ensure_future(wait(i)) for i in range(N)}
    await asyncio.sleep(0)
    common.ready()
    common.serve()
    for job in jobs:
        job.cancel()
    await asyncio.gather(*jobs, return_exceptions=True)


def main():
    kind = globals()["kind_" + sys.argv[1].replace("-", "_")]
    if asyncio.iscoroutinefunction(kind):
        asyncio.run(kind())
        return
    kind()
    common.ready()
    common.serve()
    gc.enable()


main()
