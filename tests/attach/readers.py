# SPDX-License-Identifier: Apache-2.0
"""Programs of others that tests run or that read what memattach exports, each installed once into the cache of the
tests; where that can not be, the test is skipped with the reason."""
import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest


def cache():
    root = os.environ.get("MEMATTACH_TEST_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "memattach-tests")
    return Path(root)


def made_once(name, steps, timeout=900):
    """The folder `name` of the cache, where the commands that steps(folder) gives have all succeeded once."""
    folder = cache() / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.parent / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "ready").exists():
            return folder
        folder.mkdir(exist_ok=True)
        for step in steps(folder):
            try:
                done = subprocess.run([str(s) for s in step], capture_output=True, text=True, timeout=timeout, cwd=folder,
                                      stdin=subprocess.DEVNULL)
            except (OSError, subprocess.TimeoutExpired) as e:
                pytest.skip(f"{name} can not be installed here: {e}")
            if done.returncode:
                why = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
                pytest.skip(f"{name} can not be installed here: {why}")
        (folder / "ready").touch()
    return folder


def need(program):
    path = shutil.which(program)
    if not path:
        pytest.skip(f"no {program} on this machine")
    return path


def python_with(python, name, *packages, modules):
    """A virtual environment of `python` that has the packages of PyPI, whose modules can be imported: its command."""

    def steps(folder):
        path = folder / "bin" / "python"
        return [[python.path, "-m", "venv", folder],
                [path, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--only-binary", ":all:", *packages],
                [path, "-c", f"import {modules}"]]
    return made_once(name, steps) / "bin" / "python"


def tables_python(python):
    return python_with(python, "readers-tables", "pyarrow", "duckdb", modules="pyarrow.ipc, duckdb")


def web_python(python):
    return python_with(python, "web", "flask", "gunicorn", modules="flask, gunicorn")


def node_modules(package):
    """A folder in which node finds the package of npm."""
    node, npm = need("node"), need("npm")

    def steps(folder):
        return [[npm, "install", "--no-fund", "--no-audit", "--ignore-scripts", "--prefix", folder, package],
                [node, "--input-type=module", "-e", f"await import('{package}')"]]
    return made_once(f"readers-npm-{package}", steps)


def browser(python):
    """A Python with playwright, and the path of a Chromium."""
    chromium = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)
    if not chromium:
        pytest.skip("no Chromium on this machine")
    return python_with(python, "readers-browser", "playwright", modules="playwright.sync_api"), chromium


def hprof_analyzer():
    """hprof-analyzer from crates.io. cargo builds it for a quarter of an hour, so only the long tests do that."""
    there = shutil.which("hprof-analyzer") or cache() / "readers-hprof-analyzer" / "bin" / "hprof-analyzer"
    if Path(there).exists():
        return there
    if os.environ.get("MEMATTACH_LONG") != "1":
        pytest.skip("no hprof-analyzer on this machine (cargo install --locked hprof-analyzer; MEMATTACH_LONG=1 does it)")
    cargo = need("cargo")
    folder = made_once("readers-hprof-analyzer",
                       lambda f: [[cargo, "install", "--locked", "--root", f, "hprof-analyzer"]], timeout=2400)
    return folder / "bin" / "hprof-analyzer"
