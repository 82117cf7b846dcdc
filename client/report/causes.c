// SPDX-License-Identifier: Apache-2.0
#include "causes.h"

#include "human.h"

#include <inttypes.h>

#define LARGE_MIN 1000000u /* bytes */

static bool is_large(const struct ma_memory *m, uint64_t bytes, unsigned percent)
{
	return bytes >= LARGE_MIN && ma_percent(bytes, m->rss) >= percent;
}

static void fragmentation(struct ma_buf *b, const struct ma_analysis *a)
{
	const struct ma_memory *m = &a->memory;
	const struct ma_fragments *f = &a->fragments;
	uint64_t free = m->rows[MA_MEM_FREE_BLOCKS] + m->rows[MA_MEM_FREE_POOLS];
	char b1[MA_HUMAN_MAX], b2[MA_HUMAN_MAX];
	if (!is_large(m, free, 3))
		return;
	if (f->sparse * 10 < f->arenas) {
		ma_buf_printf(b, "%s are free, spread over %s arenas of which most are well filled",
			      ma_human_bytes(b1, free, false), ma_human_count(b2, f->arenas));
		return;
	}
	ma_buf_printf(b, "fragmentation: %u %% of the %s arenas are less than a quarter full",
		      ma_percent(f->sparse, f->arenas), ma_human_count(b1, f->arenas));
	ma_buf_printf(b, " and can not be given back (%s free in them): each is kept by a few objects, %s on average",
		      ma_human_bytes(b1, f->sparse_free, false), ma_human_count(b2, f->objects / f->sparse));
	for (size_t i = 0; i < f->pins_count; i++)
		ma_buf_printf(b, "%s%s (%s arenas)", i ? ", " : "; most of these are ",
			      ma_type_name(a->snap, f->pins[i].type_id), ma_human_count(b1, f->pins[i].arenas));
}

static void malloc_free(struct ma_buf *b, const struct ma_analysis *a)
{
	const struct ma_memory *m = &a->memory;
	const struct ma_heap_totals *h = &m->heaps;
	char b1[MA_HUMAN_MAX];
	if (!is_large(m, m->rows[MA_MEM_MALLOC_FREE], 3))
		return;
	if (h->cached > m->rows[MA_MEM_MALLOC_FREE] / 2)
		ma_buf_printf(b, "most of it waits in caches of threads and fastbins of small blocks");
	else if (h->trimmable > m->rows[MA_MEM_MALLOC_FREE] / 4)
		ma_buf_printf(b,
			      "glibc keeps what was freed below a block that is still in use; malloc_trim(0) would "
			      "give back %s",
			      ma_human_bytes(b1, h->trimmable, false));
	else
		ma_buf_printf(b, "fragmentation: hardly a whole page is free between the blocks in use");
	if (h->arenas > 8)
		ma_buf_printf(b, "; it lies in %s arenas, one for each thread or so: MALLOC_ARENA_MAX=2 keeps them few",
			      ma_human_count(b1, h->arenas));
}

static void malloc_used(struct ma_buf *b, const struct ma_analysis *a)
{
	const struct ma_memory *m = &a->memory;
	const struct ma_heap_totals *h = &m->heaps;
	char b1[MA_HUMAN_MAX], b2[MA_HUMAN_MAX];
	if (!is_large(m, m->rows[MA_MEM_MALLOC_USED], 10))
		return;
	ma_buf_printf(
		b, "no Python object is known to own it: libraries in C do, %s in heaps, %s in mappings of their own",
		ma_human_bytes(b1, h->native, false), ma_human_bytes(b2, h->mmapped_native, false));
	uint64_t own = ma_snap_tables(a->snap)->stats[MA_STAT_TRACES_OWN];
	if (own > m->rows[MA_MEM_MALLOC_USED] / 20)
		ma_buf_printf(b, "; tracemalloc, which is on, takes %s of it for its own tables",
			      ma_human_bytes(b1, own, false));
}

static void unread(struct ma_buf *b, const struct ma_analysis *a)
{
	const struct ma_memory *m = &a->memory;
	if (!is_large(m, m->rows[MA_MEM_MALLOC_UNREAD], 3))
		return;
	if (m->foreign)
		ma_buf_printf(b, "%s is in the place of the libc's malloc; memattach does not read its heaps",
			      m->allocator);
	else
		ma_buf_printf(b, "a heap whose blocks could not be made out");
}

static void unknown(struct ma_buf *b, const struct ma_analysis *a)
{
	const struct ma_memory *m = &a->memory;
	char b1[MA_HUMAN_MAX];
	if (!is_large(m, m->rows[MA_MEM_UNKNOWN], 3))
		return;
	for (size_t i = 0; i < m->unknown_count && i < 3; i++) {
		const struct ma_unknown *u = &m->unknown[i];
		ma_buf_str(b, i ? ", " : "private memory that no allocator known here has: ");
		if (u->start)
			ma_buf_printf(b, "%s at 0x%" PRIx64, ma_human_bytes(b1, u->bytes, false), u->start);
		else
			ma_buf_printf(b, "%s", ma_human_bytes(b1, u->bytes, false));
		if (u->path[0])
			ma_buf_printf(b, " %s", u->path);
	}
}

void ma_cause(struct ma_buf *b, const struct ma_analysis *a, enum ma_memory_row row)
{
	const struct ma_memory *m = &a->memory;
	switch (row) {
	case MA_MEM_FREE_BLOCKS:
		if (m->rows[row] >= m->rows[MA_MEM_FREE_POOLS])
			fragmentation(b, a);
		break;
	case MA_MEM_FREE_POOLS:
		if (m->rows[row] > m->rows[MA_MEM_FREE_BLOCKS])
			fragmentation(b, a);
		break;
	case MA_MEM_MALLOC_FREE:
		malloc_free(b, a);
		break;
	case MA_MEM_MALLOC_USED:
		malloc_used(b, a);
		break;
	case MA_MEM_MALLOC_UNREAD:
		unread(b, a);
		break;
	case MA_MEM_HUGE_WASTE:
		if (is_large(m, m->rows[row], 3))
			ma_buf_str(b, "the kernel gave huge pages of 2 MB for less (transparent_hugepage): the rest "
				      "was never touched");
		break;
	case MA_MEM_UNKNOWN:
		unknown(b, a);
		break;
	default:
		break;
	}
}
