# SPDX-License-Identifier: Apache-2.0
"""pystack, the other tool that reads Python stacks from outside: from PyPI, in a virtual environment of its own that is
kept in the cache folder."""
import os
import re
import subprocess
import sys
from pathlib import Path

VERSION = "1.7.2"


def find():
    """(path, None), or (None, why there is none)."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "memattach-tests" / f"pystack-{VERSION}"
    tool = cache / "bin" / "pystack"
    if not tool.exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", cache], check=True, capture_output=True, timeout=120)
            subprocess.run([cache / "bin" / "python", "-m", "pip", "install", "-q", "--only-binary", ":all:",
                            f"pystack=={VERSION}"], check=True, capture_output=True, timeout=300)
        except (OSError, subprocess.SubprocessError) as e:
            text = (getattr(e, "stderr", b"") or b"").decode(errors="replace").strip().splitlines()
            return None, f"pystack {VERSION} can not be installed from PyPI: {text[-1] if text else e}"
    return tool, None


def stacks(tool, pid, *options):
    """{tid: [(kind, function, file, line)]}, innermost first; kind is "Python" or "C"."""
    done = subprocess.run([tool, "remote", "--no-color", *options, str(pid)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found, frames = {}, None
    for line in done.stdout.splitlines():
        head = re.match(r"Traceback for thread (\d+) ", line)
        if head:
            frames = found.setdefault(int(head[1]), [])
        frame = re.match(r'    \((Python|C)\) File "(.*)", line (\d+), in (.*)$', line)
        if frame:
            frames.insert(0, (frame[1], frame[4].split(" (")[0], frame[2], int(frame[3])))
    return found
