# SPDX-License-Identifier: Apache-2.0
"""A real web application, Flask served by gunicorn, under load: the diff names what leaks. docs/walkthrough.md tells it."""
import http.client
import os
import re
import signal
import subprocess
import threading

import pytest

from readers import web_python
from target import TARGETS, wait_until

REQUESTS = 600


@pytest.fixture
def shop(one_python, tmp_path):
    """(pid of the worker, port) of the shop."""
    log = tmp_path / "gunicorn.log"
    command = [str(web_python(one_python)), "-m", "gunicorn", "--workers", "1", "--threads", "4", "--bind", "127.0.0.1:0", "shop:app"]
    with open(log, "wb") as f:
        master = subprocess.Popen(command, cwd=TARGETS, stdout=f, stderr=f, start_new_session=True,
                                  env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(tmp_path)})
    try:
        def started():
            assert master.poll() is None, log.read_text()
            text = log.read_text()
            port, worker = re.search(r"Listening at: http://127.0.0.1:(\d+)", text), re.search(r"with pid: (\d+)", text)
            return port and worker and (int(worker[1]), int(port[1]))
        yield wait_until(started, 60, "gunicorn starts")
    finally:
        master.send_signal(signal.SIGTERM)
        try:
            master.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(master.pid, signal.SIGKILL)
            master.wait(10)


def load(port, first):
    """REQUESTS requests of four clients; every second one is of a visitor that was never there before."""
    def client(number):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for i in range(REQUESTS // 4):
            path = (f"/visitor/{first + i}-{number}/basket", f"/product/{i % 50}")[i % 2]
            connection.request("GET", path)
            if connection.getresponse().read() == b"":
                failed.append(path)
        connection.close()

    failed = []
    clients = [threading.Thread(target=client, args=(n,)) for n in range(4)]
    for c in clients:
        c.start()
    for c in clients:
        c.join()
    assert not failed


def test_the_leak_of_a_web_application_is_named(memattach, shop):
    worker, port = shop
    load(port, 0)
    old = memattach.snap(worker)
    load(port, REQUESTS)
    new = memattach.snap(worker)
    load(port, 2 * REQUESTS)  # it serves on
    diff = memattach.diff(old, new)
    seen = [(g["path"], g["gained_bytes"]) for g in diff["growth"]]
    assert diff["growth"][0]["path"] == "shop.metrics.latencies", seen
    gained = {t["type"]: t["count"] for t in diff["growth"][0]["gained_types"]}
    assert gained["collections.deque"] == REQUESTS // 2, gained
    assert memattach.run("diff", old, new, "--fail-growth", "shop.metrics").rc == 7
