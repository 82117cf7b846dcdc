# SPDX-License-Identifier: Apache-2.0
"""Large ranges without a Python object: what is taken for one, that a snapshot without a copy of them says the same, and that
they are given back to the program whatever is killed."""
import json
import os
import re
import signal
from pathlib import Path

import pytest
import test_data
from memattach import check_nothing_left
from target import require, wait_until
from unharmed import Unharmed, differences, state

MB = 1 << 20
MADVISE = 28  # asm/unistd_64.h
SMALL_PAGES = {"NUMPY_MADVISE_HUGEPAGE": "0"}
# of a report: what differs between two snapshots of the same heap
OF_THE_MOMENT = re.compile(r"(snapshot|taken_at|uptime.*|.*_ns|target_faults|notes|raw.*|live_bytes|attempts|consistency|"
                           r"copy_faults|.*pause.*)$")


@pytest.fixture(scope="session", params=test_data.chosen() or [None], ids=lambda p: p.id if p else "none")
def data_python(request):
    if not request.param:
        pytest.skip("no CPython 3.11 or 3.13 of pyenv")
    path, reason = test_data.venv(request.param)
    if not path:
        pytest.skip(f"numpy can not be installed for {request.param.id}: {reason}")
    return path


@pytest.fixture(autouse=True)
def journals_of_our_own(monkeypatch, tmp_path):
    """Any run of root undoes what it finds in the folders that all share: one of another session, too."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def doctor(memattach, pid):
    done = memattach.run("doctor", pid, "--json")
    assert done.rc == 0, done
    return json.loads(done.out)


def mappings(pid):
    """Every mapping with the flags that the kernel keeps of it."""
    text = Path(f"/proc/{pid}/smaps").read_text()
    heads = re.findall(r"^([0-9a-f]+-[0-9a-f]+ \S+ .*)$", text, re.M)
    flags = re.findall(r"^VmFlags: (.*)$", text, re.M)
    assert len(heads) == len(flags)
    return list(zip(heads, flags))


def check_mappings(t, before):
    require(t.alive(), f"the target ended: {t.describe()}")
    require(mappings(t.pid) == before, f"the target is changed: {differences({'mappings': before}, {'mappings': mappings(t.pid)})}")


def kept_out(pid):
    return [m for m, flags in mappings(pid) if "dc" in flags.split()]


def journals():
    return Path(os.environ["XDG_RUNTIME_DIR"]) / "memattach"


def journals_of(pid):
    return [f for f in journals().glob(f"undo-{pid}-*")]


def check_given_back(t, before):
    """The ranges are the program's again, in the children that it forks, too, and no journal says otherwise."""
    check_mappings(t, before)
    assert not journals_of(t.pid)
    forked = t.ask("fork", "forked")
    require(forked == "forked 0", f"a child of the target lacks what it should have: {forked}")


def full_report(memattach, t, *args):
    done = memattach.run(t.pid, *args, "--full", "--json", "-o", memattach.new_path())
    assert done.rc == 0, done
    return json.loads(done.out)


def same(memattach, t, raw):
    """A snapshot with everything in the copy, and one without the raw data: they say the same."""
    before = mappings(t.pid)
    with Unharmed(t):
        live, expected = (full_report(memattach, t, "--raw", how) for how in ("live", "copy"))
        check_mappings(t, before)
    for key in expected:
        if not OF_THE_MOMENT.match(key):
            assert live[key] == expected[key], key
    assert live["faults"] == 0 and live["refcount_excess"] == 0
    assert live["raw_bytes"] >= raw * 30 * MB and expected["raw_bytes"] == 0
    assert live["raw_saved_ns"] > 1_000_000
    assert sum(m["bytes"] for m in live["memory"]) == live["rss_bytes"]
    check_given_back(t, before)
    return live


def test_the_same_without_a_copy(python, start, memattach):
    t = start(python, "raw_data", env=SMALL_PAGES)
    got = doctor(memattach, t.pid)
    # bytes, bytearray, mapping, array, and the program's own; not the references
    assert 4 * 30 * MB <= got["raw_bytes"] <= (4 * 40 + 16) * MB
    assert 2_000_000 <= got["raw_saved_ns"] < got["estimate_ns"]
    assert len(kept_out(t.pid)) == 1
    live = same(memattach, t, 4)
    assert live["raw_bytes"] <= 4 * 40 * MB, "what the program keeps out itself was never in the copy"
    assert len(kept_out(t.pid)) == 1
    t.end_well()


def test_arrays_without_a_copy(data_python, start, memattach):
    t = start(data_python, "raw_data", env=SMALL_PAGES)
    same(memattach, t, 6)
    t.end_well()


def test_doctor_on_a_small_process(one_python, start, memattach):
    t = start(one_python, "idle")
    got = doctor(memattach, t.pid)
    assert (got["raw_bytes"], got["raw_saved_ns"]) == (0, 0)
    t.end_well()


POINTS = ["JOURNAL_WRITTEN", "RAW_KEPT_OUT", "REGISTERS_RESTORED", "RAW_GIVEN_BACK"]


@pytest.mark.parametrize("point", POINTS)
def test_the_command_undoes(one_python, start, faulty, point):
    """The tracer dies while the ranges are kept out of the program's children."""
    t = start(one_python, "raw_data")
    before = mappings(t.pid)
    done, reached = faulty.run_with(f"{point}:kill-tracer", t.pid, "--raw", "live", "-o", faulty.new_path())
    assert reached and done.rc == 1 and "is cleared away" in done.err, done
    check_given_back(t, before)
    t.end_well()


@pytest.mark.parametrize("point", POINTS)
def test_a_later_run_undoes(one_python, start, memattach, faulty, point):
    """Tracer and command die; a run for another process finds the journal."""
    t, other = start(one_python, "raw_data"), start(one_python, "idle")
    before = mappings(t.pid)
    _, reached = faulty.run_with(f"{point}:kill-both", t.pid, "--raw", "live", "-o", faulty.new_path())
    assert reached
    faulty.wait_gone()
    assert len(journals_of(t.pid)) == 1
    if point in POINTS[1:3]:
        assert len(kept_out(t.pid)) > 1
    assert "kept out" in memattach.run("doctor", t.pid).out
    memattach.snap(other.pid)
    check_given_back(t, before)
    t.end_well()


def test_the_process_ends_before_all_was_read(one_python, start, faulty):
    """What is read of the live process goes by its number, and a number may be used again: no such file is kept."""
    t = start(one_python, "raw_data")
    path = faulty.new_path()
    faulty.fault = "MEMORY_SURVEYED:stop"
    p = faulty.start("snap", t.pid, "--raw", "live", "-o", path)
    stopped = wait_until(lambda: [q for q in faulty.processes() if state(q) == "T"])
    t.signal(signal.SIGKILL)
    t.popen.wait(10)
    for q in stopped:
        os.kill(q, signal.SIGCONT)
    _, err = p.communicate(timeout=60)
    assert p.returncode == 3 and b"the process exited" in err, (p.returncode, err)
    check_nothing_left(path)


def test_undone_under_a_filter(one_python, start, memattach, faulty):
    """The program may not call madvise itself: who undoes lifts its filter, as who attaches does."""
    t = start(one_python, "raw_data", 40, MADVISE)
    before = mappings(t.pid)
    for action in ("kill-tracer", "kill-both"):
        _, reached = faulty.run_with(f"RAW_KEPT_OUT:{action}", t.pid, "--raw", "live", "-o", faulty.new_path())
        assert reached
        faulty.wait_gone()
    memattach.run("doctor", t.pid)
    memattach.snap(t.pid)
    check_given_back(t, before)
    t.end_well()


def test_journals_that_are_none(one_python, start, memattach):
    """Of a process that is gone, of another boot, cut off, of others' ranges: nothing is done, and they go."""
    t = start(one_python, "idle")
    before = mappings(t.pid)
    stat = Path(f"/proc/{t.pid}/stat").read_text().rpartition(")")[2].split()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    heap = [m for m, _ in mappings(t.pid) if "[heap]" in m][0].split("-")[0]
    begin = int(heap, 16) // (2 * MB) * 2 * MB
    ranges = f"{begin:x} {begin + 8 * MB:x}\n"
    texts = [f"memattach undo 1\nboot {boot}\npid {t.pid} start {stat[19]}\n{ranges}end\n",
             f"memattach undo 1\nboot {boot}\npid {t.pid} start 1\n{ranges}end\n",
             f"memattach undo 1\nboot 0\npid {t.pid} start {stat[19]}\n{ranges}end\n",
             f"memattach undo 1\nboot {boot}\npid {t.pid} start {stat[19]}\n{ranges}", ""]
    memattach.snap(t.pid)  # makes the folder
    for i, text in enumerate(texts):
        path = journals() / f"undo-{t.pid}-{i}"
        path.write_text(text)
        path.chmod(0o600)
    with Unharmed(t):
        memattach.snap(t.pid)
    assert not journals_of(t.pid)
    check_mappings(t, before)
    t.end_well()
