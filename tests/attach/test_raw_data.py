# SPDX-License-Identifier: Apache-2.0
"""Large ranges without a Python object: what is taken for one, and that nothing else is."""
import json

import pytest
import test_data

DATA = test_data.chosen()


@pytest.fixture(scope="session", params=DATA or [None], ids=lambda p: p.id if p else "none")
def data_python(request):
    if not request.param:
        pytest.skip("no CPython 3.11 or 3.13 of pyenv")
    path, reason = test_data.venv(request.param)
    if not path:
        pytest.skip(f"numpy can not be installed for {request.param.id}: {reason}")
    return path


SMALL_PAGES = {"NUMPY_MADVISE_HUGEPAGE": "0"}


def doctor(memattach, pid):
    done = memattach.run("doctor", pid, "--json")
    assert done.rc == 0, done
    return json.loads(done.out)


def test_doctor_counts_raw_data(python, start, memattach):
    t = start(python, "raw_data", env=SMALL_PAGES)
    got = doctor(memattach, t.pid)
    # bytes, bytearray, mapping, array, and the program's own; not the references
    assert 4 * 30 << 20 <= got["raw_bytes"] <= 4 * 40 + 16 << 20
    assert 2_000_000 <= got["raw_saved_ns"] < got["estimate_ns"]
    t.end_well()


def test_doctor_counts_arrays(data_python, start, memattach):
    t = start(data_python, "raw_data", env=SMALL_PAGES)
    assert 6 * 30 << 20 <= doctor(memattach, t.pid)["raw_bytes"] <= 6 * 40 + 16 << 20
    t.end_well()


def test_doctor_on_a_small_process(one_python, start, memattach):
    t = start(one_python, "idle")
    got = doctor(memattach, t.pid)
    assert (got["raw_bytes"], got["raw_saved_ns"]) == (0, 0)
    t.end_well()
