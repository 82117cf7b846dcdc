#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What an attach over a link costs, against a local one, measured in one run:

    python3 tests/bench/remote.py [--small] [--rounds N] [--rate RATE] [--python PYTHON] [--json FILE]

Starts heap_program.py (8 M objects), an OpenSSH server and a memattachd on loopback, and in each round lets it fork itself
and attaches to it, here, over ssh:// and over tls://, each way first in its turn. Stalls are compared as multiples of the fork just
before them, and the CPU time that the program spends in the stop as it is. What goes over the link is counted by a forwarder in
front of both: all bytes of TCP, both ways. --rate is memattach's --limit-rate. Needs sshd and what tests/attach needs."""
import argparse
import json
import os
import random
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
from target import cpu_ns  # noqa: E402


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
    """One of the three, and what each round of it gave: `rows` of numbers by their name."""

    def __init__(self, name, url, args, counter):
        self.name, self.url, self.args, self.counter, self.rows = name, url, args, counter, []

    def round(self, program, path):
        time.sleep(0.3)
        fork = statistics.median(program.ask("fork 5")["fork_ns"])
        program.ask("gap")
        before, cpu = self.counter.bytes if self.counter else 0, cpu_ns(program.pid)
        report, seconds, _ = take(self.url, path, "--brief", *self.args, watch=False)
        cpu = cpu_ns(program.pid) - cpu  # its main thread makes the copy, and does nothing else meanwhile
        stall, self.file = program.ask("gap")["gap_ns"], path.stat().st_size
        sent = (self.counter.bytes if self.counter else self.file) - before
        self.rows.append({"fork": fork, "stall": stall, "pause": report["pause_ns"], "clone": report["call_ns"], "cpu": cpu,
                          "twin": report["twin_ns"], "seconds": seconds, "sent": sent})
        self.objects = report["objects"]
        path.unlink()

    def column(self, name, of=None):
        """The values of all rounds, or as multiples of another column of the same round."""
        return [row[name] / (row[of] if of else 1) for row in self.rows]


def spread(ratios, draws=2000):
    """(median, from, to): where nine of ten medians of rounds drawn anew from these are."""
    rng = random.Random(1)
    medians = sorted(statistics.median(rng.choices(ratios, k=len(ratios))) for _ in range(draws))
    return statistics.median(ratios), medians[draws // 20], medians[-draws // 20]


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
            for k in range(len(all_ways)):  # each comes first, second and last equally often
                all_ways[(i + k) % len(all_ways)].round(program, folder / "it.mas")
            print("  round {}: ".format(i + 1) + ", ".join(
                f"{w.name} fork {milliseconds(w.rows[-1]['fork'])}, stall {milliseconds(w.rows[-1]['stall'])}, "
                f"{w.rows[-1]['seconds']:.2f} s" for w in all_ways), flush=True)
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
        for name, what in (("stall", "stall seen by the program"), ("pause", "pause_ns"), ("clone", "call_ns, in which the kernel clones"),
                           ("cpu", "CPU time of the stop")):
            values = w.column(name)
            table.row(f"{w.name}: {what}, median (worst)", f"{milliseconds(median(values))} ({milliseconds(max(values))})")
        # of the same moment: the machine's speed drifts, and others use it
        table.row(f"{w.name}: stall : bare fork() just before, median", f"{median(w.column('stall', 'fork')):.2f}")
        table.row(f"{w.name}: life of the twin, median", milliseconds(median(w.column("twin"))))
        seconds = w.column("seconds")
        table.row(f"{w.name}: attach to report, median (worst)", f"{median(seconds):.2f} s ({max(seconds):.2f} s)")
        if w is local:
            continue
        table.row(f"{w.name}: bytes on the wire an object", f"{median(w.column('sent')) / w.objects:.2f}")
        table.row(f"{w.name}: bytes on the wire : bytes of the file", f"{median(w.column('sent')) / w.file:.3f}")
        for name, of, limit in (("cpu", None, 1.1), ("stall", "fork", None), ("pause", "fork", None), ("twin", "fork", None), ("seconds", None, None)):
            ratios = [there / here for there, here in zip(w.column(name, of), local.column(name, of))]
            middle, least, most = spread(ratios)
            # who waits for a CPU waits for whoever else is on the machine: only what was done is held to a limit
            table.row(f"{w.name}: {name}{' in forks' if of else ''} : local, median of the rounds (90 % of medians)",
                      f"{middle:.2f} ({least:.2f} to {most:.2f})", f"at most {limit}" if limit else "",
                      middle <= limit if limit else None)


def main():
    parser = argparse.ArgumentParser(description="what an attach over a link costs, against a local one")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--rounds", type=int, default=21)
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
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main())
