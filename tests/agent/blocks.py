# SPDX-License-Identifier: Apache-2.0
"""An independent reader of the blocks of wire.h, for tests. Runs on Python 3.8 and later, no imports of ours."""
import struct

META, TYPES, NAMES, OBJECTS, THREADS, ARENAS, REGIONS, STATS, RESULT = range(1, 10)
VALUES = 13
PLAIN, NEXT, AT, NAMED, KEY, VALUE, BORROWED, GUESSED = range(8)
OF_EDGES, OF_GC, OF_BUFFER, OF_EXTRA = 1, 2, 16, 32
OX_CONT, OX_FAULT, OX_UNREACHED, OX_ZEROREF = 1, 2, 4, 8
TF_HEAP, TF_SIZER, TF_VISITOR, TF_VALUES = 1, 2, 4, 8
STAT = ("", "objects", "edges", "bytes", "faults", "gc_objects", "unreached", "unreached_bytes", "types", "names",
        "threads", "frames", "arenas", "scratch_peak", "wait_ns", "collecting", "skipped")


class Reader:
    def __init__(self, data, at, end):
        self.d, self.i, self.end = data, at, end

    def v(self):
        d, i, r, s = self.d, self.i, 0, 0
        if i < self.end and d[i] < 128:
            self.i = i + 1
            return d[i]
        while True:
            if i >= self.end:
                raise ValueError("varint over the end of its block")
            b = d[i]
            i += 1
            r |= (b & 127) << s
            if b < 128:
                self.i = i
                return r
            s += 7
            if s > 63:
                raise ValueError("varint too long")

    def z(self):
        v = self.v()
        return (v >> 1) ^ -(v & 1)

    def s(self):
        n = self.v()
        if self.i + n > self.end:
            raise ValueError("string over the end of its block")
        t = self.d[self.i:self.i + n]
        self.i += n
        return t.decode()

    def edges(self, src):
        """(dst, kind, extra): extra is the index, the name id, or the address of the key."""
        last, index, key, out = src, 0, None, []
        while True:
            v = self.v()
            if not v:
                return out
            v -= 1
            kind = v & 7
            z = v >> 3
            last += 8 * ((z >> 1) ^ -(z & 1))
            extra = None
            if kind == NEXT:
                extra = index
                index += 1
            elif kind == AT:
                extra = self.v()
                index = extra + 1
            elif kind in (NAMED, BORROWED):
                extra = self.v()
            elif kind == KEY:
                key = last
            elif kind == VALUE:
                if key is None:
                    raise ValueError("a value without a key")
                extra = key
            out.append((last, kind, extra))


class Snapshot:
    """objects: address -> [type id, flags, size, refcnt, buffer, extra, edges]"""

    def __init__(self, path):
        self.types, self.names, self.objects, self.threads, self.interps = {}, {}, {}, [], []
        self.arenas, self.classes, self.freelists, self.stats, self.blocks = [], [], {}, {}, 0
        self.object_bytes = self.conts = self.values = self.unread = 0
        self._parts = []
        data = open(path, "rb").read()
        at = 0
        while at < len(data):
            kind, size, records, zero = struct.unpack_from("<IIII", data, at)
            assert zero == 0 and size <= 256 * 1024 - 16 and at + 16 + size <= len(data), "bad header"
            r = Reader(data, at + 16, at + 16 + size)
            n = {TYPES: self._type, NAMES: self._name, OBJECTS: self._object, THREADS: self._thread,
                 ARENAS: self._arena, STATS: self._stat}.get(kind)
            if kind == VALUES:
                self._values(r)
            if kind == OBJECTS:
                self._flagged, self._first = 0, None
            if not n:  # of no interest here: heaps, raw buffers
                at += 16 + size
                continue
            self._prev = 0
            if kind == OBJECTS:
                self.object_bytes += size
            for _ in range(records):
                n(r)
            assert r.i == r.end, "bytes behind the last record of a block of kind %d" % kind
            if kind == OBJECTS:
                self._values_end()
            at += 16 + size
            self.blocks += 1

    def _values(self, r):
        """A part of the column of values of the block of objects to come."""
        first, part, n, lengths = 8 * r.v(), r.v(), r.v(), r.v()
        assert part == len(self._parts) and (not part or first == self._parts[0][0]), "parts in order"
        end = r.i + lengths
        for _ in range(n):
            r.z()
        assert r.i == end, "lengths of another number"
        unread = sum(hashed == b"\0" * 5 for hashed in (r.d[r.i + 5 * i:r.i + 5 * i + 5] for i in range(n)))
        r.i += 5 * n
        texts = []
        while r.i < r.end:
            head = r.v()
            texts.append((head & 1, r.d[r.i:r.i + (head >> 1)]))
            r.i += head >> 1
        assert r.i == r.end, "a text over the end of its block"
        self._parts.append((first, n, texts))
        self.unread += unread

    def _values_end(self):
        """One value for each record of a type that has them."""
        values = sum(n for _, n, _ in self._parts)
        texts = [more for _, _, texts in self._parts for more, _ in texts]
        assert not self._parts or self._parts[0][0] == self._first, "values of other objects"
        assert self._flagged == (texts.count(0) if texts else values), "%d values of %d objects" % (values, self._flagged)
        self.values += self._flagged
        self._parts = []

    def _type(self, r):
        tid, addr, flags, basic, item = r.v(), r.v(), r.v(), r.v(), r.v()
        assert tid == len(self.types) + 1, "type ids in order"
        self.types[tid] = (addr, flags, basic, item, r.s(), r.s())

    def _name(self, r):
        nid = r.v()
        assert nid == len(self.names) + 1, "name ids in order"
        self.names[nid] = r.s()

    def _object(self, r):
        addr = self._prev + 8 * r.z()
        self._prev = addr
        f = r.v()
        tid, flags = f >> 6, f & 63
        assert tid in self.types, "type %d used before it is defined" % tid
        size, rc = r.v(), r.v()
        self._first = self._first or addr
        buf = r.v() if flags & OF_BUFFER else 0
        extra = r.v() if flags & OF_EXTRA else 0
        edges = r.edges(addr) if flags & OF_EDGES else []
        for _, kind, x in edges:
            assert kind not in (NAMED, BORROWED) or x == 0 or x in self.names, "name used before it is defined"
        self._flagged += bool(self.types[tid][1] & TF_VALUES) and not extra & OX_CONT
        if extra & OX_CONT:
            self.conts += 1
            assert addr in self.objects, "continuation of an object that is not there"
            self.objects[addr][6].extend(edges)
            return
        assert addr not in self.objects, "object %x written twice" % addr
        self.objects[addr] = [tid, flags, size, rc, buf, extra, edges]

    def _thread(self, r):
        k = r.v()
        if k == 1:
            self.threads.append({"pthread": r.v(), "native": r.v(), "tstate": r.v(), "interp": r.v(), "gil": r.v(),
                                 "frames": []})
        elif k == 2:
            f = {"code": r.v(), "file": r.v(), "function": r.v(), "line": r.v(), "addr": r.v()}
            f["edges"] = r.edges(f["addr"])
            self.threads[-1]["frames"].append(f)
        else:
            assert k == 3
            i = {"id": r.v(), "addr": r.v(), "collecting": r.v()}
            i["edges"] = r.edges(i["addr"])
            self.interps.append(i)

    def _arena(self, r):
        k = r.v()
        if k == 1:
            self.arenas.append((r.v(), r.v(), r.v(), r.v()))
        elif k == 2:
            self.classes.append((r.v(), r.v(), r.v(), r.v(), r.v(), r.v()))
        else:
            assert k == 3
            name = r.s()
            self.freelists[name] = (r.v(), r.v())

    def _stat(self, r):
        tag = r.v()
        self.stats[STAT[tag] if tag < len(STAT) else tag] = r.v()

    def type_name(self, tid):
        t = self.types[tid]
        return t[4] + "." + t[5] if t[4] else t[5]

    def excess(self):
        """Objects with more counted references than their count: [(address, found, refcnt)]."""
        count = {}
        for addr, o in self.objects.items():
            t = self.types[o[0]]
            if t[1] & TF_HEAP:
                count[t[0]] = count.get(t[0], 0) + 1
            for dst, kind, _ in o[6]:
                if kind not in (BORROWED, GUESSED):
                    count[dst] = count.get(dst, 0) + 1
        for e in [f["edges"] for t in self.threads for f in t["frames"]] + [i["edges"] for i in self.interps]:
            for dst, kind, _ in e:
                if kind not in (BORROWED, GUESSED):
                    count[dst] = count.get(dst, 0) + 1
        return [(a, n, self.objects[a][3]) for a, n in count.items()
                if a in self.objects and self.objects[a][3] and n > self.objects[a][3]]
