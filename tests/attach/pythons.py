# SPDX-License-Identifier: Apache-2.0
"""The Python interpreters on this machine."""
import functools
import glob
import os
import subprocess

OLDEST, NEWEST = (3, 8), (3, 13)
PROBE = ("import sys, sysconfig; v = sys.version_info; print('%d.%d.%d' % tuple(v[:3])); "
         "print(sys.implementation.name if hasattr(sys, 'implementation') else 'cpython'); "
         "print(1 if sysconfig.get_config_var('Py_GIL_DISABLED') else 0)")


class Python:
    def __init__(self, path, version, id):
        self.path, self.version, self.id = path, version, id
        self.minor = tuple(int(x) for x in version.split(".")[:2])

    def __repr__(self):
        return f"Python({self.id}: {self.path})"


@functools.lru_cache(maxsize=None)
def everything():
    """Every interpreter found, also those that memattach must refuse."""
    named = os.environ.get("MEMATTACH_PYTHONS")
    if named:
        paths = [p for p in named.replace(",", ":").split(":") if p]
    else:
        root = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
        paths = sorted(glob.glob(f"{root}/versions/*/bin/python3")) + sorted(glob.glob(f"{root}/versions/2*/bin/python2"))
        paths += sorted(p for p in glob.glob("/usr/bin/python3.[0-9]*") if "config" not in p)
    found, seen = [], set()
    for path in paths:
        real = os.path.realpath(path)
        if real in seen or not os.access(real, os.X_OK):
            continue
        seen.add(real)
        try:
            out = subprocess.run([real, "-c", PROBE], capture_output=True, text=True, timeout=20).stdout.split()
        except (OSError, subprocess.TimeoutExpired):
            continue
        if len(out) == 3 and out[1] == "cpython" and out[2] == "0":
            found.append(Python(real, out[0], ("usr-" if real.startswith("/usr/bin") else "") + out[0]))
    return sorted(found, key=lambda p: (p.minor, p.id))


def supported():
    return [p for p in everything() if OLDEST <= p.minor <= NEWEST]


def too_old():
    return [p for p in everything() if p.minor < OLDEST]


def one(found):
    """3.11 (not the distribution's), else the last one."""
    for p in found:
        if p.minor == (3, 11) and not p.id.startswith("usr-"):
            return [p]
    return found[-1:]


def two(found):
    first = one(found)
    last = found[-1:]
    return first if first == last else first + last


def public(found):
    """One that every user may run: a folder such as /root/.pyenv is closed to them."""
    for p in found:
        if p.path.startswith(("/usr/", "/opt/")):
            return p
    return None
