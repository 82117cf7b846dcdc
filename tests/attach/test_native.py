# SPDX-License-Identifier: Apache-2.0
"""`memattach stacks`, with and without native frames, and that pystack sees the same."""
import json
import os
from pathlib import Path

import pytest

import matrix
import pystack
from target import line_of, program_path, wait_until
from test_faults import settled
from unharmed import Unharmed

PAUSE = {"x86_64": "34", "aarch64": "73"}[os.uname().machine]  # aarch64: ppoll, by which glibc makes pause


@pytest.fixture(scope="session")
def other_tool():
    tool, why = pystack.find()
    if not tool:
        pytest.skip(why)
    return tool


def standing(t):
    """The target when all its threads but the main one are in pause()."""
    def all_wait():
        calls = [(task / "syscall").read_text().split()[0] for task in Path(f"/proc/{t.pid}/task").iterdir()
                 if task.name != str(t.pid)]
        return len(calls) == 7 and set(calls) == {PAUSE}
    wait_until(all_wait, what="every thread to be in pause()")
    return t


def stacks(memattach, pid, *options):
    done = memattach.run("stacks", pid, "--json", *options)
    assert done.rc == 0 and not done.err, done
    return json.loads(done.out)


def python_frames(report):
    return {th["tid"]: [(f["function"].split(".")[-1], f["file"], f["line"]) for f in th["frames"]]
            for th in report["threads"] if th["frames"]}


def by_function(report, function):
    found = [th for th in report["threads"] if any(f["function"].split(".")[-1] == function for f in th["frames"])]
    assert len(found) == 1, [th["name"] for th in found]
    return found[0]


def natives(thread):
    return [f["function"] for f in thread["native"]]


def test_same_as_pystack(python, start, memattach, other_tool):
    t = standing(start(python, "stacks"))
    theirs = {tid: [f[1:] for f in frames] for tid, frames in pystack.stacks(other_tool, t.pid).items()}
    with Unharmed(t):
        ours, with_native = stacks(memattach, t.pid), stacks(memattach, t.pid, "--native")
    # pystack names the function without its class
    assert {tid: [(f, str(file), line) for f, file, line in v] for tid, v in theirs.items()} == python_frames(ours)
    assert python_frames(ours) == python_frames(with_native)
    assert len(theirs) == 7 and sum(map(len, theirs.values())) > 200
    matrix.way(f"`stacks` prints the frames that pystack {pystack.VERSION} prints", python)
    t.end_well()


def test_native_frames(python, start, memattach):
    t = standing(start(python, "stacks"))
    with Unharmed(t):
        report = stacks(memattach, t.pid, "--native")
    assert report["consistency"] == "gil-free" and report["attempts"] == 1
    threads = report["threads"]
    assert {th["tid"] for th in threads} == {int(name) for name in os.listdir(f"/proc/{t.pid}/task")}
    for th in threads:
        # each Python frame has its place, in order
        assert [i for f in th["native"] for i in f["python"]] == list(range(len(th["frames"]))), th["name"]
        for f in th["native"]:
            assert {"pc", "function", "module", "file", "line", "python"} == set(f)
            assert int(f["pc"], 16) > 4096
            if python.minor < (3, 12):  # later ones are told by their place on the stack: newer compilers split them
                assert not f["python"] or "Eval" in f["function"]
        if python.minor < (3, 11):  # a Python call is a C call
            assert all(len(f["python"]) < 2 for f in th["native"])
    alone, = (th for th in threads if not th["frames"])
    assert "pause" in natives(alone)[:4] and not any("Py" in name for name in natives(alone))
    qsort = by_function(report, "sorts_in_c")
    calls = natives(qsort)
    assert "pause" in calls[:4] and "/lib" in qsort["native"][0]["module"]
    # the callback stands above the C function that calls it, which stands above the Python frame that called that
    at = next(i for i, name in enumerate(calls) if name.startswith("qsort"))
    above = [qsort["frames"][k]["function"].split(".")[-1] for f in qsort["native"][:at] for k in f["python"]]
    below = [qsort["frames"][k]["function"].split(".")[-1] for f in qsort["native"][at:] for k in f["python"]]
    assert above == ["wait_in_c", "inner", "called_by_qsort"] and below[:2] == ["sorts_in_c", "recursion"]
    assert all("PyFrame_" not in name for name in calls)
    main, = (th for th in threads if th["tid"] == t.pid)
    assert natives(main)[-1] == "_start" or natives(main)[-1] == ""
    t.end_well()


def test_native_text(one_python, start, memattach):
    t = standing(start(one_python, "stacks"))
    done = memattach.run("stacks", t.pid, "--native")
    assert done.rc == 0, done
    blocks = [b for b in done.out.split("\n\n") if "sorts_in_c" in b]
    assert len(blocks) == 1, done.out
    lines = [line.split(" (")[0].strip() for line in blocks[0].splitlines()[1:]]
    order = ["C  pause", "wait_in_c", "called_by_qsort.<locals>.inner", "called_by_qsort", "C  qsort_r", "sorts_in_c", "recursion"]
    places = [lines.index(name) for name in order]
    assert places == sorted(places), lines
    assert f"sorts_in_c ({program_path('stacks')}:{line_of('stacks', 'qsort')})" in blocks[0]
    assert "(no Python)" in done.out
    t.end_well()


def test_native_while_it_runs(hazard_python, start, memattach):
    """Stacks that change all the time: every frame has its place all the same, but for one that is being entered."""
    t = start(hazard_python, "threads", 8)
    for _ in range(5):
        with Unharmed(t, quiet=False):
            report = stacks(memattach, t.pid, "--native")
        assert len(report["threads"]) == 9
        for th in report["threads"]:
            placed = [i for f in th["native"] for i in f["python"]]
            assert placed == list(range(len(placed))) and len(th["frames"]) - len(placed) <= 1, th
            assert th["native"], th
    t.end_well()


def test_native_needs_stacks(memattach):
    done = memattach.run("snap", "1", "--native")
    assert done.rc == 2 and "--native" in done.err, done


@pytest.mark.parametrize("action", ["kill-command", "kill-both", "abort"])
def test_no_file_stays(one_python, start, faulty, monkeypatch, tmp_path, action):
    """What it writes has no name, so that nothing is left however it ends."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tmp").mkdir()
    t = start(one_python, "idle")
    before = sorted(tmp_path.rglob("*"))
    for point in ("FILE_CREATED", "TWIN_BORN", "BLOCKS_WRITTEN"):
        with Unharmed(t, ignore=r"children$"):
            done, reached = faulty.run_with(f"{point}:{action}", "stacks", t.pid)
            settled(t, faulty)
        assert reached and done.rc, done
        assert sorted(p for p in tmp_path.rglob("*") if p.name != "acted") == before
    assert faulty.run("stacks", t.pid).rc == 0
    assert sorted(p for p in tmp_path.rglob("*") if p.name != "acted") == before
    t.end_well()
