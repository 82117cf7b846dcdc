# SPDX-License-Identifier: Apache-2.0
"""A link of 10 Mbit/s that takes 50 ms each way: the whole heap comes, and neither the target nor its twin waits for it."""
import json
import os
import statistics
import time

import pytest

import sshd as server
from memattach import Snapshot, check_report
from slowlink import FAR, Refused, SlowLink
from target import cpu_ns, wait_until
from unharmed import Unharmed, children

RATE = 10e6 / 8  # bytes a second
ROUNDS = 2
NOISE = 2  # MB of contents: more than what waits in sockets and in the forwarder


@pytest.fixture
def link():
    try:
        made = SlowLink()
    except Refused as e:
        pytest.skip(str(e))
    yield made
    made.close()


class Ssh:
    def __init__(self, link, memattach, folder):
        if not server.PROGRAM:
            pytest.skip("no OpenSSH server on this machine")
        self.sshd = server.Sshd(folder, memattach.mark, wrap=link.far, host=FAR)
        self.sshd.install(memattach.path)
        self.sshd.trust(port=link.forward(self.sshd.port))
        self.url = self.sshd.url
        self.args = ("--known-hosts", self.sshd.known_hosts, "--identity", self.sshd.identity, "--ssh-config", "/dev/null")

    def close(self):
        self.sshd.close()


class Tls:
    def __init__(self, link, daemon):
        self.daemon = daemon(wrap=link.far, host=FAR)
        self.daemon.port = link.forward(self.daemon.port)
        self.url = self.daemon.url
        d = self.daemon.dir
        self.args = ("--ca", d / "ca.crt", "--cert", d / "client.crt", "--key", d / "client.key")

    def close(self):
        pass


@pytest.fixture(params=["ssh", "tls"])
def way(request, link, memattach, daemon, tmp_path):
    made = Ssh(link, memattach, tmp_path / "sshd") if request.param == "ssh" else Tls(link, daemon)
    yield made
    made.close()


def gap(t):
    return int(t.ask("gap", "gap").split()[1]) / 1e6


def take(memattach, t, target, *args, wrap=()):
    """(snapshot, seconds, the target's longest stall in seconds, until its twin has gone)"""
    path = memattach.new_path()
    gap(t)
    began = time.monotonic()
    p = memattach.start(target, "-o", path, "--json", "--values", "all", *args, wrap=wrap)
    wait_until(lambda: children(t.pid) or p.poll() is not None, 60, "the twin is there")
    wait_until(lambda: not children(t.pid), 60, "the twin has gone", 0.02)
    stall = gap(t)  # what comes after it is the noise of a busy machine, and lasts as long as the link takes
    out, err = p.communicate(timeout=500)
    seconds = time.monotonic() - began
    assert p.returncode == 0, err
    snap = Snapshot(path, json.loads(out))
    check_report(snap, t.pid)
    assert memattach.run("check", path).rc == 0
    return snap, seconds, stall


def stop_cpu(memattach, t, target, *args, wrap=()):
    """CPU time in ns that an attach costs the target while it does nothing by itself: the stop and the copy."""
    t.ask("rest", "rests")
    before = cpu_ns(t.pid)
    done = memattach.run("stacks", target, "--json", *args, wrap=wrap)
    spent = cpu_ns(t.pid) - before
    t.send("go on")
    assert done.rc == 0, done
    return spent


def check_stop(memattach, link, way, t, rounds, record):
    """It is what a local attach costs; how long others keep the target from a CPU meanwhile is not asked. Where they fill its
    caches, too, some rounds do not say it: then more are made."""
    near, far = [], []
    for total in (rounds, 5 * rounds):
        while len(near) < total:
            near.append(stop_cpu(memattach, t, t.pid))
            far.append(stop_cpu(memattach, t, way.url(t.pid), *way.args, wrap=link.near))
        here, there = (statistics.median(v) / 1e6 for v in (near, far))
        if there < 1.1 * here:
            break
    record("CPU of the stop, far : near", round(there / here, 2))
    print(f"\nCPU of the stop: far {there:.2f} ms, near {here:.2f} ms, {there / here:.2f} : 1 ({total} rounds)", end="")
    assert there < 1.1 * here, (far, near)


def check(memattach, link, way, t, objects, rounds, record):
    check_stop(memattach, link, way, t, 7, record)
    near, far, stalls = [], [], {"near": [], "far": []}
    for _ in range(rounds):  # in turn: the machine's speed drifts
        snap, _, stall = take(memattach, t, t.pid)
        near.append(snap.report)
        stalls["near"].append(stall)
        sent = link.carried()
        with Unharmed(t, quiet=False):
            snap, seconds, stall = take(memattach, t, way.url(t.pid), *way.args, wrap=link.near)
        sent = link.carried() - sent
        far.append(snap.report)
        stalls["far"].append(stall)
        size = os.path.getsize(snap.path)
        assert snap.report["objects"] >= objects and abs(snap.report["objects"] - near[-1]["objects"]) < 50
        # the link was what it took: the file at its rate, which is longer than the twin lived
        assert NOISE << 20 < size <= sent < 1.2 * size + 100_000, (size, sent)
        assert seconds > size / RATE * 0.9, (seconds, size)
        assert snap.report["twin_ns"] / 1e9 < seconds / 3, (snap.report["twin_ns"], seconds)
    pauses, twins = ([[r[field] / 1e9 for r in reports] for reports in (near, far)] for field in ("pause_ns", "twin_ns"))
    for name, (here, there) in {"pause": pauses, "stall": (stalls["near"], stalls["far"]), "twin": twins}.items():
        ratio = statistics.median(there) / statistics.median(here)
        record(f"{name} far : near", round(ratio, 2))
        print(f"\n{name}: far {statistics.median(there):.4f} s, near {statistics.median(here):.4f} s, {ratio:.2f} : 1", end="")
    print(f"\n{objects} objects, {size} bytes in {seconds:.1f} s, {sent} on the link")
    # not one trip over the link is in the stall, nor the rate of it in the twin's life; noise is what the best round has not
    assert min(pauses[1]) - min(pauses[0]) < link.delay and min(stalls["far"]) - min(stalls["near"]) < link.delay
    assert min(twins[1]) < 3 * min(twins[0]), "the twin waited for the link"


def test_slow_link(one_python, start, memattach, link, way, record_property):
    t = start(one_python, "heartbeat", 200_000, NOISE)
    check(memattach, link, way, t, 400_000, ROUNDS, record_property)
    t.end_well()


@pytest.mark.long
def test_large_heap(one_python, start, memattach, link, way, record_property):
    t = start(one_python, "heartbeat", 4_000_000, 40)
    check(memattach, link, way, t, 8_000_000, 5, record_property)
    t.end_well()
