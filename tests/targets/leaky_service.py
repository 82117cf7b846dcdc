#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A small service with a real leak, for tools/demo: requests come in on a queue, four workers answer them, and the
cache of sessions is never emptied. Knows nothing of memattach.

    leaky_service.py [--rate REQUESTS_A_SECOND] [--workers N] [--seconds N]

Prints one line when it serves, and one at the end. SIGTERM ends it."""
import argparse
import hashlib
import itertools
import json
import os
import queue
import random
import signal
import threading
import time

PAGES = ["/", "/cart", "/checkout", "/search", "/account", "/help"]


class Session:
    """What the service remembers of one visitor."""

    def __init__(self, token, user_id, page):
        self.token = token
        self.user_id = user_id
        self.created = time.time()
        self.last_page = page
        self.cart = []
        self.preferences = {"language": "en", "theme": "dark"}

    def visit(self, page):
        self.last_page = page
        if page == "/cart":
            self.cart.append(random.randrange(1000))


class Cache:
    """Sessions by token. The leak: every visitor without a cookie gets a new token, and nothing ever leaves."""

    def __init__(self):
        self.lock = threading.Lock()
        self.sessions = {}

    def session(self, token, user_id, page):
        with self.lock:
            found = self.sessions.get(token)
            if found is None:
                found = self.sessions[token] = Session(token, user_id, page)
        return found


class Service:
    def __init__(self, workers):
        self.requests = queue.Queue(maxsize=1000)
        self.request_cache = Cache()
        self.answered = itertools.count()
        self.threads = [threading.Thread(target=self.work, name=f"worker-{i}", daemon=True) for i in range(workers)]
        for thread in self.threads:
            thread.start()

    def work(self):
        while True:
            request = self.requests.get()
            if request is None:
                return
            self.handle(json.loads(request))

    def handle(self, request):
        seed = f"{request['user']}-{request['visit']}".encode()
        token = request.get("cookie") or hashlib.blake2b(seed, digest_size=16).hexdigest()
        session = self.request_cache.session(token, request["user"], request["page"])
        session.visit(request["page"])
        next(self.answered)
        return {"status": 200, "user": session.user_id}

    def stop(self):
        for _ in self.threads:
            self.requests.put(None)
        for thread in self.threads:
            thread.join(5)


def make_load(service, rate, stopped):
    """Puts `rate` requests a second into the queue: one visitor of three comes back with the cookie."""
    known = []
    began = time.monotonic()
    for visit in itertools.count():
        if stopped.is_set():
            return
        user = 10_000 + visit
        request = {"user": user, "visit": visit, "page": random.choice(PAGES)}
        if known and visit % 3 == 0:
            request["cookie"] = random.choice(known)
        elif len(known) < 1000:
            known.append(hashlib.blake2b(f"{user}-{visit}".encode(), digest_size=16).hexdigest())
        service.requests.put(json.dumps(request))
        ahead = visit / rate - (time.monotonic() - began)
        if ahead > 0.005:
            time.sleep(ahead)


def main():
    options = argparse.ArgumentParser(description="a service that leaks sessions")
    options.add_argument("--rate", type=float, default=15000)
    options.add_argument("--workers", type=int, default=4)
    options.add_argument("--seconds", type=float, default=60)
    options = options.parse_args()

    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    service = Service(options.workers)
    load = threading.Thread(target=make_load, args=(service, options.rate, stopped), name="load", daemon=True)
    load.start()
    print(f"serving, pid {os.getpid()}", flush=True)
    stopped.wait(options.seconds)
    stopped.set()
    load.join(5)
    service.stop()
    print(f"served {next(service.answered)} requests, {len(service.request_cache.sessions)} sessions kept", flush=True)


if __name__ == "__main__":
    main()
