# SPDX-License-Identifier: Apache-2.0
"""The Python interpreters on this machine, and those in the Debian trees that tools/pythons made (root only)."""
import functools
import glob
import os
import subprocess
from pathlib import Path

OLDEST, NEWEST = (3, 8), (3, 15)
PROBE = ("import sys, sysconfig; v = sys.version_info; print('%d.%d.%d' % tuple(v[:3])); "
         "print(sys.implementation.name if hasattr(sys, 'implementation') else 'cpython'); "
         "print(1 if sysconfig.get_config_var('Py_GIL_DISABLED') else 0); print('d' if hasattr(sys, 'gettotalrefcount') else '')")
HERE = Path(__file__).resolve().parent
ENTER = HERE / "enter_tree"


class Python:
    """path: of the executable, as the process sees it. command: what starts it, as the first words of a command line:
    for one in a tree a wrapper that becomes the very process, with /tmp, this repository and the build the same inside.
    tree: the root of its file system, None for one of this machine. debug: Py_DEBUG."""
    def __init__(self, path, version, id, tree=None, debug=False):
        self.path, self.version, self.id, self.tree, self.debug = path, version, id, tree, debug
        self.minor = tuple(int(x) for x in version.split(".")[:2])
        self.wrap = entering(tree)
        self.command = [*self.wrap, path]

    def __repr__(self):
        return f"Python({self.id}: {self.path})"


def entering(tree):
    """The words that run a command in a tree; none for None."""
    if not tree:
        return []
    shared = [HERE.parent.parent]
    binary = os.environ.get("MEMATTACH_BIN")
    if binary:
        shared.append(Path(binary).resolve().parent.parent)
    return [str(ENTER), str(tree), *(w for d in shared for w in ("-d", str(d)))]


def ask(command):
    """[version, implementation, free-threaded, "d" for a debug build], None when it does not answer."""
    try:
        out = subprocess.run([*command, "-c", PROBE], capture_output=True, text=True, timeout=60).stdout.split("\n")
    except (OSError, subprocess.TimeoutExpired):
        return None
    return out[:4] if len(out) >= 4 else None


def trees():
    """The file system roots below the folders of MEMATTACH_TREES, as a rule what tools/pythons made."""
    folders = os.environ.get("MEMATTACH_TREES", "/tmp/py:~/.cache/memattach/trees")
    if os.geteuid() != 0 or not folders:
        return []
    found = []
    for folder in folders.split(":"):
        found += sorted(p.parent for p in Path(os.path.expanduser(folder)).glob("*/.whole"))
    return found


def of_trees():
    found, seen = [], set()
    for tree in trees():
        for path in sorted(tree.glob("usr/bin/python3.[0-9]*")):
            # python3.13 -> python3.13-pie in some: links are followed as inside
            real = path.parent / os.readlink(path) if path.is_symlink() else path
            if "config" in path.name or (tree.name, real.name) in seen or not os.access(real, os.X_OK):
                continue
            seen.add((tree.name, real.name))
            inside = "/" + str(real.relative_to(tree))
            out = ask([*entering(tree), inside])
            if out and out[1] == "cpython" and out[2] == "0":
                found.append(Python(inside, out[0], f"{tree.name}-{out[0]}{out[3]}{'-pie' if '-pie' in real.name else ''}",
                                    tree, out[3] == "d"))
    return found


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
    found, seen = [] if named else of_trees(), set()
    for path in paths:
        real = os.path.realpath(path)
        if real in seen or not os.access(real, os.X_OK):
            continue
        seen.add(real)
        out = ask([real])
        if out and out[1] == "cpython" and out[2] == "0":
            found.append(Python(real, out[0], ("usr-" if real.startswith("/usr/bin") else "") + out[0] + out[3],
                                debug=out[3] == "d"))
    return sorted(found, key=lambda p: (p.minor, p.id))


def supported():
    return [p for p in everything() if OLDEST <= p.minor <= NEWEST]


def too_old():
    return [p for p in everything() if p.minor < OLDEST]


def one(found):
    """3.11 (not the distribution's), else the last one."""
    for p in found:
        if p.minor == (3, 11) and not p.id.startswith("usr-") and not p.tree:
            return [p]
    return found[-1:]


def two(found):
    first = one(found)
    last = [p for p in found if not p.debug][-1:]
    return first if first == last else first + last


def four(found):
    """The oldest, 3.11, 3.13 and the newest, no debug builds: where frames and dicts are made differently."""
    found = [p for p in sample(found) if not p.debug]
    wanted = {p.minor for p in found[:1] + found[-1:]} | {(3, 11), (3, 13)}
    return [p for p in found if p.minor in wanted]


def public(found):
    """One that every user may run: a folder such as /root/.pyenv is closed to them."""
    for p in found:
        if p.path.startswith(("/usr/", "/opt/")) and not p.tree:
            return p
    return None


def sample(found):
    """One of each minor version, and one debug build."""
    chosen = {}
    for p in sorted(found, key=lambda p: (p.debug, p.tree is not None, p.id.startswith("usr-"))):
        chosen.setdefault("debug" if p.debug else p.minor, p)
    return [p for p in found if p in chosen.values()]
