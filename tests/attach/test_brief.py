# SPDX-License-Identifier: Apache-2.0
"""When `memattach PID` looks at the whole graph, and when it only says how to."""
import json

from target import in_group


def test_brief_and_full(one_python, start, memattach):
    t = start(one_python, "suspects", "dict")
    path = memattach.new_path()
    brief = memattach.run(t.pid, "-o", path, "--brief")
    assert brief.rc == 0 and "HELD BY" not in brief.out and f"memattach report {path}" in brief.out, brief
    full = memattach.run(t.pid, "-o", path)
    assert full.rc == 0 and "__main__.cache" in full.out.partition("HELD BY")[2], full
    for options, analysed in (((), False), (("--brief",), False), (("--full",), True)):
        done = memattach.run(t.pid, "-o", path, "--json", *options)
        assert done.rc == 0, done
        report = json.loads(done.out)
        assert report["analysed"] is analysed
        assert all((name in report) is analysed for name in ("suspects", "holders", "waste", "duplicates"))
    short = memattach.run("report", path, "--brief")
    assert short.rc == 0 and "HELD BY" not in short.out
    both = memattach.run("report", path, "--full")
    assert both.rc == 2 and "--full" in both.err  # it is what report does
    t.end_well()


def test_short_of_memory(one_python, start, cgroup, memattach, need_root):
    """In a cgroup of 36 MB a quarter of what is left is less than the 9 MB that 180,000 objects take."""
    t = start(one_python, "waste")
    group = cgroup("memory", {"memory.limit_in_bytes": 36 << 20})
    path = memattach.new_path()
    done = memattach.run(t.pid, "-o", path, wrap=in_group(group))
    assert done.rc == 0 and "not analysed" in done.out and f"memattach report {path}" in done.out, done
    assert "more than a quarter" in " ".join(done.out.split())
    done = memattach.run(t.pid, "-o", path, "--full", wrap=in_group(group))
    assert done.rc == 0 and "not analysed" not in done.out and "HELD BY" in done.out, done
    t.end_well()
