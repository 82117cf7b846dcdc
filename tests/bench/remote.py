#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What an attach over a link costs, against a local one, measured in one run:

    python3 tests/bench/remote.py [--small] [--rounds N] [--rate RATE] [--python PYTHON] [--json FILE]

Starts heap_program.py (8 M objects), an OpenSSH server and a memattachd on loopback, and in each round attaches to it
here, over ssh:// and over tls://. What goes over the link is counted by a forwarder in front of both: all bytes of TCP,
both ways. --rate is memattach's --limit-rate. Needs sshd and what tests/attach needs."""
import argparse
import json
import os
import selectors
import socket
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "attach"))

from attach import MEMATTACH, Program, Table, default_python, megabytes, milliseconds, take  # noqa: E402
from daemon import Memattachd  # noqa: E402
from memattach import Memattach  # noqa: E402
import sshd  # noqa: E402


class Counter(threading.Thread):
    """Passes connections on to a port of this machine and counts what it passes on."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.to, self.bytes = port, 0
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.start()

    def run(self):
        while True:
            near, _ = self.server.accept()
            far = socket.create_connection(("127.0.0.1", self.to))
            self.serve(near, far)

    def serve(self, near, far):
        with near, far, selectors.DefaultSelector() as both:
            both.register(near, selectors.EVENT_READ, far)
            both.register(far, selectors.EVENT_READ, near)
            while True:
                for key, _ in both.select():
                    try:
                        data = key.fileobj.recv(1 << 18)
                        key.data.sendall(data)
                    except OSError:
                        data = b""
                    if not data:
                        return
                    self.bytes += len(data)


class Way:
    def __init__(self, name, url, args, counter):
        self.name, self.url, self.args, self.counter = name, url, args, counter
        self.stalls, self.pauses, self.twins, self.seconds, self.sent = [], [], [], [], []

    def round(self, program, path):
        time.sleep(0.3)
        program.ask("gap")
        before = self.counter.bytes if self.counter else 0
        report, seconds, _ = take(self.url, path, *self.args, watch=False)
        self.stalls.append(program.ask("gap")["gap_ns"])
        self.pauses.append(report["pause_ns"])
        self.twins.append(report["twin_ns"])
        self.seconds.append(seconds)
        self.sent.append((self.counter.bytes if self.counter else path.stat().st_size) - before)
        self.objects, self.file = report["objects"], path.stat().st_size
        path.unlink()


def ways(program, memattach, server, daemon, options):
    rate = ["--limit-rate", options.rate] if options.rate else []
    ssh, tls = Counter(server.port), Counter(daemon.port)
    server.trust(port=ssh.port)
    pair = [word for name, file in (("--ca", "ca.crt"), ("--cert", "client.crt"), ("--key", "client.key"))
            for word in (name, str(daemon.dir / file))]
    return [Way("local", program.pid, [], None),
            Way("ssh", f"ssh://127.0.0.1:{ssh.port}/{program.pid}",
                ["--known-hosts", str(server.known_hosts), "--identity", str(server.identity), "--ssh-config", "/dev/null", *rate],
                ssh),
            Way("tls", f"tls://127.0.0.1:{tls.port}/{program.pid}", [*pair, *rate], tls)]


def measure(options, folder, table):
    program = Program(options.python, options.n)
    memattach = Memattach(MEMATTACH, folder)
    server = sshd.Sshd(folder / "sshd", memattach.mark)
    daemon = Memattachd(memattach)
    try:
        server.install(MEMATTACH)
        all_ways = ways(program, memattach, server, daemon, options)
        print(f"{program.hello['python']}, {options.n} records, {megabytes(program.rss())} resident, "
              f"{options.rounds} rounds, {os.cpu_count()} cores", flush=True)
        for i in range(options.rounds):
            for way in all_ways:
                way.round(program, folder / "it.mas")
            print("  round {}: ".format(i + 1) + ", ".join(
                f"{w.name} stall {milliseconds(w.stalls[-1])}, {w.seconds[-1]:.2f} s" for w in all_ways), flush=True)
        program.end()
    finally:
        daemon.close()
        server.close()
        memattach.close()
    show(all_ways, table)


def show(all_ways, table):
    median = statistics.median
    local = all_ways[0]
    for w in all_ways:
        table.row(f"{w.name}: objects, bytes of the file", f"{w.objects:,}, {w.file:,}")
        table.row(f"{w.name}: stall seen by the program, median (worst)",
                  f"{milliseconds(median(w.stalls))} ({milliseconds(max(w.stalls))})")
        table.row(f"{w.name}: pause_ns, median", milliseconds(median(w.pauses)))
        table.row(f"{w.name}: life of the twin, median", milliseconds(median(w.twins)))
        table.row(f"{w.name}: attach to report, median (worst)", f"{median(w.seconds):.2f} s ({max(w.seconds):.2f} s)")
        if w is local:
            continue
        table.row(f"{w.name}: bytes on the wire an object", f"{median(w.sent) / w.objects:.2f}")
        table.row(f"{w.name}: bytes on the wire : bytes of the file", f"{median(w.sent) / w.file:.3f}")
        for what in ("stalls", "pauses", "twins", "seconds"):
            # round by round: the machine's speed drifts from one to the next
            ratios = [there / here for there, here in zip(getattr(w, what), getattr(local, what))]
            table.row(f"{w.name}: {what} : local, median of the rounds", f"{median(ratios):.2f}")


def main():
    parser = argparse.ArgumentParser(description="what an attach over a link costs, against a local one")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rate", metavar="RATE")
    parser.add_argument("--python", default=default_python())
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    options.n = 10_000 if options.small else 1_000_000
    if not sshd.PROGRAM:
        raise SystemExit("no OpenSSH server on this machine")

    table = Table()
    with tempfile.TemporaryDirectory(prefix="memattach-bench-") as folder:
        os.chmod(folder, 0o755)  # memattachd runs as a user of its own
        measure(options, Path(folder), table)
    if options.json:
        Path(options.json).write_text(json.dumps(table.rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
