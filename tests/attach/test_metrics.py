# SPDX-License-Identifier: Apache-2.0
"""/metrics of memattachd, over the port where it serves all else: what Prometheus would read, by its format."""
import http.client
import json
import ssl
import time

import pytest

import exposition
import protocol
from protocol import frame


def connect(d, name="client", offers=("h2", "http/1.1")):
    context = d.context(name)
    if offers:
        context.set_alpn_protocols(list(offers))
    return context.wrap_socket(d.plain(), server_hostname="127.0.0.1")


def ask(d, name="client", request=b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"):
    """(status, headers, body)"""
    with connect(d, name) as s:
        assert s.selected_alpn_protocol() == "http/1.1"
        s.sendall(request)
        answer = http.client.HTTPResponse(s, method=request.split(b" ")[0].decode())
        answer.begin()
        return answer.status, answer.headers, answer.read().decode()


def scrape(d, name="client"):
    status, headers, body = ask(d, name)
    assert status == 200 and headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8", (body, d.log())
    return exposition.parse(body)


def value(page, name, **labels):
    return page["memattachd_" + name, tuple(sorted(labels.items()))]


def of_process(page, name, pid):
    found = [v for (n, labels), v in page.items() if n == "memattachd_" + name and dict(labels)["pid"] == str(pid)]
    return found[0] if found else None


def rss(pid):
    with open(f"/proc/{pid}/status") as f:
        fields = dict(line.split(":", 1) for line in f)
    return sum(int(fields[n].split()[0]) * 1024 for n in ("RssAnon", "RssFile", "RssShmem"))


def test_metrics(one_python, start, memattach, daemon):
    t = start(one_python, "idle", 100)
    d = daemon()
    empty = scrape(d)
    assert value(empty, "snapshots_total", kind="heap") == value(empty, "pause_seconds_count") == 0
    assert of_process(empty, "process_objects", t.pid) is None
    pair = ("--ca", d.dir / "ca.crt", "--cert", d.dir / "client.crt", "--key", d.dir / "client.key")
    path = memattach.new_path()
    began = time.time()
    for _ in range(2):
        done = memattach.run(d.url(t.pid), "-o", path, "--json", *pair)
        assert done.rc == 0, done
    d.works(t.pid)
    f = d.connect()
    f.greet()
    f.send(protocol.snapshot(4194303))
    assert f.answer()[-1][0] == protocol.ERROR
    f.send(frame(protocol.LIST))
    f.answer()
    f.close()
    d.idle()
    page = scrape(d)
    assert value(page, "snapshots_total", kind="heap") == 2 and value(page, "snapshots_total", kind="stacks") == 1
    assert value(page, "pause_seconds_count") == 3 and 0 < value(page, "pause_seconds_sum") < 30
    assert value(page, "snapshot_bytes_total") > path.stat().st_size
    assert value(page, "requests_total", request="snapshot") == 3 and value(page, "requests_total", request="list") == 1
    assert value(page, "failures_total", request="snapshot", reason="target_gone") == 1
    assert sum(v for (name, _), v in page.items() if name == "memattachd_failures_total") == 1
    # what is watched: the process, as the kernel and as its snapshot say
    report = json.loads(memattach.run("report", path, "--json", "--brief").out)
    assert of_process(page, "process_objects", t.pid) == report["objects"]
    assert of_process(page, "process_object_bytes", t.pid) == report["bytes"]
    assert abs(of_process(page, "process_resident_memory_bytes", t.pid) - rss(t.pid)) < 1 << 20
    assert began < of_process(page, "process_snapshot_timestamp_seconds", t.pid) < time.time()
    line = d.lines("metrics")[-1]
    assert 'client="client"' in line and 'result="done"' in line
    t.end_well()
    assert of_process(scrape(d), "process_objects", t.pid) is None, "it has ended"
    d.end()


def test_who_sees_what(one_python, start, daemon):
    """A client that may attach to nothing can have the numbers; of processes that its rules do not name it has none."""
    t, other = start(one_python, "idle", "seen"), start(one_python, "idle", "hidden")
    d = daemon(["client * *", "prometheus - *idle.py seen", "alice nobody *"])
    for name in ("prometheus", "alice", "bob"):
        assert d.run("client", d.dir, name).returncode == 0
    f = d.connect()
    f.greet()
    for x in (t, other):
        f.send(protocol.snapshot(x.pid))
        assert f.answer()[-1][0] == protocol.DONE, d.log()
    f.close()
    for name, seen in (("client", {t.pid, other.pid}), ("prometheus", {t.pid}), ("alice", set())):
        page = scrape(d, name)
        assert {int(dict(labels)["pid"]) for (n, labels) in page if n == "memattachd_process_objects"} == seen
        assert value(page, "snapshots_total", kind="heap") == 2
    status, _, body = ask(d, "bob")
    assert status == 403 and "list of clients" in body
    f = d.connect("prometheus")
    f.greet()
    f.send(protocol.snapshot(t.pid))
    kind, payload = f.answer()[-1]
    assert kind == protocol.ERROR and b"no rule" in payload, "it may not attach"
    f.send(frame(protocol.LIST))
    assert [kind for kind, _ in f.answer()] == [protocol.DONE], "nor list"
    f.close()
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
        ask(d, None)
    for x in (t, other):
        x.end_well()


REQUESTS = {"GET / HTTP/1.1\r\n\r\n": 404, "GET /metrics/../x HTTP/1.1\r\n\r\n": 404, "POST /metrics HTTP/1.1\r\n\r\n": 405,
            "GET /metrics\r\n\r\n": 400, "\r\n\r\n": 400, "GET  HTTP/1.1\r\n\r\n": 400, "GET /metrics HTTP/2.0\r\n\r\n": 400,
            "GET /metrics HTTP/1.1\n\n": 408, "GET /metrics HTTP/1.1\r\n" + "X: y\r\n" * 2000: 431, "\0" * 9000: 431,
            "GET /metrics?x=y HTTP/1.0\r\n\r\n": 200, "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n": 200}


@pytest.mark.parametrize("request_, status", REQUESTS.items(), ids=[f"{i}-{s}" for i, s in enumerate(REQUESTS.values())])
def test_requests(daemon, request_, status):
    d = daemon(["client * *"], "--handshake-timeout", 1)
    got, headers, body = ask(d, request=request_.encode())
    assert got == status and headers["Connection"] == "close"
    if status != 200:
        assert body and len(body) < 100
    elif not request_.startswith("HEAD"):
        exposition.parse(body)
    d.idle()
    scrape(d)
    d.end()


def test_too_many(daemon):
    d = daemon(["client * *"], "--requests", 2)
    assert [ask(d)[0] for _ in range(3)] == [200, 200, 429]
    d.end()


def test_without_http(daemon, one_python, start):
    """Who offers no HTTP, or only another version, is spoken to by the protocol of docs/protocol.md."""
    t = start(one_python, "idle")
    d = daemon()
    with connect(d, offers=("h2",)) as s:
        assert s.selected_alpn_protocol() is None and s.recv(8)[4] == protocol.HELLO
    d.works(t.pid)
    t.end_well()


def test_what_a_process_calls_itself(daemon, one_python, start, tmp_path):
    """Whatever is in its name, the page is well formed."""
    program = tmp_path / 'a"\\\n}{x'
    program.symlink_to(one_python.path)
    t = start(str(program), "idle")
    assert open(f"/proc/{t.pid}/comm").read() == program.name + "\n"
    d = daemon()
    f = d.connect()
    f.greet()
    f.send(protocol.snapshot(t.pid))
    assert f.answer()[-1][0] == protocol.DONE
    f.close()
    page = scrape(d)
    assert of_process(page, "process_objects", t.pid) > 1000
    t.end_well()
