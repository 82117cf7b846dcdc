# SPDX-License-Identifier: Apache-2.0
"""CPython's own tests, and those of two libraries with many threads and processes, while the process that runs them is attached
again and again. What passes unattached on this machine must pass so; a test that fails both ways says nothing."""
import datetime
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import pythons
from conftest import BEGAN

MODULES = ["test_signal", "test_threading", "test_subprocess", "test_socket", "test_select", "test_selectors", "test_gc",
           "test_mmap", "test_fork1", "test_eintr", "test_asyncio.test_events", "test_asyncio.test_subprocess",
           "test_asyncio.test_streams"]
# Whose own tests we run: a name on PyPI, its version, where the tests lie in the source distribution, and what is left out.
LIBRARIES = [("execnet", "2.1.1", "testing", ""), ("filelock", "3.12.2", "tests", "")]
# A connect() of AF_VSOCK is given up by the kernel when any stop or signal comes (vsock_connect; docs/safety.md).
WITHOUT = ["*VSOCK*"]
LIMIT = 300
TODAY = datetime.date.today().toordinal()


def has_tests(python):
    return subprocess.run([*python.command, "-c", "import test.test_signal"], capture_output=True).returncode == 0


def results(path):
    """{test: passed?} of a JUnit file."""
    if not path.exists():
        return {}
    found = {}
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = f"{case.get('classname') or ''}.{case.get('name')}"
        bad = [c.tag for c in case if c.tag in ("failure", "error")]
        skipped = case.get("result") == "skipped" or any(c.tag == "skipped" for c in case)
        if not skipped:
            found[name] = not bad and case.get("result", "completed") == "completed"
    return found


def attach_on_and_on(memattach, leader, over, done):
    """The process that runs the tests, and in turn each that it has started."""
    path = memattach.new_path()
    while not over.is_set():
        for pid in [leader, *(p for p in session(leader) if p != leader)]:
            done.append(memattach.run("snap", pid, "-o", path))
            if over.wait(0.02):
                break


def run(command, junit, folder, memattach=None):
    """Runs tests, attached all the while if `memattach` is given. Returns their results and the attaches."""
    junit.unlink(missing_ok=True)
    folder.mkdir()
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "MEMATTACH", "PYTEST"))}
    p = subprocess.Popen(command, cwd=folder, env=dict(env, TMPDIR=str(folder), PYTHONDONTWRITEBYTECODE="1"), start_new_session=True,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    over, done, worker = threading.Event(), [], None
    if memattach:
        worker = threading.Thread(target=attach_on_and_on, args=(memattach, p.pid, over, done))
        worker.start()
    try:
        out = p.communicate(timeout=LIMIT)[0]
    except subprocess.TimeoutExpired:
        for pid in session(p.pid):
            os.kill(pid, signal.SIGKILL)
        out = p.communicate()[0]
        if memattach:
            raise AssertionError(f"did not end within {LIMIT} s while attached: {out[-2000:]!r}") from None
    finally:
        over.set()
        if worker:
            worker.join()
        shutil.rmtree(folder, ignore_errors=True)
    return results(junit), done


def session(leader):
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as f:
                if int(f.read().rpartition(")")[2].split()[3]) == leader:
                    found.append(int(name))
        except OSError:
            pass
    return found


def compare(command, junit, tmp_path, memattach):
    """What passes unattached must pass attached. A test that fails gets a second look, both ways: some are a matter of luck."""
    suspects = None
    for n in range(2):
        alone, _ = run(command, junit, tmp_path / f"alone{n}")
        attached, done = run(command, junit, tmp_path / f"attached{n}", memattach)
        if not alone:
            pytest.skip("it does not run here unattached")
        wrong = {t for t, good in alone.items() if good and not attached.get(t)}
        suspects = wrong if suspects is None else suspects & wrong
        if not suspects:
            break
    good = [d for d in done if d.rc == 0]
    bad = [d for d in done if d.rc not in (0, 3, 4, 5, 6, 1)]  # whatever a test starts: no Python, one that begins or ends
    print(f"{len(alone)} tests, {sum(alone.values())} pass unattached, {len(good)} of {len(done)} attaches")
    assert not suspects, f"fail while attached only: {sorted(suspects)[:20]}"
    assert good and not bad, bad[:3]


def begin_with(names):
    """Another one first each day, as there may not be time for all."""
    n = TODAY % len(names)
    return names[n:] + names[:n]


@pytest.fixture
def in_time(request):
    minutes = float(os.environ.get("MEMATTACH_MINUTES", "0"))
    if minutes and time.monotonic() - request.config.stash[BEGAN] > minutes * 60:
        pytest.skip(f"the {minutes:g} minutes of this run are over")


@pytest.fixture
def cpython(python, in_time):
    """The Python of the day, or every one with MEMATTACH_EVERY=1."""
    found = [p for p in pythons.supported() if not p.tree and has_tests(p)]
    if python.tree or python.id not in [p.id for p in found]:
        pytest.skip("it was installed without its tests")
    if os.environ.get("MEMATTACH_EVERY") != "1" and python.id != found[TODAY % len(found)].id:
        pytest.skip("another Python's turn today (MEMATTACH_EVERY=1: all)")
    return python


@pytest.mark.long
@pytest.mark.parametrize("module", begin_with(MODULES))
def test_cpython(cpython, memattach, tmp_path, module):
    junit = tmp_path / "junit.xml"
    compare([*cpython.command, "-m", "test", "--junit-xml", str(junit), "--timeout", str(LIMIT), *(["-u", "all"] if module == "test_eintr" else []),
             *(x for name in WITHOUT for x in ("--ignore", name)), module], junit, tmp_path, memattach)


@pytest.fixture(scope="session")
def library():
    """library(name, version) is the folder of its source distribution and a Python that has it and pytest."""
    root = Path(os.environ.get("MEMATTACH_TEST_CACHE") or "~/.cache/memattach-tests").expanduser() / "regression"

    def install(name, version):
        python, sources = root / "venv" / "bin" / "python", root / f"{name}-{version}"
        try:
            if not python.exists():
                subprocess.run([sys.executable, "-m", "venv", root / "venv"], check=True, capture_output=True)
                subprocess.run([python, "-m", "pip", "install", "-q", "pytest", "pytest-timeout"], check=True, capture_output=True)
            if not sources.exists():
                subprocess.run([python, "-m", "pip", "install", "-q", f"{name}=={version}"], check=True, capture_output=True)
                subprocess.run([python, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "-d", root, f"{name}=={version}"],
                               check=True, capture_output=True)
                shutil.unpack_archive(next(root.glob(f"{name}-{version}.tar.gz")), root, filter="data")
        except (subprocess.CalledProcessError, StopIteration, OSError) as e:
            pytest.skip(f"{name} {version} can not be had: {getattr(e, 'stderr', e)!r:.300}")
        return sources, python

    return install


@pytest.mark.long
@pytest.mark.parametrize("name,version,tests,without", LIBRARIES, ids=[x[0] for x in LIBRARIES])
def test_library(in_time, memattach, tmp_path, library, name, version, tests, without):
    sources, python = library(name, version)
    junit = tmp_path / "junit.xml"
    compare([str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junit-xml={junit}", "--timeout=120", str(sources / tests),
             *(["-k", without] if without else [])], junit, tmp_path, memattach)
