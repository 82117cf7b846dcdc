# SPDX-License-Identifier: Apache-2.0
"""Snapshots from whoever wants to harm the reader (tests/hostile): every command, every format. Names made to break what
prints them reach no terminal, page, spreadsheet or parser as they are, and a small file takes no more memory than its size allows."""
import csv
import gzip
import io
import json
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from memattach import check_error
from target import in_group

TABLES = ("objects", "edges", "types", "modules", "waste", "duplicates", "frames", "memory", "buffers", "native_words", "roots", "heaps", "arenas",
          "allocations", "sites")
ROTATIONS = 2
# what a terminal obeys, what does not show, what turns the direction of text; U+FFFD: bytes that were no UTF-8
OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffd\U000e0000-\U000e007f]")
FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
COMMANDS = (("report",), ("report", "--json"), ("report", "--brief"), ("check",), ("query", "SELECT count(*) FROM types"),
            ("query", "SELECT count(*) FROM frames"), ("paths", "*"), ("export", "--format", "collapsed"), ("export", "--format", "json"),
            ("diff", None), ("report", "--type", "*"))
MB = 1 << 20
EVIL_PATH = "=evil \x1b[31m\n\u202e\udcff$(touch pwned)'\"`.mem"


@pytest.fixture(scope="module")
def made(request, tmp_path_factory):
    from conftest import memattach_path
    folder = tmp_path_factory.mktemp("hostile")
    program = Path(memattach_path()).parent / "make_hostile"
    if not program.exists():
        pytest.skip(f"no {program}")
    subprocess.run([program, folder], check=True)
    return folder


@pytest.fixture(params=range(ROTATIONS))
def evil(request, made, tmp_path):
    """(a snapshot, a later one): their paths are hostile, too."""
    both = tmp_path / EVIL_PATH, tmp_path / ("later " + EVIL_PATH)
    for path, name in zip(both, ("", "-later")):
        shutil.copy(made / f"names-{request.param}{name}.mem", path)
    return both


def out_of(memattach, *args):
    done = memattach.run(*args)
    assert done.rc == 0, done
    assert not OBEYED.search(done.err), done
    return done.out


def text_of(memattach, *args):
    out = out_of(memattach, *args)
    hit = OBEYED.search(out)
    assert not hit, (args, out[max(0, hit.start() - 60):hit.end() + 60])
    return out


def check_csv(out):
    rows = list(csv.reader(io.StringIO(out, newline="")))
    assert len({len(r) for r in rows}) == 1, "a cell that ends early"
    cells = [c for r in rows for c in r if c.startswith(FORMULA)]
    assert [c for c in cells if not NUMBER.fullmatch(c)] == []


def names_of(memattach, path):
    return {row["type"] for row in memattach.query(path, "SELECT type FROM types")}


def test_text(evil, memattach):
    a, b = evil
    where = memattach.value(a, "SELECT min(addr) FROM objects WHERE type = 'module'")
    for args in (("report", a), ("report", a, "--bytes"), ("report", a, "--brief"), ("report", a, "--type", "*"), ("report", a, "--module", "*"),
                 ("report", "--tree", a, b), ("paths", a, "*"), ("paths", a, "dict"), ("paths", a, hex(where)), ("diff", a, b), ("diff", a, b, b),
                 ("diff", a, b, "--bytes"), ("check", a), *(("query", a, f"SELECT * FROM {t}") for t in TABLES)):
        assert text_of(memattach, *args)
    assert not (memattach.folder / "pwned").exists()
    for args in (("query", a, f"SELECT [{EVIL_PATH[:-20]}"), ("paths", a, EVIL_PATH[:12]), ("report", str(a) + "no"), ("export", a, str(a) + ".no"),
                 ("diff", a, b, "--fail-growth", EVIL_PATH[:12]), ("export", a, "--format", EVIL_PATH[:12])):
        done = memattach.run(*args)
        assert not OBEYED.search(done.err + done.out), done


def test_what_to_type_next_runs_nothing(evil, memattach):
    """What a report proposes to type is one command for a shell, whatever types and files are called."""
    folder = memattach.folder / "shell"
    folder.mkdir()
    (folder / "memattach").write_text("#!/bin/sh\necho $1 >>ran\n")
    (folder / "memattach").chmod(0o755)
    text = text_of(memattach, "report", evil[0])
    commands = text[text.rindex("\nnext  ") + 6:]
    subprocess.run(["/bin/sh", "-c", commands], cwd=folder, check=True, env={"PATH": f"{folder}:/usr/bin:/bin"})
    assert (folder / "ran").read_text().split() == ["report", "query"]
    assert sorted(p.name for p in folder.iterdir()) == ["memattach", "ran"]


def test_json(evil, memattach):
    a, b = evil
    for args in (("report", a), ("report", a, "--brief"), ("report", a, "--type", "*"), ("report", a, "--module", "*"), ("report", "--tree", a, b),
                 ("paths", a, "*"), ("diff", a, b), ("diff", a, b, b), *(("query", a, f"SELECT * FROM {t}") for t in TABLES)):
        assert json.loads(out_of(memattach, *args, "--json")) is not None, args
    assert any("</script><script>window.broken = 1</script>" in t for t in names_of(memattach, a))


def test_csv(evil, memattach):
    folder = memattach.folder / "csv"
    for table in TABLES:
        check_csv(out_of(memattach, "query", evil[0], f"SELECT *, '=x' AS \"=cmd\" FROM {table}", "--csv"))
    out_of(memattach, "export", evil[0], "--format", "csv", "--table", "all", "-o", folder)
    for path in folder.iterdir():
        check_csv(path.read_bytes().decode(errors="replace"))


def test_html(evil, memattach):
    for args in (("report", evil[0]), ("diff", *evil)):
        page = memattach.folder / "page.html"
        out_of(memattach, *args, "--html", page)
        text = page.read_bytes().decode()  # UTF-8, all of it
        before, data, after = re.fullmatch(r'(.*id="data">)(.*?)(</script>.*)', text, re.S).groups()
        assert "<" not in data and json.loads(data)
        assert "broken" in data and "broken" not in before + after, "names are nowhere else in the page"
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", before + after)


def test_exports(evil, memattach):
    folder = memattach.folder
    ways = out_of(memattach, "export", evil[0], "--format", "collapsed")
    assert all(re.fullmatch(r".+ \d+", line) and line.isprintable() for line in ways.splitlines())
    for name in ("x.json", "x.speedscope.json", "x.heapsnapshot"):
        out_of(memattach, "export", evil[0], folder / name)
        assert json.loads((folder / name).read_bytes().decode())
    out_of(memattach, "export", evil[0], folder / "x.pb.gz")
    assert gzip.decompress((folder / "x.pb.gz").read_bytes())
    for args in (("--format", "arrow", "--table", "all", "-o", folder / "arrow"), (folder / "x.hprof",)):
        out_of(memattach, "export", evil[0], *args)


def test_of_a_process(one_python, start, memattach):
    """Its command line, the list of snapshots, stacks, what doctor says, and a folder with a hostile name."""
    t = start(one_python, "names", *(e for e in EVIL_PATH.split()), "\x1b]0;x\x07", "</script>", "\u202egnp.exe", "=cmd|x", "\udc9b31m")
    folder = memattach.folder / EVIL_PATH
    os.mkdir(folder)
    for args in (("snap", t.pid, "-o", folder / "a.mem"), (t.pid, "-o", folder / "b.mem"), ("stacks", t.pid), ("stacks", "--native", t.pid),
                 ("doctor", t.pid), ("ls",), ("ls", "--bytes"), ("snap", "--name", "gnp.exe", "-o", folder / "c.mem")):
        assert text_of(memattach, *args)
    for args in (("stacks", t.pid), ("doctor", t.pid), ("ls",)):
        assert json.loads(out_of(memattach, *args, "--json"))
    rows = json.loads(out_of(memattach, "ls", "--json"))
    assert len(rows) == 3 or len(rows["snapshots"]) == 3
    text_of(memattach, "rm", "--keep", "0", "--pid", t.pid)
    t.end_well()


# A process of its own: the peak of a child counts that of the process which it was before exec, and pytest's is large.
MEASURE = """import resource, subprocess, sys
rc = subprocess.call(sys.argv[2:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, rc, file=open(sys.argv[1], "w"))"""


def run_bounded(memattach, args, address_space=4096 * MB):
    """(peak of resident memory, exit code, output, errors). The limit keeps a test that fails from harming its machine."""
    out = memattach.folder / "out"
    with open(out, "wb") as o, open(f"{out}-err", "wb") as e:
        subprocess.run([sys.executable, "-S", "-c", MEASURE, f"{out}-peak", memattach.path, *map(str, args)], stdin=subprocess.DEVNULL, stdout=o,
                       stderr=e, env=memattach.environ(), timeout=300, check=True,
                       preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space)))
    peak, rc = map(int, Path(f"{out}-peak").read_text().split())
    return peak * 1024, rc, out.read_bytes(), Path(f"{out}-err").read_bytes()


def check_bounded(memattach, path, command, most=None, **options):
    args = [command[0], path, *(c or path for c in command[1:])]
    peak, rc, out, err = run_bounded(memattach, args, **options)
    assert most is None or peak < most, f"{path.stat().st_size} bytes made {peak / MB:.0f} MB: {args}"
    lines = err.decode().splitlines()
    assert rc in ((0, 6) if "address_space" not in options else (0, 1, 6, 7)), (args, rc, err)
    assert rc == 0 or (len(lines) <= 2 and all(l.startswith("memattach: ") for l in lines)), (args, err)
    assert rc or out or command[0] == "export"


@pytest.mark.parametrize("commands", [COMMANDS[:1], pytest.param(COMMANDS, marks=pytest.mark.long)], ids=["some", "all"])
def test_small_files_make_little(made, memattach, commands):
    """Files of at most 1 MB, of which a table, unpacked, would take far more: up to 1.5 GB."""
    bombs = sorted(p for p in made.glob("bomb-*.mem") if p.stem not in ("bomb-objects", "bomb-edges"))
    assert len(bombs) >= 20 and all(p.stat().st_size <= MB for p in bombs)
    for path in bombs:
        if commands is not COMMANDS and path.stem[5:] not in ("frames", "regions", "host", "names-of-threads", "types", "lost-names"):
            continue
        for command in commands:
            most = 900 if path.stem == "bomb-frames" and command[-1] in ("--json", "json") else 640 if command[0] == "diff" else 320
            if command[0] != "paths":  # of no object
                check_bounded(memattach, path, command, most * MB)


def test_lost_definitions_in_every_command(made, memattach):
    for command in COMMANDS:
        if command[0] != "paths":
            check_bounded(memattach, made / "bomb-lost-types.mem", command, 128 * MB)


@pytest.mark.parametrize("name", ["objects", "edges"])
def test_graphs_that_do_not_fit(made, memattach, name):
    """Many objects are no fault of a file (a list of 100 M times None takes 108 kB in it): what does not fit says so. What needs no
    graph takes no memory for it."""
    path = made / f"bomb-{name}.mem"
    assert path.stat().st_size < MB / 4
    for command in (("report",), ("report", "--brief", "--json")):
        check_bounded(memattach, path, command, address_space=200 * MB)  # no more than that can be resident
    for command in (("check",), ("query", "SELECT count(*) FROM types")):
        check_bounded(memattach, path, command, 96 * MB)


@pytest.mark.parametrize("name", ["objects", "edges"])
def test_what_does_not_fit_is_an_error(made, memattach, cgroup, need_root, name):
    """In a cgroup of 90 MB: an error, where the kernel would end a process of the group, not always this one."""
    group = cgroup("memory", {"memory.limit_in_bytes": 90 * MB})
    for command in (("report",), ("export", "--format", "collapsed")):
        check_error(memattach.run(command[0], made / f"bomb-{name}.mem", *command[1:], wrap=in_group(group)), 1, "out of memory")
