# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the attach tests: which Pythons are here, which memattach is tested, targets that always end."""
import collections
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "attach"))

import pythons  # noqa: E402
import sshd as ssh_server  # noqa: E402
from daemon import Memattachd  # noqa: E402
from faulty import Faulty  # noqa: E402
from memattach import Memattach  # noqa: E402
from target import Target, wait_until  # noqa: E402

REPO = Path(__file__).resolve().parent.parent

# What these files and functions test does not depend on how a version was built: without --long they take one Python of
# each version.
SAMPLED = {"test_stop", "test_malloc", "test_interpreters", "test_soak", "test_harmless", "test_books", "test_busy", "test_under_an_init",
           "test_container_with_a_root_of_its_own", "test_threads_and_frames", "test_a_collection_under_way"}
# What these test is done with the finished snapshot, or differs with what `leak_python` has four kinds of: without --long they take those.
FEW = {"test_suspects", "test_same_memory", "test_paths", "test_waste", "test_tree", "test_ways", "test_unusual", "test_values", "test_memory",
       "test_edge_names", "test_where", "test_sites", "test_raw_data"}


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="run the tests marked long, too")
    parser.addoption("--repeat", type=int, default=1, help="run each test marked fault so often, but those that repeat by themselves")
    parser.addoption("--repeat-minutes", type=float, default=0, help="skip what is left of the repetitions after this time")


def pytest_configure(config):
    """CI shares its two cores with others: there what failed is tried once more, by name and in sight (a flaky test is a bug to
    be noted), but never where a target was harmed."""
    if os.environ.get("MEMATTACH_RETRY") == "1":
        config.option.reruns, config.option.reruns_delay, config.option.rerun_except = 1, 3, ["Harmed"]
        config.option.reportchars += "R"


def is_long(config):
    return config.getoption("--long") or os.environ.get("MEMATTACH_LONG") == "1"


BEGAN = pytest.StashKey()


def pytest_collection_modifyitems(config, items):
    items.sort(key=repetition_of)
    if is_long(config):
        return
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip(reason="long: run with --long or MEMATTACH_LONG=1"))


def pytest_sessionstart(session):
    session.config.stash[BEGAN] = time.monotonic()


def pytest_runtest_setup(item):
    """Repetitions come in rounds: each test once, then each once more."""
    minutes = item.config.getoption("--repeat-minutes")
    if minutes and repetition_of(item) and time.monotonic() - item.config.stash[BEGAN] > minutes * 60:
        pytest.skip("the time for repetitions is over")


def repetition_of(item):
    return getattr(item, "callspec", None) and item.callspec.params.get("repetition") or 0


@pytest.hookimpl(optionalhook=True)
def pytest_json_modifyreport(json_report):
    """A test that was tried again has the outcome of its last try; that there were more stays beside it."""
    for test in json_report.get("tests", ()):
        if test["outcome"] == "rerun":
            last = [test[part]["outcome"] for part in ("setup", "call", "teardown") if part in test]
            test["outcome"], test["rerun"] = next((o for o in last if o != "passed"), "passed"), True
    counts = collections.Counter(test["outcome"] for test in json_report.get("tests", ()))
    kept = {k: v for k, v in json_report["summary"].items() if k in ("total", "collected", "deselected")}
    json_report["summary"] = {**counts, **kept}


def pytest_report_header(config):
    found = ", ".join(p.id for p in pythons.supported()) or "none"
    return [f"memattach: {memattach_path()}", f"target Pythons: {found}"]


def chosen_for(metafunc, every):
    if is_long(metafunc.config) or os.environ.get("MEMATTACH_SUPPORT"):  # the support matrix is made of all that were found
        return every
    names = {metafunc.module.__name__, metafunc.function.__name__}
    return pythons.four(every) if names & FEW else pythons.sample(every) if names & SAMPLED else every


def pytest_generate_tests(metafunc):
    """`python` is every supported Python, or some of them (SAMPLED, FEW); `one_python` is 3.11;
    `hazard_python` is 3.11 and the newest; `leak_python` is four of them."""
    fault = metafunc.definition.get_closest_marker("fault")
    count = metafunc.config.getoption("--repeat")
    if fault and count > 1 and not fault.kwargs.get("once"):
        metafunc.fixturenames.append("repetition")
        metafunc.parametrize("repetition", range(count), ids=lambda n: f"time{n}")
    every = pythons.supported()
    wanted = chosen_for(metafunc, every)
    for name, chosen in (("python", wanted), ("one_python", pythons.one(every)), ("hazard_python", pythons.two(every)),
                         ("leak_python", pythons.four(every))):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, chosen or [pytest.param(None, marks=pytest.mark.skip(
                reason="no supported CPython found: set MEMATTACH_PYTHONS"))], ids=[p.id for p in chosen] or ["none"])


def memattach_path():
    return Path(os.environ.get("MEMATTACH_BIN") or REPO / "BUILD" / "bin" / "memattach")


@pytest.fixture
def memattach(request, tmp_path):
    path = memattach_path()
    if not os.access(path, os.X_OK):
        pytest.fail(f"no memattach at {path}: build it, or set MEMATTACH_BIN", pytrace=False)
    m = Memattach(path, tmp_path)
    yield m
    m.close()
    check_words(request, m)


def check_words(request, *tools):
    """A test that stands for a refusal in docs/safety.md has seen the words that stand there."""
    said = [text for m in tools for text in m.said]
    for mark in request.node.iter_markers("fault"):
        words = mark.kwargs.get("refused")
        assert not words or not said or any(words in text for text in said), f"never printed '{words}': {said}"


@pytest.fixture
def faulty(request, tmp_path):
    path = memattach_path().parent / "memattach-faults"
    if not os.access(path, os.X_OK):
        pytest.skip(f"no {path}: built with MA_TESTS")
    m = Faulty(path, tmp_path)
    yield m
    m.close()
    check_words(request, m)


@pytest.fixture
def start():
    """start(python, "idle", ...) gives a Target that is past its ready line; it is ended when the test is over."""
    running = []

    def make(python, program, *args, **options):
        t = Target(python, program, *args, **options)
        running.append(t)
        t.wait_ready()
        return t

    yield make
    for t in running:
        t.close()


@pytest.fixture(scope="session")
def native(tmp_path_factory):
    """native("name") is the path of a shared library made of tests/targets/name.c."""
    folder, made = tmp_path_factory.mktemp("native"), {}

    def build(name):
        if name not in made:
            compiler = os.environ.get("CC", "cc")
            if not shutil.which(compiler):
                pytest.skip(f"no C compiler '{compiler}'")
            made[name] = folder / f"{name}.so"
            subprocess.run([compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread", "-o", made[name],
                            REPO / "tests" / "targets" / f"{name}.c"], check=True)
        return made[name]

    return build


@pytest.fixture
def need_root():
    if os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.fixture
def cgroup():
    """cgroup(hierarchy, {file: value}) makes a control group (v1) and returns its folder."""
    made = []

    def make(hierarchy, values):
        folder = f"/sys/fs/cgroup/{hierarchy}/memattach-test-{os.getpid()}-{len(made)}"
        try:
            os.mkdir(folder)
            made.append(folder)
            for name, value in values.items():
                with open(f"{folder}/{name}", "w") as f:
                    f.write(str(value))
        except OSError as e:
            pytest.skip(f"no v1 control group '{hierarchy}' here: {e}")
        return folder

    yield make
    for folder in made:
        wait_until(lambda: not open(folder + "/cgroup.procs").read().strip(), what="an empty control group")
        os.rmdir(folder)


@pytest.fixture
def daemon(memattach):
    """daemon(...) makes a Memattachd, which ends with the test."""
    if not os.access(os.path.join(os.path.dirname(memattach.path), "memattachd"), os.X_OK):
        pytest.skip("this build has no memattachd (MA_TLS)")
    running = []

    def make(*args, **options):
        d = Memattachd(memattach, *args, **options)
        running.append(d)
        return d
    yield make
    for d in running:
        d.close()


@pytest.fixture
def exported(one_python, start, memattach):
    """The heap of targets/exported.py with its values, and the process still there to ask."""
    target = start(one_python, "exported")
    path = memattach.folder / "exported.mas"
    done = memattach.run("snap", target.pid, "-o", path, "--values", "all")
    assert done.rc == 0, done
    target.end_well()
    return path


@pytest.fixture
def sshd(memattach, tmp_path):
    if not ssh_server.PROGRAM:
        pytest.skip("no OpenSSH server on this machine")
    if not ssh_server.has_ssh(memattach.path):
        pytest.skip("this memattach is built without SSH")
    s = ssh_server.Sshd(tmp_path / "sshd", memattach.mark)
    yield s
    s.close()


@pytest.fixture
def helper(memattach):
    if not os.access(os.path.join(os.path.dirname(memattach.path), "memattach-helper"), os.X_OK):
        pytest.skip("this build has no helper")


@pytest.fixture
def client(memattach, sshd):
    return ssh_server.Client(memattach, sshd)
