# SPDX-License-Identifier: Apache-2.0
"""The agent meets what breaks it: code of extensions that faults, heaps that are damaged, a ring that nobody empties."""
import json
import os
import random
import signal
import time

import pytest

from conftest import is_long
from memattach import check_error, check_nothing_left
from target import baseline, wait_until
from unharmed import Unharmed, state


@pytest.mark.fault(17, "SIGSEGV, SIGBUS (a truncated file), SIGFPE, SIGILL, stack overflow, wild pointers in a tp_traverse",
                   "costs the objects of that type their references")
@pytest.mark.parametrize("kind", ["segv", "bus", "overflow", "division", "illegal", "wild"])
def test_traverse_that_faults(hazard_python, start, memattach, native, kind):
    """It costs the objects of that type what they refer to, and nothing else."""
    t = start(hazard_python, "breaker", native("breaker"), kind)
    with Unharmed(t):
        snap = memattach.snapshot(t.pid, check=False)
    assert memattach.run("check", snap.path).rc == 0
    assert snap.counts()["__main__.Kept"] == 5000 and snap.counts()["__main__.Victim"] == 20
    assert snap.faults == 20 or kind == "wild", snap.faults
    t.end_well(baseline(hazard_python, "breaker", native("breaker"), "good"))


@pytest.mark.fault(17, "an endless loop, endless references",
                   "given up after 2 s, or as many references as memory has words; two objects of a type", once=True)
@pytest.mark.parametrize("kind", ["loop", "endless"])
def test_traverse_that_never_ends(one_python, start, memattach, native, kind):
    """Such an object is given up after two seconds, or when it names more references than there are words in memory; after two
    of a type no other one is tried: 20 of them are not 40 seconds."""
    t = start(one_python, "breaker", native("breaker"), kind)
    with Unharmed(t):
        snap = memattach.snapshot(t.pid, check=False)
    assert memattach.run("check", snap.path).rc == 0
    assert snap.counts()["__main__.Kept"] == 5000 and snap.counts()["__main__.Victim"] == 20
    assert snap.faults == 20
    assert snap.walk_ns < 15e9
    t.end_well(baseline(one_python, "breaker", native("breaker"), "good"))


@pytest.mark.fault(17, "it ends the copy", "an error", refused="the twin was killed during the walk")
def test_traverse_that_leaves(one_python, start, memattach, native):
    """It ends the copy: an error that says so, and no file."""
    t = start(one_python, "breaker", native("breaker"), "leaves")
    path = memattach.new_path()
    with Unharmed(t):
        check_error(memattach.run(t.pid, "-o", path, "--json"), 1, "the twin was killed during the walk")
        check_nothing_left(path)
    t.end_well(baseline(one_python, "breaker", native("breaker"), "good"))


@pytest.mark.fault(17, "nobody empties the ring for 3 s; then the command is killed", "the agent waits", once=True)
@pytest.mark.parametrize("then", ["goes on", "killed"])
def test_full_ring(one_python, start, faulty, then):
    """Nobody empties the ring: the agent waits, and is not taken for one that hangs (2 s)."""
    t = start(one_python, "heartbeat", 1000000)
    path = faulty.new_path()
    with Unharmed(t, quiet=False):
        faulty.fault = "RING_ARRIVED:stop"
        p = faulty.start("snap", t.pid, "-o", path)
        wait_until(lambda: state(p.pid) == "T")
        time.sleep(3 if then == "goes on" else 0.5)
        os.kill(p.pid, signal.SIGCONT if then == "goes on" else signal.SIGKILL)
        p.communicate(timeout=60)
        faulty.wait_gone(20)
    assert p.returncode == (0 if then == "goes on" else -signal.SIGKILL)
    if then == "goes on":
        assert faulty.run("check", path).rc == 0
        assert faulty.value(path, "SELECT count(*) FROM objects WHERE type = 'list'") >= 1000000
    t.end_well()


WILD, UNALIGNED, HUGE = 0xdeadbeef0000, 0x1003, 1 << 60
REFS, TYPE, SIZE, GC_NEXT, GC_PREV = 0, 8, 16, -16, -8
# {what is wrong: (object, offset of the word, what is put there)}; a function is given the address of the object
DAMAGES = {
    "no reference count": ("node", REFS, 0),
    "a reference count below zero": ("dict", REFS, (1 << 64) - 5),
    "no type": ("node", TYPE, 0), "a wild type": ("list", TYPE, WILD), "a type that is not aligned": ("dict", TYPE, UNALIGNED),
    "its own type": ("node", TYPE, lambda a: a), "a type that is text": ("tuple", TYPE, "str"),
    "a huge list": ("list", SIZE, HUGE), "a list of negative size": ("list", SIZE, (1 << 64) - 1),
    "a list of wild items": ("list", 24, WILD), "a list whose items are the list": ("list", 24, lambda a: a),
    "a huge tuple": ("tuple", SIZE, HUGE), "a tuple with nothing in it": ("tuple", 24, 0), "a tuple with a wild item": ("tuple", 32, WILD),
    "a dict with wild keys": ("dict", 32, WILD), "a dict without keys": ("dict", 32, 0), "a dict with keys that are text": ("dict", 32, "str"),
    "a dict with wild values": ("dict", 40, WILD), "a set with a wild table": ("set", 40, WILD), "a set with a huge mask": ("set", 32, HUGE - 1),
    "a huge str": ("str", SIZE, HUGE), "huge bytes": ("bytes", SIZE, HUGE), "a huge int": ("int", SIZE, HUGE),
    "a huge bytearray": ("bytearray", SIZE, HUGE), "a bytearray of wild bytes": ("bytearray", 40, WILD),
    "a list of the collector that is a ring of one": ("node", GC_NEXT, lambda a: a + GC_NEXT),
    "a list of the collector that goes astray": ("node", GC_NEXT, WILD), "a list of the collector that ends": ("list", GC_NEXT, 0),
    "a list of the collector that goes back": ("node", GC_NEXT, "list gc"), "a wild way back": ("node", GC_PREV, WILD & ~7),
    "a class with a wild name": ("class", 24, WILD), "a class without a size": ("class", 32, 0), "a class of huge objects": ("class", 32, HUGE),
    "a class with a wild tp_traverse": ("class", 184, WILD), "a class without a base": ("class", 256, WILD),
    "a class with a wild dict": ("class", 264, WILD), "a function without code": ("function", 48, 0), "a wild generator": ("generator", 16, WILD),
    "a function with wild globals": ("function", 16, WILD),
}


class Victims:
    """Words of the objects of targets/corrupt.py, changed from outside and put back."""
    def __init__(self, t):
        self.t = t
        t.ask("list", "listed")
        words = [line.split() for line in t.lines if line.startswith("object ")]
        self.at = {name: int(address) for _, name, address in words}
        t.lines.clear()
        self.mem = open(f"/proc/{t.pid}/mem", "r+b", buffering=0)
        self.saved = []

    def write(self, address, value):
        self.mem.seek(address)
        self.saved.append((address, self.mem.read(8)))
        self.mem.seek(address)
        self.mem.write((value & (1 << 64) - 1).to_bytes(8, "little"))

    def damage(self, name, offset, value):
        if callable(value):
            value = value(self.at[name])
        elif isinstance(value, str):
            value = self.at[value.split()[0]] + (GC_NEXT if value.endswith(" gc") else 0)
        self.write(self.at[name] + offset, value)

    def mend(self):
        for address, data in reversed(self.saved):
            self.mem.seek(address)
            self.mem.write(data)
        self.saved.clear()

    def close(self):
        self.mend()
        self.mem.close()


def walk_damaged(memattach, t, what):
    """Done, with a file that is whole and a report of it; or refused in one line. Never a crash, never slow."""
    path = memattach.new_path()
    begin = time.monotonic()
    done = memattach.run(t.pid, "-o", path, "--json", timeout=60)
    assert time.monotonic() - begin < 20, (what, "slow")
    if done.rc:
        check_error(done, (1, 5))
        check_nothing_left(path)
        return f"{what}: {done.err.strip()}"
    after = memattach.run("check", path)
    assert after.rc == 0, (what, after)
    found = [x["count"] for x in json.loads(done.out)["types"] if x["type"] == "__main__.Kept"]
    assert found == [5000], (what, found)
    path.unlink()
    return None


@pytest.mark.fault(18, "one word wrong: 36 kinds, of sizes, types, keys, GC lists, classes",
                   "all other objects are found, the file is whole", once=True)
def test_damaged_heap(one_python, start, memattach, request):
    """One word of one object is wrong: that object may be lost, 5,000 others are found."""
    t = start(one_python, "corrupt")
    victims = Victims(t)
    refused, failed = [], []
    try:
        with Unharmed(t):
            for what in list(DAMAGES)[::1 if is_long(request.config) else 4]:
                name, offset, value = DAMAGES[what]
                victims.damage(name, offset, value)
                try:
                    refused.append(walk_damaged(memattach, t, what))
                except AssertionError as e:
                    failed.append(f"{what}: {str(e)[:300]}")
                victims.mend()
    finally:
        victims.close()
    assert not failed, "\n".join(failed)
    assert not [r for r in refused if r], refused
    t.end_well(baseline(one_python, "corrupt"))


@pytest.mark.fault(18, "a reference to memory that is not filled yet", "the same")
def test_half_made_object(one_python, start, memattach, request):
    """A reference leads to memory of which only the head is written yet."""
    t = start(one_python, "corrupt")
    victims = Victims(t)
    try:
        with Unharmed(t):
            for kind in ("list", "tuple", "dict", "node", "generator", "function")[::1 if is_long(request.config) else 3]:
                victims.mem.seek(victims.at[kind] + TYPE)
                of_kind = int.from_bytes(victims.mem.read(8), "little")
                victims.mem.seek(victims.at["scratch"] + 40)  # where the bytes of the bytearray are
                made = (int.from_bytes(victims.mem.read(8), "little") + 63) & ~15
                for n in range(32):
                    victims.write(made + 8 * n, 0xdddddddddddddddd)
                victims.write(made, 1)
                victims.write(made + TYPE, of_kind)
                victims.write(victims.at["tuple"] + 24, made)
                assert walk_damaged(memattach, t, f"half a {kind}") is None
                victims.mend()
    finally:
        victims.close()
    t.end_well(baseline(one_python, "corrupt"))


@pytest.mark.fault(18, "random words near objects", "the same", once=True)
def test_random_damage(one_python, start, memattach, request):
    """Any word near any of the objects, any value that could be a pointer, a size, or neither."""
    chance = random.Random(20)
    t = start(one_python, "corrupt")
    victims = Victims(t)
    others = sorted(victims.at.values())
    failed = []
    try:
        with Unharmed(t):
            for n in range(300 if is_long(request.config) else 6):
                done = []
                for _ in range(chance.choice((1, 1, 2, 5))):
                    value = chance.choice((0, 1, WILD, HUGE, (1 << 64) - 1, chance.getrandbits(64), chance.choice(others) + chance.choice((0, 8, 16, 1))))
                    name, offset = chance.choice(sorted(set(victims.at) - {"scratch"})), 8 * chance.randrange(-2, 12)
                    done.append((name, offset, hex(value)))
                    victims.write(victims.at[name] + offset, value)
                try:
                    walk_damaged(memattach, t, done)
                except AssertionError as e:
                    failed.append(f"{n}: {str(e)[:400]}")
                victims.mend()
    finally:
        victims.close()
    assert not failed, "\n".join(failed)
    t.end_well(baseline(one_python, "corrupt"))
