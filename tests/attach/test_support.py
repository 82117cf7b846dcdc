# SPDX-License-Identifier: Apache-2.0
"""What docs/support-matrix.md says is what runs."""
import json
import subprocess
import sys

import pytest

import matrix
import pythons
from unharmed import Unharmed

TOOL = matrix.DOCUMENT.parent.parent / "tools" / "support-matrix"


def test_support_of(python, start, memattach):
    t = start(python, "idle")
    doctor = json.loads(memattach.run("doctor", t.pid, "--json").out)
    with Unharmed(t):
        snap = memattach.snapshot(t.pid)
    assert snap.counts().get("__main__.Thing") == 12345
    name, version, build = doctor["build"].split(", ", 2)
    assert version == f"CPython {python.version}"
    matrix.interpreter(python.version, f"{name}, {build}", doctor["layouts"])
    if python.tree:
        matrix.way("in another root file system (chroot), with another libc", python)
    t.end_well()


@pytest.mark.parametrize("old", pythons.too_old(), ids=lambda p: p.id)
def test_support_refused(old, memattach):
    p = subprocess.Popen([old.path, "-c", "import sys; sys.stdout.write('ready\\n'); sys.stdout.flush(); sys.stdin.read()"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert p.stdout.readline() == b"ready\n"
        doctor = json.loads(memattach.run("doctor", p.pid, "--json").out)
        assert not doctor["supported"]
        matrix.interpreter(old.version, "", "", "refused: " + doctor["layouts"])
    finally:
        p.kill()
        p.communicate()


def test_support_document_is_made(tmp_path):
    """Nobody wrote into the made part by hand."""
    done = subprocess.run([sys.executable, TOOL, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


ROWS = [{"table": "interpreter", "version": "3.10.1", "build": "python3.10, static", "layouts": "tables", "result": "works"},
        {"table": "interpreter", "version": "3.9.2", "build": "python3.9, static", "layouts": "tables", "result": "refused: too odd"},
        {"table": "way", "way": "under an init", "python": "3.10.1", "result": "works"},
        {"table": "way", "way": "under an init", "python": "3.9.2", "result": "works"},
        {"table": "way", "way": "under an init", "python": "3.8.1", "result": "refused: too old"}]


def test_support_matrix_itself(tmp_path):
    m = matrix.Matrix()
    for row in ROWS:
        m.add(row)
    text = matrix.BEGIN + m.render() + matrix.END
    again = matrix.parse(text)
    assert again.interpreters == m.interpreters and again.ways == m.ways and again.render() == m.render()
    assert text.index("3.9.2 |") < text.index("3.10.1 |") and "| 3.9.2, 3.10.1 | works |" in text and "*" not in text
    assert not any(again.contradiction(row) for row in ROWS)
    assert again.contradiction({**ROWS[0], "layouts": "debug offsets"}) == ("tables", "works")
    assert again.contradiction({**ROWS[4], "result": "works"}) == "refused: too old"
    assert not again.contradiction({**ROWS[4], "python": "3.8.2", "result": "works"})  # said nothing about it
    again.age()
    again.add({**ROWS[1], "result": "works"})
    text = matrix.BEGIN + again.render() + matrix.END
    assert "| 3.10.1* |" in text and "| 3.9.2 | python3.9, static | tables | works |" in text and "3.9.2*, 3.10.1* | works" in text
    with pytest.raises(ValueError):
        matrix.parse(matrix.BEGIN + "\n| 3.10 | by hand |\n" + matrix.END)
