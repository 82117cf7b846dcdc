# SPDX-License-Identifier: Apache-2.0
"""What a report takes grows with the objects and with nothing else (tests/bench/analyze.py --linear does it with 50 M)."""
import json
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bench"))

import analyze  # noqa: E402

SIZES = (400_000, 1_600_000)


def make(memattach, objects):
    path = memattach.folder / f"{objects}.mem"
    subprocess.run([Path(memattach.path).parent / "synthetic_snapshot", path, str(objects)], check=True)
    return path


def test_memory_and_time_for_each_object(memattach):
    took = []
    for objects in SIZES:
        path = make(memattach, objects)
        took.append(min((analyze.measure([memattach.path, "report", str(path)]) for _ in range(3)), key=lambda t: t[1]))
        os.unlink(path)
    (_, cpu, peak), (_, more_cpu, more_peak) = took
    each = (more_peak - peak) * 1e6 / (SIZES[1] - SIZES[0])
    # a few bytes more than at 50 M objects, where both threads are not at their peaks at the same time
    assert each <= 50, f"{each:.1f} bytes for each object more"
    assert more_cpu / cpu <= 2 * SIZES[1] / SIZES[0], f"{cpu:.2f} s, then {more_cpu:.2f} s"


def test_the_synthetic_snapshot_is_whole_and_has_one_holder(memattach):
    path = make(memattach, 1_000_000)  # fewer, and each of its lists would be a holder of its own
    assert memattach.run("check", path).rc == 0
    assert "books balance" in memattach.run("report", path).out
    report = json.loads(memattach.run("report", path, "--json").out)
    assert report["suspects"][0]["path"] == "__main__.table"
    assert report["suspects"][0]["share"] > 90
    assert {row["kind"] for row in report["waste"]} >= {"copies", "unused-room"}
