// SPDX-License-Identifier: Apache-2.0
/* libdata.c - the writable data of libraries, for words that hold objects: an object whose count says that something
 * outside of all Python objects holds it is named by the library that has its address. */
#include "native.h"

#define RANGE_MAX (16ull << 20)
#define ALL_MAX (64ull << 20)
#define WORDS_MAX 1000000u

/* What is a known object of its own in this data is passed over: its references are known. */
static uint64_t static_object(struct maa *m, addr_t a)
{
	if (!maa_marked(m, a))
		return 0;
	addr_t type = rd64(a + OB_TYPE);
	const struct maa_type *t = type && !(type & 7) ? maa_type_find(m, type) : NULL;
	if (type == m->args->known[MA_KT_TYPE]) /* the instances of type in static data are not heap types */
		return ((uint64_t)m->L->sizeof_type + 7) & ~7ull;
	return t && t->basicsize >= 16 ? ((uint64_t)t->basicsize + 7) & ~7ull : 0;
}

static int held_object(struct maa *m, addr_t x)
{
	if ((x & 7) || x < 4096 || x >> 47)
		return 0;
	uint64_t c = *maa_chunk(m, x) & CH_CLASS;
	if (c != CH_ARENA && c != CH_MALLOC && c != CH_MIXED)
		return 0;
	if (!maa_marked(m, x) || !maa_readable(m, x))
		return 0;
	unsigned place = maa_place(m, x);
	if (place != MA_PLACE_ARENA && place != MA_PLACE_MALLOC)
		return 0;
	addr_t type = rd64(x + OB_TYPE);
	return type && !(type & 7) && maa_type_find(m, type) && !(m->minor >= 12 && (int32_t)rdu32(x) < 0);
}

/* ph_i: the range, ph_p: where in it; a page that is gone costs the rest of its range. */
void maa_libdata(struct maa *m)
{
	for (; m->ph_i < m->statics_count; m->ph_i++, m->ph_p = 0) {
		const struct maa_range *r = &m->statics[m->ph_i];
		addr_t start = (r->start + 7) & ~7ull, end = r->end & ~7ull;
		if (m->ph_p) /* it faulted there */
			continue;
		uint64_t left = ALL_MAX > m->ph_k ? ALL_MAX - m->ph_k : 0, most = left < RANGE_MAX ? left : RANGE_MAX;
		if (end <= start)
			continue;
		if (end - start > most) {
			m->stat[MA_STAT_RAW_UNSEEN] += end - start - most;
			end = start + most;
		}
		m->ph_k += end - start;
		m->ph_p = start;
		uint64_t page = 0;
		for (addr_t a = start; a < end && m->stat[MA_STAT_RAW_WORDS] < WORDS_MAX;) {
			if (a >> 12 != page) { /* not all of a range need be mapped as it was loaded */
				page = a >> 12;
				if (!(page & 255))
					maa_beat(m);
				if (!maa_map_readable(m, a)) {
					a = (page + 1) << 12;
					continue;
				}
			}
			uint64_t skip = static_object(m, a);
			if (skip) {
				a += skip;
				continue;
			}
			addr_t x = rd64(a);
			if (x && held_object(m, x))
				maa_raw_word(m, a, x);
			a += 8;
		}
	}
	maa_flush(m, &m->rw);
}
