#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long it takes from a snapshot to an answer, in one run:

    python3 tests/bench/analyze.py [--small] [--rounds N] [--cpu] [--python PYTHON] [--json FILE]

Takes two snapshots of heap_program.py (8 M objects, then 1 % more), ends it, and runs report, diff and queries on the files: wall time, CPU time of all
threads, peak of resident memory; the best of N rounds. --cpu judges by CPU time, for a machine that others use too; of the diff, which has two
threads, by half of it. --small: a hundredth of the objects, no limits. Exits with 1 if a limit of the project is passed."""
import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from attach import MEMATTACH, Program

# name: (arguments with {old} and {new}, seconds, MB, threads)
WORK = {
    "report": (["report", "{new}"], 2.0, 400, 1),
    "diff": (["diff", "{old}", "{new}"], 3.0, None, 2),
    "count": (["query", "{new}", "SELECT count(*) FROM objects"], 0.5, None, 1),
    "by type": (["query", "{new}", "SELECT count(*) FROM objects WHERE type = '__main__.Record'"], 0.5, None, 1),
    "by address": (["query", "{new}", "SELECT type, size FROM objects WHERE addr = 140000000000000"], 0.5, None, 1),
    "GROUP BY": (["query", "{new}", "SELECT type, sum(size) FROM objects GROUP BY 1 ORDER BY 2 DESC LIMIT 5"], 4.0, None, 1),
}


def run(args):
    """(wall seconds, CPU seconds, peak MB) of one command."""
    began = time.perf_counter()
    null = os.open(os.devnull, os.O_WRONLY)
    pid = os.posix_spawn(str(MEMATTACH), [str(MEMATTACH), *args], os.environ,
                         file_actions=[(os.POSIX_SPAWN_DUP2, null, 1)])
    os.close(null)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - began
    if status:
        raise SystemExit(f"memattach {' '.join(args)} ended with {os.waitstatus_to_exitcode(status)}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6


def take(folder, python, entries):
    """Two snapshots of one program, and how many objects it made for certain."""
    paths = {name: str(Path(folder) / f"{name}.mem") for name in ("old", "new")}
    program = Program(python, entries)
    run(["snap", str(program.pid), "-o", paths["old"]])
    program.ask(f"grow {entries // 100 or 1}")
    run(["snap", str(program.pid), "-o", paths["new"]])
    program.end()
    return paths


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--json")
    args = parser.parse_args()
    results, failed = {}, []
    with tempfile.TemporaryDirectory(prefix="memattach-bench-") as folder:
        paths = take(folder, args.python, 10_000 if args.small else 1_000_000)
        for name, (words, seconds, megabytes, threads) in WORK.items():
            rounds = [run([w.format(**paths) for w in words]) for _ in range(args.rounds)]
            wall, cpu, peak = (min(r[i] for r in rounds) for i in range(3))
            judged = cpu / threads if args.cpu else wall
            results[name] = {"wall_s": wall, "cpu_s": cpu, "peak_mb": peak, "limit_s": seconds, "limit_mb": megabytes}
            if not args.small and (judged > seconds or (megabytes and peak > megabytes)):
                failed.append(name)
    print(f"{'':12} {'wall':>8} {'CPU':>8} {'peak':>9}   limit")
    for name, r in results.items():
        limit = f"{r['limit_s']} s" + (f", {r['limit_mb']} MB" if r["limit_mb"] else "")
        print(f"{name:12} {r['wall_s']:6.2f} s {r['cpu_s']:6.2f} s {r['peak_mb']:6.0f} MB   {limit}"
              f"{'   too much' if name in failed else ''}")
    if args.json:
        Path(args.json).write_text(json.dumps(results, indent=2) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
