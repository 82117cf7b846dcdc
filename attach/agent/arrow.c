// SPDX-License-Identifier: Apache-2.0
/* arrow.c - buffers behind the objects of pyarrow, and hash tables behind those of pandas.
 *
 * An object of pyarrow holds a shared_ptr to an object of Arrow C++. Their layouts are the same in 12, 15 and 26
 * (cpp/src/arrow; shared_ptr: pointer, control block; vector: begin, end, end of room):
 *	Table, RecordBatch: virtual table 0, schema 8, num_rows 24, columns 32 (of ChunkedArray, ArrayData)
 *	ChunkedArray: chunks 0 (of Array), type 24, length 40        Array: virtual table 0, data 8 (ArrayData)
 *	ArrayData: type 0, length 16, offset 32, buffers 40, child_data 64, dictionary 88
 *	Buffer: virtual table 0, is_mutable 8, is_cpu 9, data 16, size 24, capacity 32
 * A virtual table lies in the data of a library: that, and sane lengths, tell whether a structure is what it seems. */
#include "native.h"

#define DEPTH 12u
#define NODES 4000000ull       /* of one object */
#define ALL_NODES 100000000ull /* of a process */
#define BYTES_MAX (1ull << 44)

/* Digits at the end of "Int64HashTable" and so on are the bits of a key. */
static uint32_t key_bytes(addr_t name)
{
	uint32_t bits = 0;
	for (unsigned i = 0; i < 32 && rd8(name + i); i++) {
		uint8_t c = rd8(name + i);
		if (c >= '0' && c <= '9')
			bits = bits * 10 + c - '0';
	}
	return bits && bits <= 128 ? bits / 8 : 8;
}

/* Which of the known structures instances of a type have: by the name of it or of a base of it. */
unsigned maa_native_kind(struct maa *m, addr_t t, uint32_t *detail)
{
	static const struct {
		char name[14];
		uint8_t kind;
	} arrow[] = { { "Table", MAA_ARROW_TABLE },
		      { "RecordBatch", MAA_ARROW_BATCH },
		      { "ChunkedArray", MAA_ARROW_CHUNKED },
		      { "Array", MAA_ARROW_ARRAY },
		      { "Buffer", MAA_ARROW_BUFFER } };
	for (unsigned i = 0; i < 16 && t && !(t & 7) && maa_readable(m, t); i++) {
		addr_t name = rd64(t + (uint64_t)m->L->type_name);
		if (!name || !maa_readable(m, name))
			return MAA_NATIVE_NONE;
		if (maa_text_starts(name, "pandas._libs.hashtable.")) {
			addr_t end = name + 23;
			while (rd8(end) && end < name + 64)
				end++;
			if (end - name > 23 + 9 && maa_text_starts(end - 9, "HashTable")) {
				*detail = key_bytes(name + 23);
				return MAA_PANDAS_TABLE;
			}
		}
		if (maa_text_starts(name, "pyarrow.lib."))
			for (unsigned k = 0; k < sizeof(arrow) / sizeof(*arrow); k++) {
				unsigned len = 0;
				while (arrow[k].name[len])
					len++;
				if (maa_text_starts(name + 12, arrow[k].name) && !rd8(name + 12 + len))
					return arrow[k].kind;
			}
		t = rd64(t + (uint64_t)m->L->type_base);
	}
	return MAA_NATIVE_NONE;
}

static int at(struct maa *m, addr_t a, uint64_t bytes)
{
	return a && !(a & 7) && maa_readable(m, a) && maa_readable(m, a + bytes - 8);
}

static int virtual(struct maa *m, addr_t a, uint64_t bytes)
{
	if (!at(m, a, bytes))
		return 0;
	addr_t table = rd64(a);
	return at(m, table, 16) && maa_place(m, table) == MA_PLACE_STATIC;
}

/* A vector of shared_ptr at `a`: how many, and the first. */
static uint64_t vector(struct maa *m, addr_t a, addr_t *first)
{
	addr_t begin = rd64(a), end = rd64(a + 8), room = rd64(a + 16);
	*first = begin;
	if (!begin || end < begin || room < end || (end - begin) % 16 || end - begin > 16 * NODES ||
	    !maa_range_ok(m, begin, end - begin))
		return 0;
	return (end - begin) / 16;
}

static int node(struct maa *m)
{
	if (!(++m->arrow_nodes & 1023))
		maa_beat(m);
	return m->arrow_nodes < NODES && ++m->arrow_all < ALL_NODES;
}

static void buffer(struct maa *m, addr_t b)
{
	if (!node(m) || !virtual(m, b, 48) || rd8(b + 9) != 1)
		return; /* not memory of the processor */
	addr_t data = rd64(b + 16);
	uint64_t size = rd64(b + 24), capacity = rd64(b + 32);
	if (!data || !capacity || size > capacity || capacity > BYTES_MAX || !maa_readable(m, data) ||
	    !maa_readable(m, data + capacity - 1) || !maa_native_once(m, b))
		return;
	maa_raw(m, MA_RAW_ARROW, data, capacity, m->cur);
}

static void array_data(struct maa *m, addr_t d, unsigned depth)
{
	addr_t first;
	if (depth > DEPTH || !node(m) || !at(m, d, 104) || rd64(d + 16) > BYTES_MAX)
		return;
	if (!maa_native_once(m, d))
		return; /* many objects may share it */
	uint64_t n = vector(m, d + 40, &first);
	for (uint64_t i = 0; i < n; i++)
		if (rd64(first + 16 * i))
			buffer(m, rd64(first + 16 * i));
	n = vector(m, d + 64, &first);
	for (uint64_t i = 0; i < n; i++)
		array_data(m, rd64(first + 16 * i), depth + 1);
	if (rd64(d + 88))
		array_data(m, rd64(d + 88), depth + 1);
}

static void chunked(struct maa *m, addr_t c)
{
	addr_t first;
	if (!node(m) || !at(m, c, 56) || rd64(c + 40) > BYTES_MAX)
		return;
	if (!maa_native_once(m, c))
		return;
	uint64_t n = vector(m, c, &first);
	for (uint64_t i = 0; i < n; i++) {
		addr_t array = rd64(first + 16 * i);
		if (virtual(m, array, 24))
			array_data(m, rd64(array + 8), 0);
	}
}

static void columns(struct maa *m, addr_t table, unsigned kind)
{
	addr_t first;
	uint64_t n = vector(m, table + 32, &first);
	for (uint64_t i = 0; i < n; i++) {
		if (kind == MAA_ARROW_TABLE)
			chunked(m, rd64(first + 16 * i));
		else
			array_data(m, rd64(first + 16 * i), 0);
	}
}

/* class HashTable of pandas (_libs/hashtable.pyx): struct kh_..._t * 24, which is n_buckets 0 (32 bits), flags 16, keys
 * 24, vals 32: one bit, one key and 8 bytes for each bucket (khash_python.h). */
static void hash_table(struct maa *m, addr_t a, uint32_t key)
{
	addr_t h = rd64(a + 24);
	if (!at(m, h, 40))
		return;
	uint64_t n = rdu32(h), flags = rd64(h + 16), keys = rd64(h + 24), vals = rd64(h + 32);
	if (n < 4 || (n & (n - 1)) || !at(m, flags, 8) || !at(m, keys, n * key) || !at(m, vals, n * 8))
		return;
	maa_raw(m, MA_RAW_PANDAS, flags, n < 32 ? 4 : n / 8, a);
	maa_raw(m, MA_RAW_PANDAS, keys, n * key, a);
	maa_raw(m, MA_RAW_PANDAS, vals, n * 8, a);
}

int maa_visit_arrow(struct maa *m, addr_t a, const struct maa_type *t)
{
	m->arrow_nodes = 0;
	if (t->native == MAA_PANDAS_TABLE) {
		hash_table(m, a, t->scalar_bytes);
		return 1;
	}
	for (addr_t p = a + 16; p + 16 <= a + t->body; p += 8) {
		addr_t x = rd64(p);
		if (!at(m, x, 48) || !at(m, rd64(p + 8), 16) || maa_place(m, x) == MA_PLACE_STATIC)
			continue;
		if (t->native == MAA_ARROW_BUFFER) {
			if (virtual(m, x, 48) && virtual(m, rd64(p + 8), 16)) {
				buffer(m, x);
				return 1;
			}
			continue;
		}
		/* shared_ptr, and the pointer once more */
		if (p + 24 > a + t->body || rd64(p + 16) != x || !virtual(m, rd64(p + 8), 16))
			continue;
		if (t->native == MAA_ARROW_CHUNKED)
			chunked(m, x);
		else if (!virtual(m, x, 56))
			continue;
		else if (t->native == MAA_ARROW_ARRAY)
			array_data(m, rd64(x + 8), 0);
		else
			columns(m, x, t->native);
		return 1;
	}
	return 1;
}
