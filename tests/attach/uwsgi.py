# SPDX-License-Identifier: Apache-2.0
"""uWSGI, a C server that embeds Python: built from PyPI for one Python, and kept in the cache folder."""
import os
import subprocess
from pathlib import Path

VERSION = "2.0.31"


def find(python):
    """(path, None), or (None, why there is none)."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "memattach-tests" / f"uwsgi-{VERSION}-{python.id}"
    tool = cache / "bin" / "uwsgi"
    if not tool.exists():
        try:
            subprocess.run([python.path, "-m", "venv", cache], check=True, capture_output=True, timeout=120)
            subprocess.run([cache / "bin" / "pip", "install", "-q", f"uwsgi=={VERSION}"], check=True, capture_output=True,
                           timeout=600)
        except (OSError, subprocess.SubprocessError) as e:
            text = (getattr(e, "stderr", b"") or b"").decode(errors="replace").strip().splitlines()
            return None, f"uwsgi {VERSION} can not be built from PyPI: {text[-1] if text else e}"
    return tool, None
