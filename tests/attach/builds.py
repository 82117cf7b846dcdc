# SPDX-License-Identifier: Apache-2.0
"""Programs that embed Python, built here in every way that a linker knows."""
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent / "targets" / "host.c"
KINDS = {"shared": "linked with the shared library", "plugin": "a plug-in of a program without Python",
         "static-pie": "linked with the static library, PIE", "static-nopie": "linked with the static library, not PIE",
         "static-stripped": "linked with the static library, PIE, stripped",
         "shared-thread": "linked with the shared library, Python in a second thread"}


def config(python, *options):
    path = Path(python.path)
    if python.tree:
        pytest.skip(f"Python {python.id} stands in a tree without a compiler")
    for tool in (path.with_name(path.name + "-config"), path.with_name("python%d.%d-config" % python.minor)):
        if tool.exists():
            return shlex.split(subprocess.run([tool, *options], capture_output=True, text=True, check=True).stdout)
    pytest.skip(f"Python {python.id} has no python-config here: no program can be built with it")


def static_library(python, kind):
    code = "import sysconfig as s, os; print(os.path.join(s.get_config_var('LIBPL'), s.get_config_var('LIBRARY')))"
    path = subprocess.run([python.path, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    if not os.path.exists(path):
        pytest.skip(f"Python {python.id} has no static library {path}")
    pic = path.replace(".a", "-pic.a")  # Debian has both
    return pic if kind != "static-nopie" and os.path.exists(pic) else path


def build(python, kind, folder):
    """The path of a program of that kind (KINDS), made in `folder`."""
    compiler = os.environ.get("CC", "cc")
    if not shutil.which(compiler):
        pytest.skip(f"no C compiler '{compiler}'")
    program = Path(folder) / "host"
    command = [compiler, "-O1", "-g0", "-pthread", *config(python, "--includes")]
    link = config(python, "--embed", "--ldflags")
    if kind.startswith("static"):
        # all of it, and exported: extension modules look for it there
        link = ["-Wl,--whole-archive", static_library(python, kind), "-Wl,--no-whole-archive", "-Wl,-export-dynamic",
                *(x for x in link if not x.startswith("-lpython")), "-lz", "-lexpat", "-lutil", "-ldl", "-lm"]
        link = [x for x in link if x not in ("-lz", "-lexpat") or "usr" in python.id]
        link += ["-no-pie"] if kind == "static-nopie" else ["-pie", "-fPIE"]
    if kind == "plugin":
        subprocess.run([*command, "-fPIC", "-shared", "-o", Path(folder) / "host.so", SOURCE, *link], check=True)
        command, link = [compiler, "-O1", "-pthread", "-DLOADER"], ["-ldl"]
    done = subprocess.run([*command, "-o", program, SOURCE, *link], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"Python {python.id} can not be linked as {kind}: {done.stderr.strip().splitlines()[0]}")
    if kind == "static-stripped":
        subprocess.run(["strip", program], check=True)
    return program


def environment(python, kind):
    env = {"MEMATTACH_PYTHON": python.path, "PYTHONPATH": str(SOURCE.parent)}
    if kind == "shared-thread":
        env["MEMATTACH_HOST_THREAD"] = "1"
    return env
