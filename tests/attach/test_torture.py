# SPDX-License-Identifier: Apache-2.0
"""Each way to an allocation, and each to a call for a file, fails once while memattach attaches: the target never notices,
and what is said is one line. The shipped binary, with tests/torture/preload.c before libc. What needs no target: torture.c."""
import os
import re
import shutil
import signal

import pytest

from conftest import is_long
from memattach import Memattach
from target import Harmed
from test_raw_data import check_mappings, journals_of, journals_of_our_own, mappings  # noqa: F401
from unharmed import Unharmed

FIXED = ("setarch", "-R")  # return addresses are what names a way
COMMANDS = {"snap": ["snap", "PID", "-o", "OUT"], "live": ["snap", "PID", "--raw", "live", "--values", "all", "-o", "OUT"],
            "stop": ["snap", "PID", "--stop", "-o", "OUT"], "core out": ["snap", "PID", "--core", "CORE", "-o", "OUT"],
            "core in": ["snap", "core:FILE", "-o", "OUT"], "stacks": ["stacks", "PID", "--native"], "doctor": ["doctor", "PID"],
            "series": ["snap", "PID", "--every", "1s", "--count", "1", "-o", "FOLDER"], "tree": ["snap", "PID", "--tree", "-o", "FOLDER"]}


class Tortured(Memattach):
    def run_with(self, args, **faults):
        """The library is for memattach alone: setarch itself begins at addresses that are others each time."""
        faults = [f"FAULTY_{k.upper()}={v}" for k, v in faults.items()]
        return self.run(*args, wrap=(*FIXED, "env", f"LD_PRELOAD={self.library}", *faults))


@pytest.fixture
def tortured(memattach):
    m = Tortured(memattach.path, memattach.folder)
    m.library = os.path.join(os.path.dirname(memattach.path), "faulty.so")
    if not os.path.exists(m.library) or not shutil.which("setarch"):
        pytest.skip("no faulty.so (a build with a sanitizer has none) or no setarch")
    yield m
    m.close()


@pytest.fixture(scope="module")
def had():
    """{(command, kind): the ways that it had}: they are taken once."""
    return {}


def share(config):
    """Of so many ways one fails, without --long."""
    return 1 if is_long(config) else int(os.environ.get("MEMATTACH_SHARE", "40"))


def ways(m, kind, args):
    log = m.folder / "ways"
    log.unlink(missing_ok=True)
    done = m.run_with(args, kind=kind, log=log)
    assert done.rc == 0, done
    return sorted(set(log.read_text().split()))


def snapshots(out):
    return [p for p in (out["OUT"], *sorted(out["FOLDER"].glob("*.mem"))) if p.exists()]


def check(m, done, out, shown):
    where = f"\n{shown.read_text()}" if shown.exists() else "\n(not reached)"
    # elfutils 0.188 does not survive it: libdw/libdw_alloc.c:164, lib/dynamicsizehash_concurrent.c:266, libdw/dwarf_getabbrev.c
    by_library = "libdw.so" in "".join(where.splitlines()[1:6]) and done.rc in (1, -signal.SIGABRT, -signal.SIGSEGV)
    left = [p.name for p in m.folder.iterdir() if p.name.startswith(("out", "core"))]
    parts = [str(p.relative_to(m.folder)) for p in m.folder.rglob("*.tmp-*")]
    # whom libdw ended, by a signal or by its own exit(), removes nothing
    ended = by_library and (done.rc < 0 or f"{m.path}: libdw: " in done.err)
    assert len(parts) <= int(ended), f"{done} left {parts}{where}"
    if done.rc and not by_library:
        assert done.rc > 0 and done.rc not in (3, 4), f"{done}{where}"
        assert re.fullmatch(r"memattach: [^\n]+\n", done.err), f"{done}{where}"
        # no part of a file; the snapshot was whole before the core file could not be, or the line that says so
        assert left in ([], ["out"]), f"{done} left {left}{where}"
    for path in snapshots(out):
        verdict = m.run("check", path)
        assert verdict.rc == 0, f"{done}, and {verdict}{where}"
    assert not m.processes(), f"{done}: {m.processes()} are left{where}"


def clear(m, command):
    """No file of a run is left, and the folder is there. For `snap` there was none before: key and catalogue are made."""
    if command == "snap":
        shutil.rmtree(m.folder / "data", ignore_errors=True)
    for path in m.folder.glob("*"):
        if path.name.startswith(("out", "core")):
            path.unlink()
    for path in m.folder.rglob("*.tmp-*"):
        path.unlink()
    shutil.rmtree(m.folder / "folder", ignore_errors=True)
    (m.folder / "folder").mkdir()


def one(m, t, command, kind, way, args, out):
    shown = m.folder / "shown"
    shown.unlink(missing_ok=True)
    before = mappings(t.pid)
    with Unharmed(t):
        done = m.run_with(args, kind=kind, way=way, show=shown)
        m.wait_gone()
    check_mappings(t, before)
    check(m, done, out, shown)
    assert not journals_of(t.pid), f"{done}\n{shown.read_text() if shown.exists() else ''}"
    clear(m, command)
    return shown.exists()


@pytest.mark.parametrize("kind", ["memory", "file"])
@pytest.mark.parametrize("command", COMMANDS)
def test_fails_once(one_python, start, tortured, had, request, command, kind):
    m = tortured
    t = start(one_python, "raw_data" if command == "live" else "idle")
    out = {name: m.folder / name.lower() for name in ("OUT", "CORE", "FOLDER")}
    made = m.folder / "made.core"
    if command != "snap":  # which makes key and catalogue each time; to these they are there
        assert m.run("snap", t.pid, "--core", made, "-o", out["OUT"]).rc == 0
    clear(m, command)
    args = [{"PID": t.pid, "core:FILE": f"core:{made}", **out}.get(a, a) for a in COMMANDS[command]]
    found = ways(m, kind, args)
    assert len(found) > 20
    assert snapshots(out) or command in ("stacks", "doctor"), "nothing that check() looks at"
    # what other tests had: one that is tried again has its own once more
    every = sorted(set(found).difference(*(w for test, w in had.items() if test != (command, kind))))
    had[command, kind] = found
    clear(m, command)
    wrong, reached, chosen = [], 0, every[::share(request.config)]
    assert chosen or command != "snap", "nothing is left to fail, and no other command was before this one"
    for way in chosen:
        try:
            reached += one(m, t, command, kind, way, args, out)
        except Harmed as e:
            raise Harmed("\n".join([*wrong, f"{kind} {way}: {e}"])) from e
        except AssertionError as e:
            wrong.append(f"{kind} {way}: {e}")
            if len(wrong) > 25:
                break
            clear(m, command)
    assert not wrong, "\n".join(wrong)
    # some depend on the moment
    assert reached >= len(chosen) * 3 // 4, f"{reached} of {len(chosen)} ways led to the same call again"
    t.end_well()
