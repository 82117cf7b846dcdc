# SPDX-License-Identifier: Apache-2.0
"""Runs the memattach command and reads what it says, by the contract of docs/json.md."""
import itertools
import json
import os
import re
import signal
import socket
import stat
import subprocess
import time
from datetime import datetime
from pathlib import Path

MEMORY_ROWS = {"objects", "buffers", "pymalloc_free_blocks", "pymalloc_free_pools", "arena_slack", "freelists",
               "pymalloc_other", "malloc_used", "malloc_slack", "malloc_free", "malloc_unread", "stacks",
               "code", "data", "file", "shared", "huge_waste", "unknown"}
CONSISTENCIES = {"gil-free", "safe-point", "arbitrary"}
EXIT = {"done": 0, "failed": 1, "usage": 2, "gone": 3, "not permitted": 4, "not supported": 5, "bad data": 6, "limit": 7}


class Done:
    def __init__(self, args, rc, out, err):
        self.args, self.rc, self.out, self.err = args, rc, out, err

    def __repr__(self):
        return f"memattach {' '.join(self.args)}: exit code {self.rc}, stderr {self.err!r}, stdout {self.out[:300]!r}"


class Snapshot:
    def __init__(self, path, report):
        self.path, self.report = Path(path), report

    def __getattr__(self, name):
        try:
            return self.__dict__["report"][name]
        except KeyError:
            raise AttributeError(f"no field '{name}' in the report") from None

    def counts(self):
        return {t["type"]: t["count"] for t in self.report["types"]}

    def rows(self):
        return {m["name"]: m["bytes"] for m in self.report["memory"]}

    def frames(self, function):
        """The stacks, innermost first as (function, line), of the threads that have `function` on them. Functions are
        named without their class, which code objects know from 3.11 on."""
        stacks = [[(f["function"].split(".")[-1], f["line"]) for f in t["frames"]] for t in self.report["threads"]]
        return [s for s in stacks if function in [name for name, _ in s]]


def with_raw_live(words):
    """With MEMATTACH_RAW=live every snapshot of a process is taken without a copy of its raw data (docs/hacking.md)."""
    alone = {"--raw", "--stop", "--core", "--tree", "--cgroup", "--help"}
    taken = words and (words[0].isdigit() or (words[0] == "snap" and words[1:2] and words[1].isdigit()))
    if os.environ.get("MEMATTACH_RAW") != "live" or not taken or alone & {w.partition("=")[0] for w in words}:
        return words
    return [*words, "--raw", "live"]


class Memattach:
    """One for each test: its files go to a folder of the test, its processes carry a mark in their environment."""
    counter = itertools.count()

    def __init__(self, path, folder):
        self.path, self.folder = str(path), Path(folder)
        self.mark = f"{os.getpid()}-{next(self.counter)}"
        self.names = (self.folder / f"snap{n}.mas" for n in itertools.count())
        self.running, self.said = [], []

    def environ(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        env.update(MEMATTACH_TEST_MARK=self.mark, XDG_DATA_HOME=str(self.folder / "data"), NO_COLOR="1", LC_ALL="C.UTF-8")
        return env

    def start(self, *args, wrap=(), **options):
        """Starts memattach in a session of its own; ended by close() at the latest."""
        p = subprocess.Popen([*wrap, self.path, *with_raw_live([str(a) for a in args])], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, env=self.environ(), start_new_session=True, **options)
        self.running.append(p)
        return p

    def run(self, *args, timeout=120, wrap=(), **options):
        p = self.start(*args, wrap=wrap, **options)
        try:
            out, err = p.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            p.kill()
            out, err = p.communicate()
            raise AssertionError(f"memattach {args} did not end within {timeout} s: {err!r}") from None
        finally:
            self.running.remove(p)
        self.said += [err.decode(errors="replace")] if err else []
        return Done([str(a) for a in args], p.returncode, out.decode(errors="replace"), err.decode(errors="replace"))

    def new_path(self):
        return next(self.names)

    def snapshot(self, pid, path=None, check=True, whole=True, **options):
        """memattach PID -o FILE --json, which must succeed."""
        path = Path(path or self.new_path())
        done = self.run(pid, "-o", path, "--json", **options)
        assert done.rc == 0, done
        snap = Snapshot(path, json.loads(done.out))
        if check:
            check_report(snap, pid, whole)
        return snap

    def snap(self, pid, path=None):
        """memattach snap PID; the path of the file."""
        path = Path(path or self.new_path())
        done = self.run("snap", pid, "-o", path)
        assert done.rc == 0, done
        return path

    def diff(self, *paths):
        done = self.run("diff", *paths, "--json")
        assert done.rc == 0, done
        return json.loads(done.out)

    def query(self, path, sql):
        done = self.run("query", path, sql, "--json")
        assert done.rc == 0, done
        return json.loads(done.out)

    def value(self, path, sql):
        """The one number of a query with one row and one column, however the rows are written."""
        answer = self.query(path, sql)
        while isinstance(answer, (list, dict)):
            if isinstance(answer, dict) and "rows" in answer:
                answer = answer["rows"]
            items = list(answer.values()) if isinstance(answer, dict) else answer
            assert len(items) == 1, answer
            answer = items[0]
        return answer

    def processes(self):
        """Every process that a run of ours has started and that still lives: command, tracer, helpers. By the mark in
        the environment, so that no other session's processes are ever seen."""
        found, wanted = [], f"MEMATTACH_TEST_MARK={self.mark}".encode()
        for name in os.listdir("/proc"):
            if not name.isdigit():
                continue
            try:
                with open(f"/proc/{name}/environ", "rb") as f:
                    if wanted in f.read().split(b"\0"):
                        found.append(int(name))
            except OSError:
                pass
        return sorted(found)

    def wait_gone(self, seconds=5.0):
        end = time.monotonic() + seconds
        while self.processes():
            assert time.monotonic() < end, f"still running after {seconds} s: {[describe(p) for p in self.processes()]}"
            time.sleep(0.005)

    def tracer_of(self, p):
        """The pids of the processes below the command `p`."""
        return [q for q in self.processes() if q != p.pid]

    def close(self):
        for p in self.running:
            if p.poll() is None:
                p.kill()
            p.wait()
            p.stdout.close()
            p.stderr.close()
        end = time.monotonic() + 5
        while self.processes() and time.monotonic() < end:
            time.sleep(0.01)
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def describe(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().split(")")[0] + ")"
    except OSError:
        return f"{pid} (gone)"


def check_error(done, code, *words):
    """One line on stderr that has each of `words` (any of them where a word is a tuple), nothing on stdout."""
    assert done.rc == code if isinstance(code, int) else done.rc in code, done
    assert done.out == "", done
    lines = done.err.splitlines()
    assert lines and lines[0].startswith("memattach: "), done
    assert len(lines) == 1, f"more than one line: {done}"
    for word in words:
        choices = word if isinstance(word, tuple) else (word,)
        assert any(c.lower() in done.err.lower() for c in choices), f"none of {choices} in: {done}"


def check_nothing_left(path):
    """Neither the snapshot nor a half-written one is there."""
    path = Path(path)
    left = [p.name for p in path.parent.glob(path.name + "*")] if path.parent.is_dir() else []
    assert not left, f"left behind: {left}"


def came(path):
    """Bytes of a snapshot from another machine that are here so far."""
    return sum(f.stat().st_size for f in path.parent.glob(path.name + ".tmp-*"))


def parts(path):
    """What is there of a snapshot: [""], [".part", ".part.resume"], ..."""
    return sorted(f.name.removeprefix(path.name) for f in path.parent.glob(path.name + "*"))


def check_report(snap, pid=None, whole=True):
    """What every snapshot of an unharmed target must say of itself."""
    r = snap.report
    for field in ("snapshot", "taken_at", "host", "pid", "command", "python", "schema", "consistency", "pause_ns",
                  "attempts", "twin_ns", "rss_bytes", "objects", "edges", "bytes", "refcount_excess", "faults", "types",
                  "threads", "memory"):
        assert field in r, f"no '{field}' in the report"
    assert r["schema"] == 1
    assert os.path.realpath(r["snapshot"]) == os.path.realpath(snap.path)
    assert stat.S_IMODE(snap.path.stat().st_mode) == 0o600
    if pid is not None:
        assert r["pid"] == pid
    assert r["host"] == socket.gethostname()
    age = time.time() - datetime.fromisoformat(re.sub(r"\.(\d{6})\d*", r".\1", r["taken_at"]).replace("Z", "+00:00")).timestamp()
    assert -2 < age < 600, f"taken_at {r['taken_at']} is {age} s ago"
    assert re.fullmatch(r"3\.\d+\.\d+\S*", r["python"]), r["python"]
    assert r["consistency"] in CONSISTENCIES
    assert r["pause_ns"] > 0 and r["twin_ns"] > 0 and 1 <= r["attempts"] <= 3
    assert r["faults"] == 0, f"faults {r['faults']}"
    assert r["objects"] > 1000 and r["edges"] > r["objects"] / 2 and r["bytes"] > 100_000
    types = r["types"]
    assert len({t["type"] for t in types}) == len(types), "a type stands twice in the list"
    assert [t["bytes"] for t in types] == sorted((t["bytes"] for t in types), reverse=True), "types not largest first"
    assert sum(t["count"] for t in types) == r["objects"]
    assert sum(t["bytes"] for t in types) == r["bytes"]
    rows = snap.rows()
    assert set(rows) == MEMORY_ROWS, set(rows) ^ MEMORY_ROWS
    assert all(v >= 0 for v in rows.values()), rows
    assert sum(rows.values()) == r["rss_bytes"], f"{sum(rows.values())} != {r['rss_bytes']}: {rows}"
    assert r["explained_bytes"] == r["rss_bytes"] - rows["unknown"]
    for t in r["threads"]:
        assert {"tid", "name", "holds_gil", "frames"} <= set(t), t
        for f in t["frames"]:
            assert {"file", "function", "line"} <= set(f), f
    assert sum(t["holds_gil"] for t in r["threads"]) <= 1, "two threads hold the GIL"
    if whole:
        assert r["consistency"] != "arbitrary", r["notes"]
        assert r["refcount_excess"] == 0, f"refcount_excess {r['refcount_excess']}"
