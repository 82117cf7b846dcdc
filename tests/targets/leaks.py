# SPDX-License-Identifier: Apache-2.0
"""A service that leaks in the one way or another, among caches that are full and objects that come and go.

    leaks.py KIND

"work N" serves N requests: each leaves one thing behind in the place that KIND names, and churns everything else."""
import collections
import functools
import logging
import sys

from common import allow_tracing, ready, say, serve

FULL = 1500  # entries of the caches that are bounded


class Session:
    def __init__(self, i):
        self.user = "user %d" % i
        self.seen = [i, i + 1.5, str(i)]


class Lru:
    """A bounded cache: entries come and go, its size does not change."""

    def __init__(self, size):
        self.size = size
        self.entries = collections.OrderedDict()

    def put(self, key, value):
        self.entries[key] = value
        while len(self.entries) > self.size:
            self.entries.popitem(last=False)


pages = Lru(FULL)                                            # churns with every request
settings = {"option %d" % i: {"value": i, "text": "x" * 50} for i in range(FULL)}  # steady
recent = collections.deque(maxlen=FULL)                      # churns
work_list = []                                               # filled and emptied by every request

results = {}
listeners = []
failures = []
waiting = []


class Registry:
    history = collections.deque()


class Prices:
    @functools.lru_cache(maxsize=None)
    def price(self, article):
        return {"article": article, "text": "price of %d" % article}


prices = Prices()


def make_counter():
    seen = []

    def count(thing):
        seen.append(thing)
        return len(seen)
    return count


counter = make_counter()


def fail(i):
    payload = ["request %d" % i, {"number": i}]
    raise ValueError("no such page: %d" % len(payload))


def stream(i):
    chunk = {"stream": i, "text": "chunk %d" % i}
    while True:
        yield chunk


def leak_dict(i):
    results["request %d" % i] = Session(i)


def leak_listeners(i):
    session = Session(i)
    listeners.append(lambda event: (session, event))


def leak_lru_cache(i):
    prices.price(i)


def leak_closure(i):
    counter(Session(i))


def leak_deque(i):
    Registry.history.append(Session(i))


def leak_exceptions(i):
    try:
        fail(i)
    except ValueError as error:
        failures.append(error)


def leak_generators(i):
    generator = stream(i)
    next(generator)
    waiting.append(generator)


def leak_loggers(i):
    logging.getLogger("request.%d" % i).setLevel(logging.INFO)


class Journal:
    def __init__(self):
        self.lines = []


class Link:
    def __init__(self, before):
        self.before = before
        self.text = "link"


journal = Journal()
chain = Link(None)
chain_end = chain
tenants = {i: {"name": "tenant %d" % i, "events": []} for i in range(20)}


def leak_replaced(i):
    journal.lines = journal.lines + ["line %d" % i]


def leak_chain(i):
    """The newest link is known to nobody but the one before it."""
    global chain_end
    chain_end.before = Link(None)
    chain_end = chain_end.before


def leak_tenants(i):
    tenants[i % len(tenants)]["events"].append(Session(i))


def churn(i):
    pages.put("page %d" % i, {"html": "<p>%d</p>" % i, "session": Session(i)})
    recent.append(Session(i))
    work_list.extend({"step": k} for k in range(5))
    if i % 50 == 0:
        work_list.clear()
    logging.getLogger("service").debug("request %d", i)


def main():
    allow_tracing()
    leak = globals()["leak_" + sys.argv[1]]
    served = 0

    def work(count):
        nonlocal served
        for _ in range(int(count)):
            churn(served)
            leak(served)
            served += 1
        say("worked", served)

    work(2 * FULL)
    ready()
    serve({"work": work})


if __name__ == "__main__":
    main()
