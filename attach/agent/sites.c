// SPDX-License-Identifier: Apache-2.0
/* sites.c - where memory was allocated, by the tables of tracemalloc (Modules/_tracemalloc.c, from 3.12 on in
 * _PyRuntime, from 3.13 on Python/tracemalloc.c), where the target has it on. Its table of traces is a hash table
 * (Python/hashtable.c) from the address of a block to its size and traceback. It is found by its shape, so that no
 * symbol is needed: a word of the interpreter's data that points to a hash table of addresses whose entries are traces.
 */
#include "emit.h"

#define PRIVATE(id, image, type, member, lo, hi, value) enum { id = (value) };
#define PRIVATE_SIZE(id, image, type, lo, hi, value) enum { id = (value) };
#include "private_fields.h"

#define PROBES 8u /* entries that must be sound for a table to be taken */
#define PROBE_BUCKETS 65536u
#define NEAR 8u /* words on both sides of `traces` in which `domains` is looked for */
#define SITES_MAX (1u << 20)
#define ROW_BYTES 25u /* at most: two varints of 64 bits, one of 32 */
#define HEAD_BYTES 32u
#define COUNT_MAX (1ull << 40)

typedef struct {
	uint64_t v;
} __attribute__((packed)) loose; /* frames are packed, 12 bytes each, and in 3.8 what stands in entries */

static uint64_t loose64(addr_t a)
{
	return ((const volatile loose *)a)->v;
}

/* The inline ones once each: size before speed. */
static __attribute__((noinline)) int readable(struct maa *m, addr_t a)
{
	return a && !(a >> 47) && maa_readable(m, a);
}

static __attribute__((noinline)) int range_readable(struct maa *m, addr_t a, uint64_t bytes)
{
	return !(a >> 47) && maa_range_ok(m, a, bytes);
}

static __attribute__((noinline)) uint8_t *put_number(uint8_t *p, uint64_t v)
{
	return put(p, v);
}

/* What malloc takes for so many bytes (glibc's malloc.c, request2size). */
static uint64_t chunk_of(uint64_t bytes)
{
	return bytes <= 24 ? 32 : (bytes + 8 + 15) & ~15ull;
}

/* An entry of a hash table with so many bytes of key and data; from 3.9 on both are a pointer each. */
static uint64_t entry_bytes(const struct maa *m, uint64_t bytes)
{
	return chunk_of(m->minor == 8 ? HTE_KEY_38 + bytes : HTE_SIZE);
}

/* _Py_HashPointer(): the low four bits last */
static uint64_t pointer_hash(addr_t a)
{
	return a >> 4 | a << 60;
}

static int in_heap(struct maa *m, addr_t a)
{
	if ((a & 7) || !readable(m, a))
		return 0;
	uint64_t c = *maa_chunk(m, a) & CH_CLASS;
	return c == CH_MALLOC || c == CH_MIXED || c == CH_ARENA;
}

/* Up to 3.8 keys and data stand in the entry itself. */
static int table_open(struct maa *m, addr_t a, struct maa_traced *t)
{
	int old = m->minor == 8;
	if (!in_heap(m, a))
		return 0;
	addr_t hash = rd64(a + (old ? HT_HASH_FUNC_38 : HT_HASH_FUNC));
	if (hash < m->python_start || hash >= m->python_end)
		return 0;
	t->entries = rd64(a + (old ? HT_ENTRIES_38 : HT_ENTRIES));
	t->buckets_count = rd64(a + (old ? HT_NBUCKETS_38 : HT_NBUCKETS));
	t->buckets = rd64(a + HT_BUCKETS);
	t->key_bytes = old ? rd64(a + HT_KEY_SIZE_38) : 0;
	t->domain = 0;
	if (old && ((t->key_bytes != 8 && t->key_bytes != KEY_SIZE_38) || rd64(a + HT_DATA_SIZE_38) != TRACE_SIZE))
		return 0;
	return t->buckets_count >= 16 && t->buckets_count <= COUNT_MAX &&
	       !(t->buckets_count & (t->buckets_count - 1)) && t->entries && t->entries <= t->buckets_count &&
	       in_heap(m, t->buckets) && range_readable(m, t->buckets, t->buckets_count * 8);
}

static unsigned frames_in(struct maa *m, addr_t traceback, unsigned *total)
{
	if (m->minor == 8)
		return *total = rdu32(traceback + TRACEBACK_NFRAME);
	*total = RD(uint16_t, traceback + TRACEBACK_TOTAL);
	return RD(uint16_t, traceback + TRACEBACK_NFRAME);
}

static int traceback_ok(struct maa *m, addr_t a)
{
	unsigned total;
	if ((a & 7) || !readable(m, a))
		return 0;
	unsigned n = frames_in(m, a, &total);
	if (!n || n > total || n > 0xffff || !range_readable(m, a, TRACEBACK_FRAMES + n * FRAME_SIZE))
		return 0;
	addr_t file = loose64(a + TRACEBACK_FRAMES);
	return readable(m, file);
}

/* The trace of an entry that may be read; 0 when it does not look like one. */
static int trace_read(struct maa *m, const struct maa_traced *t, addr_t e, struct maa_trace *r)
{
	addr_t at;
	r->addr = rd64(e + (t->key_bytes ? HTE_KEY_38 : HTE_KEY));
	r->domain = t->domain;
	if (t->key_bytes) {
		at = e + HTE_KEY_38 + t->key_bytes;
		if (t->key_bytes == KEY_SIZE_38)
			r->domain = rdu32(e + HTE_KEY_38 + 8);
	} else {
		at = rd64(e + HTE_VALUE);
		if ((at & 7) || !readable(m, at))
			return 0;
	}
	r->bytes = loose64(at + TRACE_BYTES);
	r->traceback = loose64(at + TRACE_TRACEBACK);
	return !(r->bytes >> 56) && r->addr + r->bytes >= r->addr;
}

/* Its first entries: keys that are hashed as addresses are, values that are traces. */
static int looks_traced(struct maa *m, const struct maa_traced *t)
{
	unsigned good = 0;
	for (uint64_t i = 0; i < t->buckets_count && i < PROBE_BUCKETS && good < PROBES && good < t->entries; i++) {
		struct maa_trace r;
		addr_t e = rd64(t->buckets + 8 * i);
		if (!e)
			continue;
		if (!in_heap(m, e) || !trace_read(m, t, e, &r) || !traceback_ok(m, r.traceback))
			return 0;
		uint64_t hash = rd64(e + HTE_HASH) ^ (t->key_bytes == KEY_SIZE_38 ? r.domain : 0);
		if (hash != pointer_hash(r.addr) || (hash & (t->buckets_count - 1)) != i)
			return 0;
		good++;
	}
	return good > 0;
}

static void table_add(struct maa *m, const struct maa_traced *t)
{
	struct maa_sites *s = &m->sites;
	if (s->tables_count < sizeof(s->tables) / sizeof(s->tables[0]))
		s->tables[s->tables_count++] = *t;
}

/* The tables of other domains than that of Python's allocators (numpy's, say): `domains` is a neighbour of `traces`. */
static void domains_add(struct maa *m, addr_t word)
{
	struct maa_traced d, t;
	if (!table_open(m, rd64(word), &d) || d.key_bytes || looks_traced(m, &d))
		return;
	for (uint64_t i = 0; i < d.buckets_count && i < PROBE_BUCKETS; i++) {
		addr_t e = rd64(d.buckets + 8 * i);
		for (unsigned n = 0; e && n < 64 && in_heap(m, e); n++, e = rd64(e)) {
			if (!table_open(m, rd64(e + HTE_VALUE), &t) || !looks_traced(m, &t))
				return;
			t.domain = rdu32(e + HTE_KEY);
			table_add(m, &t);
		}
	}
}

static int buffers_make(struct maa *m)
{
	struct maa_sites *s = &m->sites;
	s->batch = maa_alloc(m, sizeof(*s->batch) * MAA_TRACES_BATCH);
	s->known_bits = 12;
	s->known = maa_alloc(m, sizeof(*s->known) << s->known_bits);
	s->sites.data = s->sites.p = maa_alloc(m, MA_BLOCK_PAYLOAD);
	s->sites.kind = MA_BLOCK_SITES;
	s->traces.data = s->traces.p = maa_alloc(m, MA_BLOCK_PAYLOAD);
	s->traces.kind = MA_BLOCK_TRACES;
	return s->batch && s->known && s->sites.data && s->traces.data;
}

/* ph_k: the word that is looked at, so that a fault costs that word. */
static void search(struct maa *m)
{
	for (; m->ph_i < m->statics_count && !m->sites.tables_count; m->ph_i++, m->ph_k = 0) {
		addr_t start = (m->statics[m->ph_i].start + 7) & ~7ull, end = m->statics[m->ph_i].end & ~7ull;
		if (start < m->python_start || end > m->python_end)
			continue;
		for (addr_t a = start + 8 * m->ph_k; a < end; a += 8) {
			struct maa_traced t;
			m->ph_k = (a - start) / 8 + 1;
			if (!(a & 4095) && !maa_map_readable(m, a)) {
				a += 4088;
				continue;
			}
			if (!table_open(m, rd64(a), &t) || !looks_traced(m, &t))
				continue;
			table_add(m, &t);
			for (addr_t d = a - 8 * NEAR; d <= a + 8 * NEAR; d += 8)
				if (d >= start && d + 8 <= end && d != a)
					domains_add(m, d);
			break;
		}
	}
}

/* ------------------------------------------------------------------ writing */
/* Up to 3.14 the file of a frame is a str, from 3.15 on an UTF-8 string. */
static uint32_t file_name(struct maa *m, addr_t file)
{
	if (!readable(m, file))
		return 0;
	if (maa_is_str(m, file))
		return maa_name(m, file);
	return m->minor >= 14 ? maa_name_cstr(m, file) : 0;
}

static uint32_t site_write(struct maa *m, addr_t traceback)
{
	struct maa_sites *s = &m->sites;
	unsigned total, n = frames_in(m, traceback, &total);
	uint64_t own = chunk_of(TRACEBACK_FRAMES + n * FRAME_SIZE) + entry_bytes(m, 8);
	if (n > MA_SITE_FRAMES_MAX)
		n = MA_SITE_FRAMES_MAX;
	if (s->sites.p + HEAD_BYTES + n * 10 > s->sites.data + MA_BLOCK_PAYLOAD)
		maa_flush(m, &s->sites);
	/* the record counts when it is whole: a fault may come in between */
	uint8_t *p = put_number(s->sites.p, s->last_id + 1);
	p = put_number(p, total);
	p = put_number(p, n);
	for (unsigned i = 0; i < n; i++) {
		addr_t frame = traceback + TRACEBACK_FRAMES + i * FRAME_SIZE;
		p = put_number(p, file_name(m, loose64(frame)));
		p = put_number(p, loose64(frame + FRAME_LINE - 4) >> 32);
	}
	s->sites.p = p;
	s->sites.records++;
	m->stat[MA_STAT_SITES]++;
	m->stat[MA_STAT_TRACES_OWN] += own;
	return ++s->last_id;
}

/* 0 when there are too many, or it is not sound. */
static uint32_t site_of(struct maa *m, addr_t traceback)
{
	struct maa_sites *s = &m->sites;
	uint64_t mask = (1ull << s->known_bits) - 1, h = maa_hash(traceback) >> (64 - s->known_bits);
	while (s->known[h].str && s->known[h].str != traceback)
		h = (h + 1) & mask;
	if (s->known[h].str)
		return s->known[h].id;
	if (s->last_id >= SITES_MAX || !traceback_ok(m, traceback) ||
	    (s->last_id * 2 > mask && maa_slots_grow(m, &s->known, &s->known_bits)))
		return 0;
	uint32_t id = site_write(m, traceback);
	mask = (1ull << s->known_bits) - 1;
	h = maa_hash(traceback) >> (64 - s->known_bits);
	while (s->known[h].str)
		h = (h + 1) & mask;
	s->known[h].str = traceback;
	s->known[h].id = id;
	return id;
}

static int before(const struct maa_trace *a, const struct maa_trace *b)
{
	return a->domain != b->domain ? a->domain < b->domain : a->addr < b->addr;
}

/* Heap sort: no recursion, no memory, and no input that makes it slow. */
static void sort(struct maa_trace *v, uint64_t n)
{
	for (uint64_t i = n / 2, end = n; end > 1;) {
		struct maa_trace x;
		if (i) {
			x = v[--i];
		} else {
			x = v[--end];
			v[end] = v[0];
		}
		uint64_t at = i, child;
		for (; (child = 2 * at + 1) < end; at = child) {
			child += child + 1 < end && before(&v[child], &v[child + 1]);
			if (!before(&x, &v[child]))
				break;
			v[at] = v[child];
		}
		v[at] = x;
	}
}

/* One record: the rows of the batch from `i` to before `end`, which are of one domain. */
static void rows_write(struct maa *m, uint64_t i, uint64_t end)
{
	struct maa_buf *b = &m->sites.traces;
	const struct maa_trace *v = m->sites.batch;
	uint64_t low = 0, prev = 0;
	for (uint64_t k = i; k < end; k++)
		low |= v[k].addr & 7;
	unsigned shift = low ? 0 : 3;
	if (b->p + HEAD_BYTES + (end - i) * ROW_BYTES > b->data + MA_BLOCK_PAYLOAD)
		maa_flush(m, b);
	uint8_t *p = put_number(put_number(put_number(b->p, v[i].domain), shift), end - i);
	for (uint64_t k = i; k < end; k++) {
		p = put_number(p, (v[k].addr - prev) >> shift);
		p = put_number(p, v[k].bytes);
		p = put_number(p, v[k].site);
		prev = v[k].addr;
		m->stat[MA_STAT_TRACES_BYTES] += v[k].bytes;
	}
	b->p = p;
	b->records++;
	m->stat[MA_STAT_TRACES] += end - i;
}

/* The walk goes by buckets, so addresses come nearly in order: sorted in batches they take a byte or two each. */
static void batch_write(struct maa *m)
{
	struct maa_sites *s = &m->sites;
	sort(s->batch, s->batch_count);
	maa_flush(m, &s->sites); /* sites go before the rows that name them */
	for (uint64_t i = 0, k; i < s->batch_count; i = k) {
		for (k = i; k < s->batch_count && s->batch[k].domain == s->batch[i].domain;)
			k++;
		rows_write(m, i, k);
	}
	s->batch_count = 0;
	maa_beat(m);
}

/* ph_p: the next bucket; ph_j: entries seen, which no chain that leads into itself can outrun. */
static void table_walk(struct maa *m, const struct maa_traced *t)
{
	struct maa_sites *s = &m->sites;
	uint64_t most = t->entries + t->entries / 8 + 64;
	uint64_t own = entry_bytes(m, t->key_bytes + TRACE_SIZE) + (t->key_bytes ? 0 : chunk_of(TRACE_SIZE));
	if (!m->ph_p)
		m->stat[MA_STAT_TRACES_OWN] += chunk_of(t->buckets_count * 8);
	while (m->ph_p < t->buckets_count && m->ph_j < most) {
		addr_t e = rd64(t->buckets + 8 * m->ph_p++);
		if (!(m->ph_p & 0xffff))
			maa_beat(m);
		for (; e && m->ph_j < most; e = rd64(e)) {
			struct maa_trace r;
			m->ph_j++;
			if ((e & 7) || !readable(m, e))
				break;
			if (!trace_read(m, t, e, &r))
				continue;
			m->stat[MA_STAT_TRACES_OWN] += own;
			r.site = site_of(m, r.traceback);
			s->batch[s->batch_count] = r;
			if (++s->batch_count == MAA_TRACES_BATCH)
				batch_write(m);
		}
	}
}

/* ph_turtle: 0 while `traces` is looked for, then 1. ph_i then is the table. */
void maa_sites(struct maa *m)
{
	struct maa_sites *s = &m->sites;
	if (!m->ph_turtle) {
		search(m);
		m->ph_turtle = 1;
		m->ph_i = m->ph_j = m->ph_k = m->ph_p = 0;
		if (s->tables_count && !buffers_make(m))
			s->tables_count = 0;
	}
	for (; m->ph_i < s->tables_count; m->ph_i++, m->ph_j = m->ph_p = 0)
		table_walk(m, &s->tables[m->ph_i]);
	if (s->batch_count)
		batch_write(m);
	if (s->traces.data)
		maa_flush(m, &s->traces);
}
