# SPDX-License-Identifier: Apache-2.0
"""Which contents of objects a snapshot has, on every Python: what --values asks for, exactly, and nothing else."""
import ctypes
import ctypes.util
import functools
import json
import stat
import struct

import pytest

MASK = 2**64 - 1
HASHED = 1 << 20  # bytes of a content that count: its two ends
MARKER = "s3cr3t"
NUMBER = int.from_bytes(b"n7mb3r#!", "little")


def siphash(key, data, c, d):
    """SipHash-c-d as its paper has it."""
    k0, k1 = struct.unpack("<QQ", key)
    v = [k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573]

    def rounds(n):
        a, b, e, f = v
        for _ in range(n):
            a = a + b & MASK
            b = (b << 13 | b >> 51) & MASK ^ a
            a = (a << 32 | a >> 32) & MASK
            e = e + f & MASK
            f = (f << 16 | f >> 48) & MASK ^ e
            a = a + f & MASK
            f = (f << 21 | f >> 43) & MASK ^ a
            e = e + b & MASK
            b = (b << 17 | b >> 47) & MASK ^ e
            e = (e << 32 | e >> 32) & MASK
        v[:] = a, b, e, f

    whole = len(data) // 8 * 8
    last = int.from_bytes(data[whole:], "little") | (len(data) & 255) << 56
    for word in [*(w for w, in struct.iter_unpack("<Q", data[:whole])), last]:
        v[3] ^= word
        rounds(c)
        v[0] ^= word
    v[2] ^= 0xff
    rounds(d)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


@functools.lru_cache(maxsize=None)
def value_hash(key, content):
    """docs/snapshot-format.md, Values."""
    if isinstance(content, str):
        top = max(map(ord, content), default=0)
        width = 1 if top < 0x100 else 2 if top < 0x10000 else 4
        data = b"".join(struct.pack({1: "<B", 2: "<H", 4: "<I"}[width], ord(c)) for c in content)
    else:
        width, data = 0, content
    if len(data) > HASHED:
        data = data[:HASHED // 2] + data[-HASHED // 2:] + struct.pack("<Q", len(data))
    derived = b"".join(struct.pack("<Q", siphash(key, bytes([width, n]), 2, 4)) for n in (0, 1))
    return "%010x" % (siphash(derived, data, 1, 3) & (1 << 40) - 1)


def described(t):
    """{address: (type, content)} as the target says."""
    t.send("objects")
    found = {}
    for address, name, kind, content in json.loads(t.read_line()):
        if kind == "points":
            content = "".join(map(chr, content))
        elif kind != "str":
            content = {"bytes": bytes.fromhex, "int": int, "float": float}[kind](content)
        found[address] = (name, content)
    return found


def taken(memattach, t, mode=None):
    """A snapshot and {address: row} of what it has of values."""
    path = memattach.new_path()
    done = memattach.run(t.pid, "-o", path, "--json", *(["--values", mode] if mode else []))
    assert done.rc == 0, done
    report = json.loads(done.out)
    assert report["values"] == (mode or "hash")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert memattach.run("check", path).rc == 0
    rows = memattach.query(path, "SELECT addr, type, length, hash, value FROM objects"
                                 " WHERE hash IS NOT NULL OR value IS NOT NULL")
    return path, {r["addr"]: r for r in rows}


def key_of(memattach):
    path = memattach.folder / "data" / "memattach" / "values.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    return path.read_bytes()


def strings(objects):
    return {a: c for a, (_, c) in objects.items() if isinstance(c, (str, bytes))}


def test_hashes_and_lengths(python, start, memattach):
    # one key for all, so that the hashes of long contents are made once
    folder = memattach.folder / "data" / "memattach"
    folder.mkdir(parents=True, mode=0o700)
    (folder / "values.key").touch(mode=0o600)
    (folder / "values.key").write_bytes(bytes(range(100, 116)))
    t = start(python, "values")
    path, rows = taken(memattach, t)
    objects = described(t)
    key = key_of(memattach)
    assert key == bytes(range(100, 116))
    wrong = []
    for address, content in strings(objects).items():
        row = rows.get(address, {})
        if (row.get("length"), row.get("hash")) != (len(content), value_hash(key, content)):
            wrong.append((content[:20], len(content), row))
    assert not wrong, f"{len(wrong)} of {len(strings(objects))}: {wrong[:5]}"
    # a second snapshot, and one of a second process: equal contents have equal hashes, others have not
    other = start(python, "values")
    by_content = {}
    for target, (_, found) in ((t, taken(memattach, t)), (other, taken(memattach, other))):
        for address, content in strings(described(target)).items():
            by_content.setdefault(content, set()).add(found[address]["hash"])
    assert all(len(hashes) == 1 for hashes in by_content.values())
    assert len(set.union(*by_content.values())) == len(by_content)
    assert memattach.value(path, "SELECT count(*) FROM objects WHERE value IS NOT NULL") == 0
    t.end_well()
    other.end_well()


def test_another_key_gives_other_hashes(one_python, start, memattach, tmp_path):
    t = start(one_python, "values")
    _, first = taken(memattach, t)
    key = tmp_path / "data" / "memattach" / "values.key"
    key.unlink()
    _, second = taken(memattach, t)
    same = [a for a in strings(described(t)) if first[a]["hash"] == second[a]["hash"]]
    assert not same


@pytest.mark.parametrize("spoil", ["mode", "short", "link"])
def test_a_key_that_is_not_private_is_not_used(one_python, start, memattach, tmp_path, spoil):
    t = start(one_python, "values")
    taken(memattach, t)
    key = tmp_path / "data" / "memattach" / "values.key"
    if spoil == "mode":
        key.chmod(0o640)
    elif spoil == "short":
        key.write_bytes(b"short")
    else:
        key.rename(tmp_path / "elsewhere")
        key.symlink_to(tmp_path / "elsewhere")
    notes = []
    for _ in range(2):
        snap = memattach.snapshot(t.pid, check=False)
        notes += [n for n in snap.notes if "hashes of values match those of no other snapshot" in n]
    assert len(notes) == 2, notes


def expected_value(content, limit):
    if isinstance(content, str):
        return content[:limit].encode("utf-8", "surrogatepass").decode("utf-8", "replace").replace("\ufffd\ufffd\ufffd", "\ufffd")
    if isinstance(content, bytes):
        return "".join("\\\\" if b == 92 else chr(b) if 32 <= b < 127 else "\\x%02x" % b for b in content[:limit])
    return content


@pytest.mark.parametrize("mode,limit", [("prefix:9", 9), ("prefix:1", 1), ("prefix:65536", 65536), ("all", 1 << 18)])
def test_texts_and_numbers(python, start, memattach, mode, limit):
    t = start(python, "values")
    path, rows = taken(memattach, t, mode)
    objects = described(t)
    key = key_of(memattach)
    wrong = []
    for address, (name, content) in objects.items():
        row, got = rows.get(address, {}), None
        if row:
            got = row["value"]
            if mode == "all" and isinstance(got, str):
                got = got[:limit]  # the text is cut at 1 MiB
            if isinstance(content, int) and isinstance(got, str):
                got = int(got)  # more than 64 bits
        if got != expected_value(content, limit):  # SQLite has no -0.0: it is equal to 0
            wrong.append((name, *(x[:20] if isinstance(x, (str, bytes)) else x for x in (content, got))))
        if isinstance(content, (str, bytes)) and len(content) < 1000:
            assert row["hash"] == value_hash(key, content) and row["length"] == len(content)
    assert not wrong, f"{len(wrong)} of {len(objects)}: {wrong[:5]}"
    if mode == "all":
        huge = max((r["value"] for r in rows.values() if isinstance(r["value"], str)), key=len)
        assert len(huge) == (1 << 20) - 3 or len(huge) == 1 << 20, len(huge)
    t.end_well()


def unpacked(path):
    """Every byte of a snapshot as it was before compression."""
    data = path.read_bytes()
    zstd = ctypes.CDLL(ctypes.util.find_library("zstd"))
    zstd.ZSTD_decompress.restype = ctypes.c_size_t
    zstd.ZSTD_decompress.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
    out, at = [data], 32
    while data[at:at + 8] == b"\xf5ChunkM\xfa":
        codec = data[at + 10]
        raw, stored = struct.unpack_from("<II", data, at + 24)
        body = data[at + 48:at + 48 + stored]
        if codec:
            room = ctypes.create_string_buffer(raw)
            assert zstd.ZSTD_decompress(room, raw, body, stored) == raw
            body = room.raw
        out.append(body)
        at += 48 + stored
    assert data[at:at + 8] == b"\xf5MAtail\xfa", "not walked to the end"
    return b"\0".join(out)


def traces(blob, text):
    return [e for e in ("utf-8", "utf-16-le", "utf-32-le") if text.encode(e) in blob]


@pytest.mark.parametrize("mode", ["none", "hash", "prefix:3", "prefix:7", "all"])
def test_no_secret_leaves(python, start, memattach, mode):
    """The marker is in values, arguments and the environment, the key in a file: what the mode does not ask for is in no
    form in the file."""
    t = start(python, "values", "argument-" + MARKER + "-2", env={"VARIABLE": MARKER + "-3"})
    path, rows = taken(memattach, t, mode)
    blob = unpacked(path)
    assert b"attribute_of_code" in blob and b"local_variable" in blob, "names of code are kept"
    text = mode in ("prefix:7", "all")
    command = b"argument-" + MARKER.encode() + b"-2"
    assert (command in blob) == (mode != "none")
    rest = blob.replace(command, b"") if mode == "hash" or mode == "prefix:3" else blob
    assert bool(traces(rest, MARKER)) == text, traces(rest, MARKER)
    assert (struct.pack("<Q", NUMBER) in blob or str(NUMBER).encode() in blob) == (mode not in ("none", "hash"))
    assert (struct.pack("<d", 0.125) in blob) == (mode not in ("none", "hash"))
    if mode == "none":
        assert not rows
        command = json.loads(memattach.run("report", path, "--json").out)["command"]
        assert command.endswith("python3") or " " not in command
    else:
        key = key_of(memattach)
        assert key not in blob and key[:8] not in blob and key[8:] not in blob
        derived = struct.pack("<Q", siphash(key, bytes([1, 0]), 2, 4))
        assert derived not in blob
    t.end_well()


@pytest.mark.parametrize("wrong", ["", "some", "prefix", "prefix:", "prefix:0", "prefix:-1", "prefix:65537", "prefix:9x", "ALL",
                                   "prefix:99999999999999999999"])
def test_values_that_are_not(memattach, wrong):
    done = memattach.run("1", "--values", wrong)
    assert done.rc == 2 and "--values wants" in done.err, done
