# SPDX-License-Identifier: Apache-2.0
"""Ordinary programs at work, none ever idle for long: ordinary.py http | asyncio | pool | text | testing | pytest. Answers between
pieces of work, in a thread of its own. "lacking" says that pytest is not
installed."""
import os
import sys
import threading

import common


def http(ended):
    import http.client
    import http.server
    import socketserver

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = ("%s %s" % (self.path, sorted(self.headers.items()))).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def client():
        while not ended.is_set():
            connection = http.client.HTTPConnection(*server.server_address)
            connection.request("GET", "/path?x=1", headers={"X-Name": "value"})
            connection.getresponse().read()
            connection.close()

    return [client] * 3


def asynchronous(ended):
    import asyncio

    async def produce(q, n):
        for i in range(n):
            await q.put({"item": i})
            await asyncio.sleep(0)

    async def numbers(n):
        for i in range(n):
            yield i

    async def consume(q):
        while True:
            try:
                await asyncio.wait_for(q.get(), 5)
            except asyncio.TimeoutError:
                return
            q.task_done()

    async def echo(reader, writer):
        while True:
            line = await reader.readline()
            if not line:
                break
            writer.write(line.upper())
            await writer.drain()
        writer.close()

    async def main():
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        while not ended.is_set():
            q = asyncio.Queue(10)
            consumers = [asyncio.ensure_future(consume(q)) for _ in range(5)]
            await asyncio.gather(*[produce(q, 50) for _ in range(5)])
            await q.join()
            for c in consumers:
                c.cancel()
            await asyncio.gather(*consumers, return_exceptions=True)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            async for i in numbers(20):
                writer.write(b"line %d\n" % i)
                await reader.readline()
            writer.close()
        server.close()

    return [lambda: asyncio.run(main())]


def pool(ended):
    from concurrent.futures import ThreadPoolExecutor, as_completed
    import queue

    def work(n):
        return sorted({"k%d" % i: [i] * (i % 7) for i in range(n)}.items(), key=lambda kv: kv[1])

    def run():
        with ThreadPoolExecutor(8) as executor:
            results = queue.Queue()
            while not ended.is_set():
                for future in as_completed([executor.submit(work, n) for n in range(1, 200, 10)]):
                    results.put(future.result())
                while not results.empty():
                    results.get()

    return [run]


def text(ended):
    import collections
    import datetime
    import io
    import json
    import logging
    import re

    log = logging.getLogger("ordinary")
    log.addHandler(logging.StreamHandler(io.StringIO()))
    log.propagate = False
    Record = collections.namedtuple("Record", "name value when")
    pattern = re.compile(r"(?P<key>\w+)=(?P<value>\d+)")

    def run():
        while not ended.is_set():
            data = [Record("name%d" % i, {"a": [i, None, 1.5]}, datetime.datetime(2020, 1, 1)) for i in range(200)]
            parsed = json.loads(json.dumps([r._asdict() for r in data], default=str))
            found = [m.groupdict() for m in pattern.finditer(" ".join("k%d=%d" % (i, i) for i in range(200)))]
            words = collections.Counter(re.split(r"\W+", "the quick brown fox " * 50))
            try:
                log.warning("%d %s %s", len(parsed), found[0], words.most_common(2))
                raise ValueError(data[0])
            except ValueError:
                log.exception("failed")
            log.handlers[0].stream = io.StringIO()

    return [run, run]


def testing(ended):
    """What pytest does without pytest, which is not everywhere: classes, generators, contexts, rewritten code, tracebacks."""
    import ast
    import contextlib
    import functools
    import inspect
    import traceback
    import unittest

    source = "def test_%d(value=[1]):\n    x = [value for _ in range(3)]\n    assert len(x) == %d, x\n"

    @contextlib.contextmanager
    def fixture(n):
        yield [n]

    @functools.lru_cache(50)
    def compiled(n):
        scope = {}
        exec(compile(ast.parse(source % (n, 3 if n % 2 else 4)), "test_%d.py" % n, "exec"), scope)
        return scope["test_%d" % n]

    class Case(unittest.TestCase):
        def runTest(self):
            self.assertEqual([1], [1])

    def run():
        n = 0
        while not ended.is_set():
            n += 1
            test = compiled(n % 100)
            inspect.signature(test)
            with fixture(n) as value:
                try:
                    test(value)
                except AssertionError as e:
                    "".join(traceback.format_exception(type(e), e, e.__traceback__))
            unittest.TestResult().startTestRun()
            Case().run(unittest.TestResult())

    return [run]


def real_pytest(ended):
    """pytest itself, over and over; None where it is not installed."""
    import importlib
    import tempfile
    from pathlib import Path

    try:
        pytest = importlib.import_module("pytest")
    except ImportError:
        return None

    def run():
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "test_it.py").write_text(
                "import pytest\n@pytest.fixture\ndef value(tmp_path):\n    yield [tmp_path]\n"
                "@pytest.mark.parametrize('n', range(60))\ndef test_it(n, value, capsys):\n    print(n)\n    assert n % 7, value\n")
            while not ended.is_set():
                pytest.main(["-q", "-p", "no:cacheprovider", "--no-header", "--capture=sys", "--tb=short", folder])

    return [run]


def run():
    programs = {"http": http, "asyncio": asynchronous, "pool": pool, "text": text, "testing": testing, "pytest": real_pytest}
    ended = common.serve_in_thread()
    works = programs[sys.argv[1]](ended)
    if works is None:
        common.say("lacking")
        works = []
    sys.stdout = open(os.devnull, "w")
    threads = [threading.Thread(target=work) for work in works]
    for t in threads:
        t.start()
    common.ready()
    for t in threads:
        t.join()
    common.say("done")


common.main(run)
