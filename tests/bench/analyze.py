#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long it takes from a snapshot to an answer, in one run:

    python3 tests/bench/analyze.py [--small] [--linear] [--no-peers] [--rounds N] [--cpu] [--python PYTHON] [--json FILE]

Takes two snapshots of heap_program.py (8 M objects, then 1 % more), ends it, and runs report, diff and queries on the files: wall time, CPU time of all
threads, peak of resident memory; the best of N rounds. --cpu judges by CPU time, for a machine that others use too; of what has two
threads, by half of it. Then exports the snapshot as HPROF and gives that to hprof-analyzer (crates.io), once, unless --no-peers.
--linear: also reports of 5 M and 100 M objects that synthetic_snapshot makes: memory and time for each object.
--small: a hundredth of the objects, no limits. Exits with 1 if a limit of the project is passed."""
import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from attach import MEMATTACH, Program

# name: (arguments with {old} and {new}, seconds, MB, threads)
WORK = {
    "report": (["report", "{new}"], 2.0, 400, 2),
    "diff": (["diff", "{old}", "{new}"], 3.0, None, 2),
    "count": (["query", "{new}", "SELECT count(*) FROM objects"], 0.5, None, 1),
    "by type": (["query", "{new}", "SELECT count(*) FROM objects WHERE type = '__main__.Record'"], 0.5, None, 1),
    "by address": (["query", "{new}", "SELECT type, size FROM objects WHERE addr = 140000000000000"], 0.5, None, 1),
    "GROUP BY": (["query", "{new}", "SELECT type, sum(size), count(*) FROM objects GROUP BY type"], 4.0, None, 1),
}
LINEAR = (5_000_000, 100_000_000)
LINEAR_BYTES = 40    # of memory, for each object of the larger
LINEAR_GROWTH = 1.5  # CPU time for each object of the larger by that of the smaller


def measure(command):
    """(wall seconds, CPU seconds, peak MB) of one command."""
    began = time.perf_counter()
    null = os.open(os.devnull, os.O_WRONLY)
    pid = os.posix_spawn(command[0], command, os.environ,
                         file_actions=[(os.POSIX_SPAWN_DUP2, null, 1), (os.POSIX_SPAWN_DUP2, null, 2)])
    os.close(null)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - began
    if status:
        raise SystemExit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6


def run(args):
    return measure([str(MEMATTACH), *args])


def best(rounds, args):
    results = [run(args) for _ in range(rounds)]
    return tuple(min(r[i] for r in results) for i in range(3))


def peer():
    """hprof-analyzer where it is installed, or where the tests put it (tests/attach/readers.py)."""
    cache = Path(os.environ.get("MEMATTACH_TEST_CACHE") or Path.home() / ".cache" / "memattach-tests")
    built = cache / "readers-hprof-analyzer" / "bin" / "hprof-analyzer"
    return shutil.which("hprof-analyzer") or (str(built) if built.exists() else None)


def compare(folder, snapshot, report):
    """The peer on our export of the snapshot, as a row, and how often the report goes into that."""
    tool = peer()
    if not tool:
        print("no hprof-analyzer on this machine: cargo install --locked hprof-analyzer")
        return {}
    exported = str(Path(folder) / "new.hprof")
    export = run(["export", snapshot, exported])
    analysis = measure([tool, exported, str(Path(folder) / "peer.json")])
    os.unlink(exported)
    for name, (wall, cpu, peak) in (("export hprof", export), ("hprof-analyzer", analysis)):
        print(f"{name:14} {wall:4.1f} s {cpu:6.2f} s {peak:6.0f} MB")
    print("hprof-analyzer by our report: {:.1f} times the wall time, {:.1f} times the CPU time, {:.1f} times the memory".format(
        *(a / b for a, b in zip(analysis, report))), flush=True)
    return {name: {"wall_s": wall, "cpu_s": cpu, "peak_mb": peak}
            for name, (wall, cpu, peak) in (("export hprof", export), ("hprof-analyzer", analysis))}


def linear(folder, sizes, rounds):
    """Whether time and memory of a report grow with the objects and with nothing else."""
    rows = []
    for objects in sizes:
        path = str(Path(folder) / "synthetic.mem")
        measure([str(MEMATTACH.parent / "synthetic_snapshot"), path, str(objects)])
        wall, cpu, peak = best(rounds, ["report", path])
        os.unlink(path)
        each = peak * 1e6 / objects
        rows.append({"objects": objects, "wall_s": wall, "cpu_s": cpu, "peak_mb": peak, "bytes_an_object": each})
        print(f"{objects / 1e6:5.1f} M objects: {wall:6.2f} s wall, {cpu:6.2f} s CPU, {peak:6.0f} MB, "
              f"{each:.1f} bytes and {cpu / objects * 1e9:.0f} ns of CPU an object", flush=True)
    growth = rows[1]["cpu_s"] / rows[1]["objects"] / (rows[0]["cpu_s"] / rows[0]["objects"])
    print(f"CPU time an object: {growth:.2f} times that of the smaller (at most {LINEAR_GROWTH}); at most {LINEAR_BYTES} bytes")
    return rows, growth <= LINEAR_GROWTH and rows[1]["bytes_an_object"] <= LINEAR_BYTES


def take(folder, python, entries):
    """Two snapshots of one program, and how many objects it made for certain."""
    paths = {name: str(Path(folder) / f"{name}.mem") for name in ("old", "new")}
    program = Program(python, entries)
    run(["snap", str(program.pid), "-o", paths["old"]])
    program.ask(f"grow {entries // 100 or 1}")
    run(["snap", str(program.pid), "-o", paths["new"]])
    program.end()
    return paths


def show(results, failed):
    print(f"{'':12} {'wall':>8} {'CPU':>8} {'peak':>9}   limit")
    for name, r in results.items():
        limit = f"{r['limit_s']} s" + (f", {r['limit_mb']} MB" if r["limit_mb"] else "")
        print(f"{name:12} {r['wall_s']:6.2f} s {r['cpu_s']:6.2f} s {r['peak_mb']:6.0f} MB   {limit}"
              f"{'   too much' if name in failed else ''}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--linear", action="store_true")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--json")
    args = parser.parse_args()
    results, failed = {}, []
    with tempfile.TemporaryDirectory(prefix="memattach-bench-") as folder:
        paths = take(folder, args.python, 10_000 if args.small else 1_000_000)
        for name, (words, seconds, megabytes, threads) in WORK.items():
            wall, cpu, peak = best(args.rounds, [w.format(**paths) for w in words])
            judged = cpu / threads if args.cpu else wall
            results[name] = {"wall_s": wall, "cpu_s": cpu, "peak_mb": peak, "limit_s": seconds, "limit_mb": megabytes}
            if not args.small and (judged > seconds or (megabytes and peak > megabytes)):
                failed.append(name)
        show(results, failed)
        if not args.no_peers:
            r = results["report"]
            results.update(compare(folder, paths["new"], (r["wall_s"], r["cpu_s"], r["peak_mb"])))
        if args.linear:
            sizes = [n // 100 for n in LINEAR] if args.small else LINEAR
            results["linear"], good = linear(folder, sizes, 1)
            if not good and not args.small:
                failed.append("linear")
    if args.json:
        Path(args.json).write_text(json.dumps(results, indent=2) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
