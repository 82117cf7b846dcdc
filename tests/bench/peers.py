#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a program pays when somebody looks into it, tool by tool, each in a fresh copy of heap_program.py in one run:

    BUILD/venv/bin/python tests/bench/peers.py [--small] [--python PYTHON] [--plot FILE.svg] [--readme]

bare fork, memattach, py-spy dump, gcore, memray attach, guppy3, pympler. How long the program stood still is what its own
heartbeat saw. PYTHON has the tools from PyPI installed (tools/setup --bench); what is missing is named and left out.
--readme puts the table between the marks `peers` of README.md. There are no limits here: those are in attach.py."""
import argparse
import datetime
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from attach import HERE, MEMATTACH, Program, default_python, megabytes

README = HERE.parent.parent / "README.md"


def beside(python, name):
    """A command that PyPI puts beside its Python, or one of the machine."""
    there = Path(python).parent / name
    return str(there) if there.exists() else shutil.which(name)


def has_module(python, name):
    return subprocess.run([python, "-c", f"import {name}"], stderr=subprocess.DEVNULL).returncode == 0


def run(command):
    def look(program, folder):
        done = subprocess.run([word.format(pid=program.pid, folder=folder) for word in command], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise SystemExit(f"{command[0]}: exit {done.returncode}: {done.stdout.strip()[-300:]}")
    return look


def ask(line):
    def look(program, _):
        return program.ask(line)
    return look


def tools(python):
    """(name, what it gives, how it looks; None: not installed) in the order of the table."""
    modules = {name: has_module(python, name) for name in ("memray", "guppy", "pympler")}
    py_spy, gcore = beside(python, "py-spy"), shutil.which("gcore")
    return [
        ("bare `fork()`", "nothing: the measure", ask("fork 1")),
        ("memattach", "every object, edge and byte of RSS", run([str(MEMATTACH), "{pid}", "-o", "{folder}/heap.mas", "--json"])),
        ("py-spy dump", "stacks", py_spy and run([py_spy, "dump", "--pid", "{pid}"])),
        ("gcore", "raw memory", gcore and run([gcore, "-o", "{folder}/core", "{pid}"])),
        ("memray attach, 1 s", "allocations from then on",
         modules["memray"] and run([python, "-m", "memray", "attach", "-o", "{folder}/memray.bin", "--duration", "1", "{pid}"])),
        ("guppy3 `heap()`", "objects by type", modules["guppy"] and ask("guppy")),
        ("pympler `muppy`", "objects by type", modules["pympler"] and ask("muppy")),
    ]


def measure(options, look):
    """Seconds that it took and the longest time the program stood still, of what is quick the median of three; and how much the
    program's RSS grew by the first."""
    program, seen = Program(options.python, options.n), []
    try:
        while len(seen) < 3 and (not seen or seen[0][0] < 5):
            with tempfile.TemporaryDirectory(prefix="memattach-peers-") as folder:
                time.sleep(1)
                before = program.rss()
                program.ask("gap")
                began = time.perf_counter()
                answer = look(program, folder) or {}
                took = time.perf_counter() - began
                time.sleep(1.5)  # memray goes on in the background
                gap = program.ask("gap")["gap_ns"]
                seen.append((took, answer.get("gap_ns", gap) / 1e9, program.rss() - before))
    finally:
        program.end()
    took, gap, grown = zip(*seen)
    return statistics.median(took), statistics.median(gap), grown[0]


def seconds(s):
    return f"{s * 1e3:.1f} ms" if s < 1 else f"{s:.1f} s"


def plot(rows, path, title):
    import matplotlib
    matplotlib.use("svg")
    from matplotlib import pyplot
    rows = rows[::-1]
    figure, axes = pyplot.subplots(figsize=(8, 3.2))
    bars = axes.barh([r["name"].replace("`", "") for r in rows], [r["gap"] * 1e3 for r in rows],
                     color=["#c33" if r["name"] == "memattach" else "#89a" for r in rows])
    axes.bar_label(bars, [seconds(r["gap"]) for r in rows], padding=3)
    axes.set_xscale("log")
    axes.set_xlabel("the program stood still for ... ms")
    axes.set_title(title, fontsize=9)
    axes.margins(x=0.15)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def table(rows, about):
    lines = [f"`tests/bench/peers.py`: {about}", "", "| | the program stood still | it took | its RSS grew by | gives |", "|---|---|---|---|---|"]
    lines += [f"| {r['name']} | {seconds(r['gap'])} | {seconds(r['took'])} | {megabytes(r['grown'])} | {r['gives']} |" for r in rows]
    return "\n".join(lines)


def into_readme(text):
    begin, end = "<!-- peers -->\n", "\n<!-- /peers -->"
    old = README.read_text()
    if begin not in old or end not in old:
        raise SystemExit(f"{README} has no marks `peers`")
    README.write_text(old[:old.index(begin) + len(begin)] + text + old[old.index(end):])


def main():
    parser = argparse.ArgumentParser(description="what a program pays when somebody looks into it")
    parser.add_argument("--small", action="store_true", help="a hundredth of the objects")
    parser.add_argument("--python", default=default_python())
    parser.add_argument("--plot", metavar="FILE.svg", help="draw it, with matplotlib")
    parser.add_argument("--readme", action="store_true")
    options = parser.parse_args()
    options.n = 10_000 if options.small else 1_000_000

    rows = []
    for name, gives, look in tools(options.python):
        if not look:
            print(f"{name}: not installed for {options.python}; tools/setup --bench")
            continue
        took, gap, grown = measure(options, look)
        rows.append({"name": name, "gives": gives, "took": took, "gap": gap, "grown": grown})
        print(f"{name:<22} stood still {seconds(gap):>9}, took {seconds(took):>9}, grew {megabytes(grown):>9}", flush=True)
    version = subprocess.run([options.python, "-c", "import platform; print(platform.python_version())"], stdout=subprocess.PIPE,
                             text=True, check=True).stdout.strip()
    about = (f"{8 * options.n:,} objects in CPython {version}, {os.cpu_count()} cores, Linux {platform.release().split('-')[0]}, "
             f"{datetime.date.today()}, all in one run")
    if options.readme:
        into_readme(table(rows, about))
    else:
        print("\n" + table(rows, about))
    if options.plot:
        plot(rows, options.plot, about)


if __name__ == "__main__":
    sys.exit(main())
