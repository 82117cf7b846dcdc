# SPDX-License-Identifier: Apache-2.0
"""The oracle of "the target is unharmed": what /proc says about a process before and after, compared.

`with Unharmed(target): ...` compares everything; with quiet=False, for a program that maps memory, opens files and
starts threads by itself, only what such a program does not change by itself."""
import os
import re
import time

from target import Harmed, require

STATUS = ("Name", "Umask", "State", "Tgid", "PPid", "Uid", "Gid", "Groups", "SigPnd", "ShdPnd", "SigBlk", "SigIgn",
          "SigCgt", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters",
          "CoreDumping", "THP_enabled", "VmLck", "Cpus_allowed", "Mems_allowed")
BUSY_STATUS = tuple(f for f in STATUS if f not in ("State", "SigPnd", "ShdPnd"))
# stat fields, counted from 1 as in proc(5): those that do not count time, faults or memory
STAT = {"pgrp": 5, "session": 6, "tty": 7, "tpgid": 8, "priority": 18, "nice": 19, "start": 22, "exit_signal": 38,
        "rt_priority": 40, "policy": 41}


def read(path):
    try:
        with open(path, "rb") as f:
            return f.read().decode(errors="replace")
    except OSError as e:
        return f"<{e.strerror}>"


def link(path):
    try:
        return os.readlink(path)
    except OSError as e:
        return f"<{e.strerror}>"


def tasks(pid):
    """The main thread first: numbers wrap, so it need not be the smallest."""
    try:
        return sorted((int(t) for t in os.listdir(f"/proc/{pid}/task")), key=lambda t: (t != pid, t))
    except OSError:
        return []


def status(pid, tid=None):
    text = read(f"/proc/{pid}/task/{tid}/status" if tid else f"/proc/{pid}/status")
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def state(pid, tid=None):
    return status(pid, tid).get("State", "?")[:1]


def stat_fields(path):
    text = read(path)
    rest = text.rpartition(")")[2].split()
    return {name: rest[n - 3] for name, n in STAT.items() if len(rest) > n - 3}


def children(pid):
    """Every child of every thread, zombies, too."""
    found = []
    for tid in tasks(pid):
        found += [int(c) for c in read(f"/proc/{pid}/task/{tid}/children").split() if c.isdigit()]
    return sorted(found)


def tracers(pid):
    """{tid: pid of its tracer} of the threads that are traced."""
    found = {tid: int(status(pid, tid).get("TracerPid", "0")) for tid in tasks(pid)}
    return {tid: tracer for tid, tracer in found.items() if tracer}


def descriptors(pid):
    found = {}
    for tid in tasks(pid)[:1]:
        base = f"/proc/{pid}/task/{tid}"
        for fd in os.listdir(f"{base}/fd"):
            info = [x for x in read(f"{base}/fdinfo/{fd}").splitlines() if x.startswith(("pos:", "flags:", "lock:"))]
            found[int(fd)] = (link(f"{base}/fd/{fd}"), *info)
    return found


def maps(pid):
    tid = tasks(pid)[:1]
    return read(f"/proc/{pid}/task/{tid[0]}/maps").splitlines() if tid else []


def mapped_files(pid):
    return sorted({x.split(None, 5)[5].strip() for x in maps(pid) if len(x.split(None, 5)) == 6 and "/" in x})


def capture(pid, quiet=True):
    found = {"children": children(pid), "tracers": tracers(pid)}
    base = f"/proc/{pid}"
    for name in ("cwd", "root", "exe", "ns/pid", "ns/mnt", "ns/net", "ns/cgroup"):
        found[name] = link(f"{base}/{name}")
    for name in ("oom_score_adj", "cgroup", "limits", "personality", "coredump_filter", "comm", "autogroup",
                 "timerslack_ns", "loginuid", "cmdline", "environ", "uid_map"):
        found[name] = read(f"{base}/{name}")
    fields = STATUS if quiet else BUSY_STATUS
    found["mapped files" if not quiet else "maps"] = mapped_files(pid) if not quiet else maps(pid)
    if quiet:
        found["descriptors"] = descriptors(pid)
        found["threads"] = tasks(pid)
    for tid in tasks(pid) if quiet else tasks(pid)[:1]:
        s = status(pid, tid)
        for name in fields:
            found[f"thread {tid} {name}"] = s.get(name)
        for name, value in stat_fields(f"{base}/task/{tid}/stat").items():
            found[f"thread {tid} {name}"] = value
        if quiet:
            found[f"thread {tid} syscall"] = read(f"{base}/task/{tid}/syscall").strip()
    return found


def differences(before, after):
    out = []
    for name in sorted(set(before) | set(after)):
        a, b = before.get(name), after.get(name)
        if a == b:
            continue
        if isinstance(a, list) and isinstance(b, list):
            gone, new = [x for x in a if x not in b], [x for x in b if x not in a]
            out.append(f"{name}: gone {gone[:6]}, new {new[:6]}")
        elif isinstance(a, dict) and isinstance(b, dict):
            keys = [k for k in sorted(set(a) | set(b)) if a.get(k) != b.get(k)]
            out.append(f"{name}: " + "; ".join(f"{k}: {a.get(k)} -> {b.get(k)}" for k in keys[:6]))
        else:
            out.append(f"{name}: {a!r} -> {b!r}")
    return out


# A thread that was stopped needs a moment until it sleeps in its system call again. One that runs blocks all signals by
# itself now and then: subprocess does around vfork.
SETTLES = re.compile(r"^thread \d+ (State|syscall)$")
SETTLES_BUSY = re.compile(r"^thread \d+ (State|syscall|SigBlk)$")




class Unharmed:
    def __init__(self, target, quiet=True, ping=True, children=True, ignore=None, settle=2.0):
        """children=False: the target forks by itself. ignore: a pattern of names that may differ."""
        self.target, self.quiet, self.ping, self.children, self.settle = target, quiet, ping, children, settle
        self.ignore = re.compile(ignore) if ignore else None

    def __enter__(self):
        if self.quiet:
            self.wait_quiet()
        self.before = self.filter(capture(self.target.pid, self.quiet))
        if not self.quiet:
            self.settle_mask(f"thread {self.target.pid} SigBlk")
        return self

    def settle_mask(self, name):
        """A thread that runs blocks more signals than usual now and then: in a handler, around vfork. Of a few looks the
        smallest mask is the usual one."""
        for _ in range(20):
            now = capture(self.target.pid, self.quiet)
            if name in self.before and now.get(name):
                self.before[name] = min(self.before[name], now[name])

    def wait_quiet(self):
        """Until two looks, 20 ms apart, see the same: a thread may still be on its way into its call."""
        last, end = None, time.monotonic() + 10
        while time.monotonic() < end:
            now = self.filter(capture(self.target.pid))
            if now == last and not any(v == "running" for k, v in now.items() if k.endswith(" syscall")):
                return
            last = now
            time.sleep(0.02)
        raise AssertionError(f"the target does not come to rest: {differences(last, capture(self.target.pid))}")

    def filter(self, found):
        if not self.children:
            found = {k: v for k, v in found.items() if k != "children"}
        if self.ignore:
            found = {k: v for k, v in found.items() if not self.ignore.search(k)}
        return found

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.check()
        elif not issubclass(kind, (Harmed, KeyboardInterrupt)):
            self.check_ended(value)

    def check_ended(self, why):
        """What failed may have harmed the target, too: that it is dead, or is still traced, weighs more than what was seen first."""
        t, end = self.target, time.monotonic() + 2
        while t.alive() and tracers(t.pid) and time.monotonic() < end:
            time.sleep(0.005)
        if not t.alive() or tracers(t.pid):
            raise Harmed(f"still traced: {tracers(t.pid)}" if t.alive() else f"the target ended: {t.describe()}") from why

    def check(self):
        t = self.target
        require(t.alive(), f"the target ended: {t.describe()}")
        end, settles = time.monotonic() + self.settle, SETTLES if self.quiet else SETTLES_BUSY
        while True:
            left = differences(self.before, self.filter(capture(t.pid, self.quiet)))
            hard = [d for d in left if not settles.match(d.split(":")[0])]
            if not left or hard or time.monotonic() > end:
                break
            time.sleep(0.005)
        require(not left, f"the target is changed: {left}")
        require(not tracers(t.pid), f"still traced: {tracers(t.pid)}")
        if self.ping:
            t.ping()
