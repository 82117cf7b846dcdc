#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What an attach costs, as ratios measured in one run (README.md has a table of them):

    python3 tests/bench/attach.py [--small] [--no-peers] [--rounds N] [--raw-mib N] [--only-raw] [--python PYTHON]
                                  [--json FILE]

Starts heap_program.py (8 M objects, 520 MB), and in each round lets it fork itself and attaches to it, so that stall
and fork are measured side by side in the same process. Then guppy3 and pympler do the like of it inside fresh copies of
the same program (tools/setup --bench installs them). --small: a hundredth of the objects, for a quick look.
Exits with 1 if a limit of the project is passed; --small has no limits but that of the target's RSS."""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
MEMATTACH = Path(os.environ.get("MEMATTACH_BIN") or HERE.parent.parent / "BUILD" / "bin" / "memattach")


class Program:
    """heap_program.py, spoken to over its pipes."""

    def __init__(self, python, n, raw_mib=0):
        self.process = subprocess.Popen([python, str(HERE / "heap_program.py"), str(n), str(raw_mib)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.hello = self.read()
        self.pid = self.hello["pid"]

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the program ended with {self.process.wait()}")
        return json.loads(line)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.read()

    def rss(self):
        """RssAnon + RssFile + RssShmem in bytes (never from smaps, which would hold the program up)."""
        fields = status_kb(self.pid)
        return sum(fields[name] for name in ("RssAnon", "RssFile", "RssShmem")) * 1024

    def end(self):
        self.process.stdin.write("quit\n")
        self.process.stdin.close()
        if self.process.wait(60) != 0:
            raise SystemExit(f"the program ended with {self.process.returncode}")


def status_kb(pid):
    fields = {}
    with open(f"/proc/{pid}/status") as f:
        for line in f:
            name, _, rest = line.partition(":")
            if rest.endswith("kB\n"):
                fields[name] = int(rest.split()[0])
    return fields


def tool_processes(command):
    """The command and its tracer. Few and small reads: what this costs would lengthen the stall on two cores."""
    try:
        with open(f"/proc/{command}/task/{command}/children") as f:
            return [command, *map(int, f.read().split())]
    except OSError:
        return []


def take(pid, path, *options, watch=True):
    """One `memattach PID -o path --json`, with `options`. Returns its report, the seconds until the file stood closed under its
    name, and the peak RSS of each process of the tool until then (what comes after is the report's, not the attach's).
    Not `watch`: no peaks, and nothing of ours runs beside the tool.
    In a session of its own, as from another terminal: the kernel gives each session its share of the CPUs (autogroup), and what
    the tool has used just before would be missing in that of the program."""
    peak = {}
    began = time.perf_counter()
    closed = None
    tool = subprocess.Popen([str(MEMATTACH), str(pid), "-o", str(path), "--json", *options], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, start_new_session=True)
    while watch and tool.poll() is None and closed is None:
        for one in tool_processes(tool.pid):
            try:
                peak[one] = max(peak.get(one, 0), status_kb(one).get("VmHWM", 0) * 1024)
            except OSError:
                pass
        if path.exists():
            closed = time.perf_counter() - began
        time.sleep(0.005)
    out, err = tool.communicate()
    if tool.returncode != 0:
        raise SystemExit(f"memattach failed with {tool.returncode}: {err.decode().strip()}")
    return json.loads(out), closed or time.perf_counter() - began, list(peak.values())


class Table:
    def __init__(self):
        self.rows, self.failed = [], False

    def row(self, what, value, limit="", good=None):
        mark = "" if good is None else "ok" if good else "OVER"
        self.failed |= good is False
        self.rows.append({"what": what, "value": value, "limit": limit, "good": good})
        print(f"  {what:<52} {value:>24}  {limit:<22} {mark}".rstrip(), flush=True)


def milliseconds(ns):
    return f"{ns / 1e6:.1f} ms"


def megabytes(count):
    return f"{count / 1e6:.1f} MB"


def measure_walk(program, path, rounds):
    """Reports of attaches to the program without its heartbeat and with nobody looking on: on two cores, the walk and the
    compression of what it finds need both. By the setting of --values, in turn."""
    reports = {"none": [], "hash": []}
    program.ask("beat 0")
    for _ in range(rounds):
        for values, those in reports.items():
            time.sleep(0.3)
            report, _, _ = take(program.pid, path, f"--values={values}", watch=False)
            report["file_bytes"] = path.stat().st_size
            path.unlink()
            those.append(report)
    program.ask("beat 1")
    return reports


def measure_attach(options, table):
    program = Program(options.python, options.n)
    print(f"{program.hello['python']}, {options.n} records, {megabytes(program.rss())} resident, "
          f"{options.rounds} rounds, {os.cpu_count()} cores", flush=True)
    forks, stalls, over, pauses, reports, seconds, peaks, growth = [], [], [], [], [], [], [], []
    with tempfile.TemporaryDirectory(prefix="memattach-bench-") as folder:
        for i in range(options.rounds):
            time.sleep(0.3)
            program.ask("gap")
            time.sleep(0.3)
            quiet = program.ask("gap")["gap_ns"]
            forks += program.ask("fork 3")["fork_ns"]
            time.sleep(0.2)
            before = program.rss()
            program.ask("gap")
            path = Path(folder) / f"{i}.mas"
            report, took, peak = take(program.pid, path)
            stalls.append(program.ask("gap")["gap_ns"])
            over.append(stalls[-1] - 1.15 * statistics.median(forks[-3:]))
            growth.append(program.rss() - before)
            reports.append(report)
            pauses.append(report["pause_ns"])
            seconds.append(took)
            peaks.append(sum(peak))
            print(f"  round {i + 1}: fork {milliseconds(statistics.median(forks[-3:]))}, stall "
                  f"{milliseconds(stalls[-1])} (longest quiet gap {milliseconds(quiet)}), file after {took:.2f} s, "
                  f"consistency {report['consistency']}", flush=True)
            path.unlink()
        walks = measure_walk(program, path, options.rounds)
    program.end()

    limits = not options.small
    median = statistics.median
    fork, stall = median(forks), median(stalls)
    objects = reports[-1]["objects"]
    table.row("objects, edges", f"{objects:,}, {reports[-1]['edges']:,}")
    table.row("bare fork() of the process, median", milliseconds(fork))
    table.row("stall seen by the program, median (worst)", f"{milliseconds(stall)} ({milliseconds(max(stalls))})")
    # round by round: the machine's speed drifts from one to the next, the forks just before the attach share it
    table.row("stall - 1.15 x fork of its round, median (worst)", f"{milliseconds(median(over))} ({milliseconds(max(over))})",
              "at most 2 ms", median(over) <= 2e6 if limits else None)
    table.row("stall : fork", f"{stall / fork:.2f}")
    table.row("pause_ns as memattach says, median", milliseconds(median(pauses)))
    # the hashes of the contents cost a fifth of the speed at most
    for name, values, least in (("--values=none", "none", 25), ("hashes, the default", "hash", 20)):
        speeds = [r["objects"] / r["walk_ns"] * 1e3 for r in walks[values]]
        table.row(f"walk, M objects/s, {name}, median (best)", f"{median(speeds):.1f} ({max(speeds):.1f})",
                  f"at least {least}", median(speeds) >= least if limits else None)
    table.row("walk : fork", f"{median(r['walk_ns'] for r in walks['hash']) / fork:.0f}")
    table.row("attach to closed file, median (worst)", f"{median(seconds):.2f} s ({max(seconds):.2f} s)", "at most 1 s",
              median(seconds) <= 1 if limits else None)
    for name, values, most in (("--values=none", "none", 2), ("hashes", "hash", 3)):
        per_object = walks[values][-1]["file_bytes"] / objects
        table.row(f"bytes an object on disk, {name}", f"{per_object:.2f}", f"at most {most}",
                  per_object <= most if limits else None)
    table.row("peak RSS of command + tracer, attach to file", megabytes(max(peaks)), "under 100 MB",
              max(peaks) < 100e6 if limits else None)
    # half a MB: the heartbeat's own pages and what the copy-on-write of them leaves
    table.row("growth of the program's RSS, worst round", megabytes(max(growth)), "0",
              max(growth) < 0.5e6)
    table.row("faults, refcount excess", f"{sum(r['faults'] for r in reports)}, "
              f"{max(r['refcount_excess'] for r in reports)}", "0, 0",
              not any(r["faults"] or r["refcount_excess"] for r in reports))
    return stall


def measure_raw(options, table):
    """Raw data: the stall with all of it in the copy, and with nothing of it, beside a fork of the same round."""
    program = Program(options.python, 10_000, 64 if options.small else options.raw_mib)
    forks, stalls, pauses = [], {"copy": [], "live": []}, {"copy": [], "live": []}
    saved = 0
    with tempfile.TemporaryDirectory(prefix="memattach-bench-") as folder:
        path = Path(folder) / "raw.mas"
        for i in range(options.rounds):
            forks += program.ask("fork 1")["fork_ns"]
            for how, those in stalls.items():
                time.sleep(0.3)
                program.ask("gap")
                report, _, _ = take(program.pid, path, "--raw", how, watch=False)
                those.append(program.ask("gap")["gap_ns"])
                pauses[how].append(report["pause_ns"])
                saved = report["raw_bytes"]
                path.unlink()
    program.end()
    median = statistics.median
    table.row(f"{program.hello['raw'] / 2**30:.2f} GiB of raw data: bare fork(), median", milliseconds(median(forks)))
    for how, those in stalls.items():
        table.row(f"  --raw {how}: stall seen by the program, median (worst)",
                  f"{milliseconds(median(those))} ({milliseconds(max(those))})")
        table.row(f"  --raw {how}: pause_ns, median (best)", f"{milliseconds(median(pauses[how]))} ({milliseconds(min(pauses[how]))})",
                  "at most 3 ms" if how == "live" else "", median(pauses[how]) <= 3e6 if how == "live" and not options.small else None)
    table.row("  not copied", megabytes(saved))


def measure_peer(options, table, command, name, stall):
    program = Program(options.python, options.n)
    before = program.rss()
    answer = program.ask(command)
    grown = program.rss() - before
    program.end()
    table.row(f"{name}: time, objects", f"{answer['ns'] / 1e9:.1f} s, {answer['objects']:,}")
    table.row(f"{name}: longest gap, growth of RSS", f"{answer['gap_ns'] / 1e9:.2f} s, {megabytes(grown)}")
    table.row(f"{name}: its time : our stall", f"{answer['ns'] / stall:,.0f}")


def has_peers(python):
    return subprocess.run([python, "-c", "import guppy, pympler"], stderr=subprocess.DEVNULL).returncode == 0


def default_python():
    """A CPython 3.11, best one that has the peers."""
    found = [*sorted(Path.home().glob(".pyenv/versions/3.11*/bin/python3")), HERE.parent.parent / "BUILD/venv/bin/python",
             Path("/usr/bin/python3.11")]
    found = [str(p) for p in found if p.exists()] or [sys.executable]
    return next((p for p in found if has_peers(p)), found[0])


def main():
    parser = argparse.ArgumentParser(description="what an attach costs, as ratios measured in one run")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--python", default=default_python())
    parser.add_argument("--raw-mib", type=int, default=4096, help="raw data of the program that has some; 0: without it")
    parser.add_argument("--only-raw", action="store_true", help="that program alone")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    options.n = 10_000 if options.small else 1_000_000

    table = Table()
    if options.only_raw:
        measure_raw(options, table)
        return 1 if table.failed else 0
    stall = measure_attach(options, table)
    if options.raw_mib:
        measure_raw(options, table)
    if options.peers and has_peers(options.python):
        measure_peer(options, table, "guppy", "guppy3 heap()", stall)
        measure_peer(options, table, "muppy", "pympler muppy", stall)
    elif options.peers:
        print(f"  guppy3 and pympler are not installed for {options.python}: tools/setup --bench")
    if options.json:
        Path(options.json).write_text(json.dumps(table.rows, indent=1) + "\n")
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main())
