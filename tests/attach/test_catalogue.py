# SPDX-License-Identifier: Apache-2.0
"""The catalogue as a user meets it: every snapshot is listed, found again by id and by time, and removed."""
import json
import os
import signal
import sqlite3
import stat
import subprocess
import time

import pytest

from target import in_group, wait_until

MB = 1 << 20


def listed(memattach, *args):
    done = memattach.run("ls", "--json", *args)
    assert done.rc == 0 and done.err == "", done
    return json.loads(done.out)


def snap(memattach, pid, *args):
    """Takes one; its path and id."""
    done = memattach.run("snap", pid, *args)
    assert done.rc == 0 and done.err == "", done
    return done.out.split()[0], done.out.split()[-1]


@pytest.fixture
def idle(start, one_python):
    return start(one_python, "idle", 100)


def test_lists_what_was_taken(idle, memattach):
    assert listed(memattach) == []
    assert "no snapshots" in memattach.run("ls").out
    own = memattach.folder / "own.mem"
    path, first = snap(memattach, idle.pid)
    report = memattach.run(idle.pid, "-o", own, "--json", "--values", "prefix:20")
    assert report.rc == 0 and report.err == "", report
    report = json.loads(report.out)
    rows = listed(memattach)
    assert [r["path"] for r in rows] == [path, str(own)]
    assert rows[0]["id"] == first and rows[0]["values"] == "hash"
    got = rows[1]
    for field in ("taken_at", "host", "pid", "command", "python", "objects", "bytes", "rss_bytes", "values", "complete"):
        assert got[field] == report[field], field
    assert got["state"] == "there" and got["file_bytes"] == own.stat().st_size
    folder = memattach.folder / "data" / "memattach"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "catalogue.db").stat().st_mode) == 0o600
    text = memattach.run("ls").out
    assert first in text and "idle.py" in text and max(map(len, text.splitlines())) <= 80, text


def test_found_by_id_and_time(idle, memattach):
    path, first = snap(memattach, idle.pid)
    want = memattach.run("report", path, "--json").out
    for word, options in ((first, ()), ("@now", ("--pid", idle.pid)), ("@5m", ("--name", "idle.py")), ("@now", ())):
        done = memattach.run("report", word, "--json", *options)
        assert done.rc == 0 and done.out == want, done
        assert (f"{word} is {first}" in done.err) == (word != first), done
    assert memattach.run("check", first).rc == 0
    assert memattach.run("query", first, "SELECT count(*) FROM objects", "--csv").out.split()[1] != "0"
    text = memattach.run("report", first).out
    assert f"snapshot {first} " in text and f"memattach report {first}" in text
    done = memattach.run("report", "@now", "--pid", "1")
    assert done.rc == 1 and "no snapshot" in done.err, done
    assert memattach.run("report", "@noon").rc == 2


def test_moved_and_removed(idle, memattach):
    (a, first), (b, second) = (snap(memattach, idle.pid, "-o", memattach.folder / f"{n}.mem") for n in "ab")
    os.rename(a, a + ".moved")
    assert [(r["state"], r["path"]) for r in listed(memattach)] == [("there", a + ".moved"), ("there", b)]
    away = memattach.folder / "away"
    away.mkdir()
    os.rename(a + ".moved", away / "a.mem")
    assert [r["state"] for r in listed(memattach)] == ["missing", "there"]
    assert "--prune" in memattach.run("ls").out
    assert memattach.run("report", first).rc == 1
    assert [r["id"] for r in listed(memattach, "--prune")] == [second]
    done = memattach.run("rm", second, "3f2a")
    assert done.rc == 1 and "3f2a" in done.err and "removed 1 snapshot" in done.out, done
    assert not os.path.exists(b) and (away / "a.mem").exists() and listed(memattach) == []
    # a file that is no longer the snapshot stays
    c, third = snap(memattach, idle.pid, "-o", memattach.folder / "c.mem")
    with open(c, "w") as f:
        f.write("something that somebody wrote")
    done = memattach.run("rm", third)
    assert done.rc == 6 and "left alone" in done.err and os.path.exists(c), done


def test_keep(start, one_python, idle, memattach):
    other = start(one_python, "idle", 5)
    kept, _ = snap(memattach, other.pid, "-o", memattach.folder / "other.mem")
    paths = [snap(memattach, idle.pid, "-o", memattach.folder / f"{n}.mem")[0] for n in range(3)]
    last, _ = snap(memattach, idle.pid, "--keep", 2, "-o", memattach.folder / "last.mem")
    assert [os.path.exists(p) for p in paths] == [False, False, True]
    assert [r["path"] for r in listed(memattach)] == [kept, paths[2], last]
    done = memattach.run("rm", "--keep", 0, "--pid", idle.pid)
    assert done.rc == 0 and "removed 2" in done.out, done
    assert [r["path"] for r in listed(memattach)] == [kept]


@pytest.mark.parametrize("trouble", ["garbage", "locked", "no folder"])
def test_never_the_snapshot_s_fault(trouble, idle, memattach):
    path, _ = snap(memattach, idle.pid)
    db = memattach.folder / "data" / "memattach" / "catalogue.db"
    holder = None
    if trouble == "garbage":
        db.write_bytes(b"no database" * 100)
    elif trouble == "locked":
        holder = sqlite3.connect(db, isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
    else:
        subprocess.run(["rm", "-r", memattach.folder / "data"], check=True)
        (memattach.folder / "data").write_text("a file")
    out = memattach.folder / "out.mem"
    done = memattach.run(idle.pid, "-o", out, "--json", "--values", "none")
    if holder:
        holder.close()
    assert done.rc == 0 and json.loads(done.out)["complete"], done
    assert done.err.count("\n") == 1 and "not in the catalogue" in done.err, done
    assert memattach.run("check", out).rc == 0


def test_two_at_the_same_time(start, one_python, memattach):
    targets = [start(one_python, "idle", 5) for _ in range(4)]
    running = [memattach.start("snap", t.pid) for t in targets]
    for p in running:
        out, err = p.communicate(timeout=60)
        assert p.returncode == 0 and err == b"", err
    assert sorted(r["pid"] for r in listed(memattach)) == sorted(t.pid for t in targets)


def follow(process, lines):
    """The next `lines` lines of a running command."""
    return [process.stdout.readline().decode().split() for _ in range(lines)]


def test_series(idle, memattach):
    began = time.monotonic()
    done = memattach.run("snap", idle.pid, "--every", "1s", "--count", 3)
    assert done.rc == 0 and done.err == "", done
    *lines, last = done.out.splitlines()
    assert len(lines) == 3 and 2 <= time.monotonic() - began < 60
    rows = listed(memattach)
    assert [x.split()[0] for x in lines] == [r["path"] for r in rows] and len({r["path"] for r in rows}) == 3
    assert last == f"next  memattach diff {rows[0]['id']} {rows[2]['id']}"
    assert all(memattach.run("check", r["id"]).rc == 0 for r in rows)
    idle.ping()


def test_series_keeps_the_newest_in_a_folder(idle, memattach):
    folder = memattach.folder / "here"
    done = memattach.run("snap", idle.pid, "--every", "1s", "--count", 3, "--keep", 2, "-o", folder)
    assert done.rc == 2 and "folder" in done.err, done
    folder.mkdir()
    done = memattach.run("snap", idle.pid, "--every", "1s", "--count", 3, "--keep", 2, "-o", folder)
    assert done.rc == 0, done
    assert sorted(map(str, folder.iterdir())) == sorted(x.split()[0] for x in done.out.splitlines()[1:3])


def test_series_has_one_key_where_none_can_be_stored(idle, memattach):
    (memattach.folder / "data").write_text("a file")
    out = memattach.folder / "out"
    out.mkdir()
    done = memattach.run("snap", idle.pid, "--every", "1s", "--count", 2, "-o", out)
    assert done.rc == 0, done
    select = "SELECT hash FROM objects WHERE type = 'str' AND length = 9 ORDER BY 1"
    a, b = (memattach.run("query", x.split()[0], select, "--csv").out for x in done.out.splitlines()[:2])
    assert a == b and a.count("\n") > 10


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_series_is_interrupted(number, idle, memattach):
    p = memattach.start("snap", idle.pid, "--every", "1h")
    (line,) = follow(p, 1)
    p.send_signal(number)
    out, err = p.communicate(timeout=30)
    assert p.returncode == 0 and out == b"" and err == b"memattach: interrupted: 1 snapshot was taken\n", (out, err)
    assert [r["path"] for r in listed(memattach)] == [line[0]]
    idle.ping()


def test_series_ends_with_the_process(idle, memattach):
    p = memattach.start("snap", idle.pid, "--every", "1h")
    follow(p, 1)
    idle.end_well()
    out, err = p.communicate(timeout=30)
    assert p.returncode == 0 and b"has ended" in err, (p.returncode, out, err)
    done = memattach.run("snap", idle.pid, "--every", "1s")
    assert done.rc == 3 and done.out == "", done


def test_series_of_two(start, one_python, idle, memattach):
    other = start(one_python, "idle", 5)
    p = memattach.start("snap", idle.pid, other.pid, "--every", "1s")
    follow(p, 2)
    other.end_well()
    seen = len(listed(memattach, "--pid", idle.pid))
    while p.stdout.readline() and len(listed(memattach, "--pid", idle.pid)) < seen + 2:
        pass
    idle.end_well()
    out, err = p.communicate(timeout=30)
    assert p.returncode == 0 and err.decode().splitlines() == [f"memattach: pid {x} has ended" for x in (other.pid, idle.pid)]
    assert all(r["complete"] for r in listed(memattach))


def test_series_goes_on_after_a_failure(idle, memattach):
    out = memattach.folder / "out"
    out.mkdir()
    p = memattach.start("snap", idle.pid, "--every", "1s", "--count", 3, "-o", out)
    follow(p, 1)
    out.rename(memattach.folder / "away")
    err = p.stderr.readline()
    (memattach.folder / "away").rename(out)
    lines, rest = p.communicate(timeout=30)
    assert p.returncode == 1 and b"cannot" in err and b"of 3 snapshots failed" in rest, (err, rest)


def test_series_usage(memattach):
    for args in (("--count", "3"), ("--every", "fast"), ("--every", "0s"), ("--every", "1s", "--count", "0")):
        done = memattach.run("snap", 1, *args)
        assert done.rc == 2, done


def family_of(target):
    """{pid: parent's pid} of the children that tests/targets/family.py said."""
    (line,) = [x for x in target.lines if x.startswith("family ")]
    pairs = [x.split() for x in line[len("family "):].split(";") if x.strip()]
    return {int(pid): int(parent) for pid, parent in pairs}


def kernel_pss(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        fields = dict(x.split(":", 1) for x in f if ":" in x)
    return int(fields["Pss"].split()[0]) * 1024


def test_tree(start, python, memattach):
    t = start(python, "family")
    parents = {**family_of(t), t.pid: os.getpid()}
    done = memattach.run("--tree", t.pid, "--json")
    assert done.rc == 0 and done.err == "", done
    tree = json.loads(done.out)
    assert [p["pid"] for p in tree["processes"]][0] == t.pid
    assert {p["pid"]: p["parent_pid"] for p in tree["processes"]} == parents, "five Pythons, and no sleep"
    memory = {m["name"]: m for m in tree["memory"]}
    assert sum(p["rss_bytes"] for p in tree["processes"]) == tree["rss_bytes"] == sum(m["rss_bytes"] for m in memory.values())
    assert abs(sum(p["pss_bytes"] for p in tree["processes"]) - tree["pss_bytes"]) <= 8
    # shared memory is there once; the anonymous pages as the kernel counts them
    assert memory["shmem"]["rss_bytes"] >= 32 * MB and 32 * MB <= memory["shmem"]["pss_bytes"] < 34 * MB, memory
    truth = sum(kernel_pss(pid) for pid in parents)
    assert abs(tree["pss_bytes"] - truth) < 0.2 * truth, (tree["pss_bytes"], truth, memory)
    # the same again, by one of them
    rows = listed(memattach)
    assert sorted(r["pid"] for r in rows) == sorted(parents)
    assert len({r["tree"] for r in rows}) == 1 and rows[0]["tree"]
    again = memattach.run("report", "--tree", rows[2]["id"], "--json")
    assert json.loads(again.out) == tree, again
    files = memattach.run("report", "--tree", *[p["snapshot"] for p in tree["processes"]], "--json")
    assert json.loads(files.out) == tree, files
    text = memattach.run("report", "--tree", rows[2]["id"])
    assert text.rc == 0 and all(r["id"] in text.out for r in rows) and max(map(len, text.out.splitlines())) <= 80, text.out
    t.end_well()


def test_tree_in_series(start, one_python, memattach):
    t = start(one_python, "family")
    children = family_of(t)
    p = memattach.start("snap", "--tree", t.pid, "--every", "1s")
    first = follow(p, 5)
    gone = next(pid for pid, parent in children.items() if parent == t.pid and pid not in children.values())
    os.kill(gone, signal.SIGKILL)
    seen = len(listed(memattach, "--pid", t.pid))
    while p.stdout.readline() and len(listed(memattach, "--pid", t.pid)) < seen + 2:
        pass
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=30)
    assert p.returncode == 0 and b"interrupted" in err, err
    assert len(first) == 5 and len(listed(memattach, "--pid", gone)) < len(listed(memattach, "--pid", t.pid))
    tree = memattach.run("report", "--tree", "@now", "--pid", t.pid, "--json")
    assert gone not in [x["pid"] for x in json.loads(tree.out)["processes"]]


def test_name(start, one_python, memattach):
    mark = f"mark-{os.getpid()}-{time.monotonic_ns()}"
    done = memattach.run("snap", "--name", mark)
    assert done.rc == 3 and mark in done.err, done
    one = start(one_python, "family", mark)
    done = memattach.run("snap", "--name", mark)
    assert done.rc == 2 and f"--tree {one.pid}" in done.err and done.err.count("\n") == 1, done
    done = memattach.run("snap", "--name", mark, "--tree")
    assert done.rc == 0 and len(listed(memattach)) == 5, done
    assert memattach.run("snap").rc == 2
    assert memattach.run("snap", one.pid, "--name", mark).rc == 2
    assert memattach.run("--tree", 4194304 - 1).rc == 3


@pytest.mark.parametrize("by", ["path", "folder", "group above"])
def test_cgroup(start, one_python, memattach, cgroup, by):
    """The Pythons of a group and of those below it, and no others; looked up again for each round."""
    folder = cgroup("memory", {})
    below = f"{folder}/below"
    os.mkdir(below)
    try:
        t, inner = start(one_python, "family", wrap=in_group(folder)), start(one_python, "idle", wrap=in_group(below))
        other = start(one_python, "idle")
        path = folder.removeprefix("/sys/fs/cgroup/memory") if by == "path" else folder
        wanted = {t.pid, *family_of(t), inner.pid}
        if by == "group above":
            path, wanted = below, {inner.pid}
        done = memattach.run("--cgroup", path, "--json")
        assert done.rc == 0 and done.err == "", done
        tree = json.loads(done.out)
        assert {p["pid"] for p in tree["processes"]} == wanted and other.pid not in wanted
        assert sum(p["pss_bytes"] for p in tree["processes"]) <= tree["rss_bytes"]
        done = memattach.run("--cgroup", path)
        assert done.rc == 0 and max(map(len, done.out.splitlines())) <= 80, done
        for x in (inner, other):
            x.end_well()
        if by == "path":
            p = memattach.start("snap", "--cgroup", path, "--every", "1s")
            assert len(follow(p, len(wanted) - 1)) == len(wanted) - 1
            t.close()
            out, err = p.communicate(timeout=30)
            assert p.returncode == 0, err
        t.close()
        assert memattach.run("snap", "--cgroup", folder).rc == 3, "nobody is there any more"
    finally:
        wait_until(lambda: not open(below + "/cgroup.procs").read().strip(), what="an empty control group")
        os.rmdir(below)


@pytest.mark.parametrize("args", [("--cgroup", "relative"), ("--cgroup", "/x", "1"), ("--cgroup", "/x", "--tree"),
                                  ("--cgroup", "/x", "--name", "y"), ("stacks", "1", "--cgroup", "/x")])
def test_cgroup_usage(memattach, args):
    done = memattach.run(*args)
    assert done.rc == 2 and done.err.count("\n") == 1, done
