#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the linked agent and extracts the bytes that are mapped into a twin.

The agent is mapped at any address by copying one block of bytes, so it must have: no undefined symbol, no
relocation, no dynamic section, no writable data, no section that is writable and executable, and a
bounded size. Usage: check_agent.py AGENT.elf [--blob FILE] [--header FILE]
"""
import argparse
import struct
import sys

LIMIT = 128 * 1024
SHT = {"SYMTAB": 2, "RELA": 4, "DYNAMIC": 6, "NOBITS": 8, "REL": 9, "DYNSYM": 11}
SHF_WRITE, SHF_ALLOC, SHF_EXEC = 1, 2, 4


def sections(elf):
    shoff, = struct.unpack_from("<Q", elf, 0x28)
    shentsize, shnum, shstrndx = struct.unpack_from("<HHH", elf, 0x3A)
    heads = [struct.unpack_from("<IIQQQQIIQQ", elf, shoff + i * shentsize) for i in range(shnum)]
    names = heads[shstrndx][4]
    for h in heads:
        end = elf.index(b"\0", names + h[0])
        yield {"name": elf[names + h[0]:end].decode(), "type": h[1], "flags": h[2], "addr": h[3], "off": h[4],
               "size": h[5], "link": h[6]}


def check(elf):
    """Returns (problems, bytes of the image, entry offset)."""
    bad = []
    if elf[:6] != b"\x7fELF\x02\x01":
        return ["not a little-endian 64-bit ELF file"], b"", 0
    entry, = struct.unpack_from("<Q", elf, 0x18)
    secs = list(sections(elf))
    image = bytearray()
    for s in secs:
        alloc = s["flags"] & SHF_ALLOC
        if s["type"] in (SHT["RELA"], SHT["REL"]) and s["size"]:
            bad.append(f"relocations left in {s['name']}")
        if s["type"] in (SHT["DYNAMIC"], SHT["DYNSYM"]) and s["size"]:
            bad.append(f"dynamic section {s['name']}")
        if s["name"].startswith(".got") and any(elf[s["off"]:s["off"] + s["size"]]):
            bad.append(f"addresses in {s['name']}")
        if not alloc or not s["size"]:
            continue
        if s["flags"] & SHF_WRITE:
            bad.append(f"writable section {s['name']} ({s['size']} bytes)")
        if s["flags"] & SHF_WRITE and s["flags"] & SHF_EXEC:
            bad.append(f"section {s['name']} is writable and executable")
        if s["type"] == SHT["NOBITS"]:
            bad.append(f"uninitialised data in {s['name']}")
            continue
        end = s["addr"] + s["size"]
        if end > 16 * LIMIT:
            bad.append(f"section {s['name']} lies at {s['addr']:#x}")
            continue
        image.extend(b"\0" * max(0, end - len(image)))
        image[s["addr"]:end] = elf[s["off"]:s["off"] + s["size"]]
    for s in secs:
        if s["type"] != SHT["SYMTAB"]:
            continue
        strings = secs[s["link"]]["off"]
        for at in range(s["off"] + 24, s["off"] + s["size"], 24):
            name, _, _, shndx = struct.unpack_from("<IBBH", elf, at)
            if shndx == 0:
                end = elf.index(b"\0", strings + name)
                bad.append(f"undefined symbol {elf[strings + name:end].decode()}")
    if len(image) > LIMIT:
        bad.append(f"{len(image)} bytes, more than the {LIMIT} it may have")
    if not image or entry >= len(image):
        bad.append("no code at the entry")
    return bad, bytes(image), entry


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("elf")
    ap.add_argument("--blob", help="write the bytes to be mapped here")
    ap.add_argument("--header", help="write a C header about the blob here")
    args = ap.parse_args()
    with open(args.elf, "rb") as f:
        bad, image, entry = check(f.read())
    for line in bad:
        print(f"{args.elf}: {line}", file=sys.stderr)
    if bad:
        return 1
    if args.blob:
        with open(args.blob, "wb") as f:
            f.write(image)
    if args.header:
        with open(args.header, "w", encoding="utf-8") as f:
            f.write("/* by tools/check_agent.py */\n"
                    f'#define AGENT_BLOB_FILE "{args.blob}"\n#define AGENT_BLOB_BYTES {len(image)}u\n'
                    f"#define AGENT_BLOB_ENTRY {entry}u\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
