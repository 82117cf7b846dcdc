# SPDX-License-Identifier: Apache-2.0
"""The agent inside a real Python: in a fork of it, with a signal handler in the place of the tracer. What it writes is read
by blocks.py and compared with what the gc module, sys.getsizeof and the program itself know."""
import json
import os
import subprocess
from pathlib import Path

import pytest
import test_data

HERE = Path(__file__).resolve().parent


def build_dir():
    binary = os.environ.get("MEMATTACH_BIN")
    return Path(os.environ.get("MEMATTACH_BUILD") or (Path(binary).parent.parent if binary else HERE.parent.parent / "BUILD"))


def outside(python):
    """How the probe runs a program of this machine from within a tree, whose libraries are others."""
    return f"nsenter -t {os.getpid()} --mount --root --wd" if python.tree else ""


@pytest.fixture
def probe(tmp_path):
    build = build_dir()
    if not (build / "bin/agent_harness.so").exists():
        pytest.skip(f"no agent harness in {build}: build the tests")

    def run(python, case, **env):
        out = subprocess.run([*python.command, str(HERE / "probe.py"), str(build), str(tmp_path / "blocks"), case],
                             capture_output=True, text=True, timeout=200, env={**os.environ, "MEMATTACH_OUTSIDE": outside(python), **env})
        assert out.returncode == 0, out.stderr[-3000:]
        result = json.loads(out.stdout.splitlines()[-1])
        assert (result["run"]["rc"], result["run"]["done"], result["run"]["err"], result["run"]["signal"]) == (0, 1, 0, 0)
        return result

    return run


def sound(result):
    assert result["run"]["faults"] == result["stats"]["faults"] == 0 and result["faulted"] == []
    assert result["excess"] == []


def test_everything_is_found_and_sized(probe, python):
    # objects outside arenas have their marks elsewhere
    r = probe(python, "zoo", PYTHONMALLOC="malloc" if python.minor in ((3, 9), (3, 12), (3, 15)) else "pymalloc")
    sound(r)
    assert r["missing"] == []
    assert r["sizes"] == {}
    assert r["names"] == []
    assert r["lacking"] == []
    assert r["plain"] in (["x", "y"], ["__dict__"])
    assert r["slots"] == ["a"]
    assert r["data_is_no_name"]
    assert r["stats"]["objects"] > r["held"]
    assert r["stats"]["scratch_peak"] < 16 << 20


def test_a_collection_under_way(probe, python):
    r = probe(python, "collecting")
    sound(r)
    assert r["stats"]["collecting"] == 1
    assert r["garbage"] == 1000


def test_threads_and_frames(probe, python):
    r = probe(python, "threads")
    sound(r)
    assert r["threads"] == r["stats"]["threads"] == 11 and r["stacks"] == 10
    assert r["lines"] == r["only"]["lines"] == [r["line"]]
    assert r["only"] == {"objects": 0, "threads": 11, "stacks": 10, "lines": [r["line"]]}


def test_interpreters(probe, python):
    r = probe(python, "interpreters")
    sound(r)
    assert r["interps"] == 2 and r["sub"] == 500


def test_long_and_deep_and_a_slow_reader(probe, one_python):
    r = probe(one_python, "shapes")
    sound(r)
    assert r["nodes"] == 300000 and r["floats"] >= 800000 and r["dict"] == 100000
    assert r["conts"] > 50 and r["wide"] == 499999
    assert r["stats"]["wait_ns"] > 0, "the ring was never full: the test does not test it"
    assert r["stats"]["scratch_peak"] <= r["rss"] * 15 // 1000 + (16 << 20)


def test_a_corrupt_heap(probe, hazard_python):
    r = probe(hazard_python, "corrupt")
    assert r["kept"] == 200
    assert r["run"]["faults"] == r["stats"]["faults"] > 0
    assert "collections.deque" in r["faulted"]
    for done, values, told, unread, kept in r["values"]:
        assert done == 1 and kept == 200
        assert values == told > 1000
        assert unread >= 8, "lengths that can not be read give no hash"
    assert r["stats"]["bytes"] < 1 << 32


def test_what_only_native_code_holds(probe, python):
    r = probe(python, "native")
    sound(r)
    assert r["things"] == 3000
    assert r["flagged"] >= 2900
    assert r["classes"] and r["untracked"]
    assert r["arena_bytes"] == [256 << 10 if python.minor < (3, 10) else 1 << 20]


def test_arrays_of_packages(probe, one_python, monkeypatch):
    path, reason = test_data.venv(one_python)
    if not path:
        pytest.skip(f"numpy can not be installed: {reason}")
    monkeypatch.setattr(one_python, "command", [str(path)])
    r = probe(one_python, "data")
    sound(r)
    assert r["missing"] == []
    for name, (bytes_of_buffer, nbytes) in r["buffers"].items():
        assert nbytes <= bytes_of_buffer <= nbytes + 64, name
    assert r["views"] == [16, 32, 32], "shape and strides, and none of the data"
    assert r["traced"] == [0, 1, 0]
