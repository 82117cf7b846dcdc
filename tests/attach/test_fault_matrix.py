# SPDX-License-Identifier: Apache-2.0
"""docs/safety.md has the rows that the tests make, and each class of fault a test."""
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]


def test_the_document_is_up_to_date():
    done = subprocess.run([sys.executable, REPO / "tools" / "fault-matrix", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, "run tools/fault-matrix:\n" + done.stdout + done.stderr


def test_words_that_nobody_prints(tmp_path):
    """The check can fail: a copy of the repository in which one word of a refusal is another."""
    for name in ("tools", "docs", "tests/attach"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "tools" / "fault-matrix").write_text((REPO / "tools" / "fault-matrix").read_text())
    (tmp_path / "docs" / "safety.md").write_text((REPO / "docs" / "safety.md").read_text())
    for path in (REPO / "tests" / "attach").glob("test_*.py"):
        (tmp_path / "tests" / "attach" / path.name).write_text(path.read_text().replace('refused="traced by"', 'refused="never said"'))
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    done = subprocess.run([sys.executable, tmp_path / "tools" / "fault-matrix", "--check"], capture_output=True, text=True)
    assert done.returncode and "no source prints 'never said'" in done.stdout + done.stderr, done
