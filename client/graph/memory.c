// SPDX-License-Identifier: Apache-2.0
#include "memory.h"

#include "cleanup.h"
#include "saturate.h"

#include <stdio.h>
#include <string.h>

/* No machine has more; sums of the rows of a hostile file then stay inside 64 bits. */
#define RSS_MAX (UINT64_C(1) << 56)

static const char *const names[] = {
#define MA_MEM(id, name, text) name,
	MA_MEMORY_ROWS(MA_MEM)
#undef MA_MEM
};
static const char *const texts[] = {
#define MA_MEM(id, name, text) text,
	MA_MEMORY_ROWS(MA_MEM)
#undef MA_MEM
};

const char *ma_memory_name(enum ma_memory_row row)
{
	return names[row];
}

const char *ma_memory_text(enum ma_memory_row row)
{
	return texts[row];
}

const char *ma_memory_label(const struct ma_memory *m, enum ma_memory_row row, char buf[64])
{
	const char *text = texts[row];
	if (!m->allocator[0] || strncmp(text, "malloc:", 7) != 0)
		return text;
	snprintf(buf, 64, "%s%s", m->allocator, text + 6);
	return buf;
}

/* Moves at most `want` from *pool to *row. Returns what did not fit. */
static uint64_t take(uint64_t *pool, uint64_t want, uint64_t *row)
{
	uint64_t n = min(*pool, want);
	*pool -= n;
	*row += n;
	return want - n;
}

/* RssFile over code and other files: first what the twin had, then the rest in the ratio of what is mapped. A
 * fork does not copy the page tables of unchanged file pages, so the twin has fewer than the target. */
static void split_files(const struct ma_resident *res, uint64_t rss_file, uint64_t *rows)
{
	uint64_t left = rss_file;
	take(&left, res->code_seen, &rows[MA_MEM_CODE]);
	take(&left, res->file_seen, &rows[MA_MEM_FILE]);
	uint64_t code = sub(res->code_mapped, rows[MA_MEM_CODE]), file = sub(res->file_mapped, rows[MA_MEM_FILE]);
	if (!left || (!code && !file))
		return;
	uint64_t share = (uint64_t)((double)left * ((double)code / ((double)code + (double)file)));
	share = min(min(share, left), code);
	uint64_t rest = min(left - share, file);
	share = min(left - rest, code);
	rows[MA_MEM_CODE] += share;
	rows[MA_MEM_FILE] += rest;
}

/* What the arenas hold: blocks in use (objects, their small buffers, free lists, others), free blocks, headers
 * and rounding, and free pools. Whatever of objects and small buffers is not in the arenas stays in *objects
 * and *buffers. */
static void split_arenas(const struct ma_snap_tables *tab, uint64_t resident, uint64_t *objects, uint64_t *buffers,
			 uint64_t *rows)
{
	uint64_t used = 0, unused = 0, waste = 0, with_object = 0, lists = 0, free_pools = 0;
	for (size_t i = 0; i < tab->classes_count; i++) {
		const struct ma_snap_class *c = &tab->classes[i];
		used = add(used, mul(c->used, c->block_bytes));
		unused = add(unused, mul(c->free, c->block_bytes));
		with_object = add(with_object, mul(min(c->objects, c->used), c->block_bytes));
		waste = add(waste, c->waste_bytes);
	}
	for (size_t i = 0; i < tab->freelists_count; i++)
		lists = add(lists, tab->freelists[i].bytes);
	for (size_t i = 0; i < tab->arenas_count; i++) {
		const struct ma_snap_arena *a = &tab->arenas[i];
		if (a->pools)
			free_pools = add(free_pools, mul(min(a->free_pools, a->pools), a->bytes / a->pools));
	}
	uint64_t pool = resident;
	uint64_t others = sub(used, with_object); /* blocks in use that are no object: buffers, tables, dead objects */
	uint64_t slack = add(waste, sub(with_object, *objects));
	if (!used) /* no totals by size class (an incomplete file): objects and buffers take what they need */
		others = *buffers;
	*objects = take(&pool, *objects, &rows[MA_MEM_OBJECTS]);
	uint64_t buffers_here = min(*buffers, others);
	*buffers -= buffers_here;
	others -= buffers_here;
	*buffers = add(*buffers, take(&pool, buffers_here, &rows[MA_MEM_BUFFERS]));
	uint64_t lists_here = min(lists, others);
	others -= lists_here;
	take(&pool, lists_here, &rows[MA_MEM_FREELISTS]);
	take(&pool, others, &rows[MA_MEM_PYMALLOC_OTHER]);
	take(&pool, slack, &rows[MA_MEM_ARENA_SLACK]);
	take(&pool, unused, &rows[MA_MEM_FREE_BLOCKS]);
	take(&pool, free_pools, &rows[MA_MEM_FREE_POOLS]);
	/* arenas begin anywhere, pools at a multiple of their size: the ends belong to no pool */
	rows[MA_MEM_ARENA_SLACK] += pool;
}

/* What malloc adds to `count` blocks of `bytes` together: a header, and up to a multiple of 16. */
static uint64_t malloc_rounding(uint64_t count, uint64_t bytes)
{
	uint64_t chunks = add(bytes, mul(count, 16)) & ~UINT64_C(15);
	return sub(chunks, bytes);
}

/* Memory of malloc: what is in use, by Python or by others; what is free. */
static void split_malloc(const struct ma_snap_tables *tab, const struct ma_totals *t, const struct ma_resident *res,
			 uint64_t objects, uint64_t buffers, struct ma_memory *ret)
{
	uint64_t *rows = ret->rows, heaps = res->heaps, unread = res->heap, used = 0, mapped = res->mmapped;
	uint64_t unknown = res->unknown;
	struct ma_heap_totals *h = &ret->heaps;
	for (size_t i = 0; i < tab->heaps_count; i++) {
		const struct ma_snap_heap *p = &tab->heaps[i];
		h->used = add(h->used, p->used.resident);
		h->cached = add(h->cached, p->cached.resident);
		h->free = add(h->free, p->free.resident);
		h->top = add(h->top, p->top.resident);
		h->trimmable = add(h->trimmable, p->trimmable);
		h->used_chunks = add(h->used_chunks, p->used.chunks);
		h->arenas += !i || p->arena != tab->heaps[i - 1].arena;
	}
	take(&heaps, add(add(h->free, h->top), h->cached), &rows[MA_MEM_MALLOC_FREE]);
	take(&heaps, h->used, &used);
	unread += heaps;
	if (ret->foreign) { /* no heap of glibc has its blocks: all that nothing else explains is the other allocator's
			     */
		unread = add(unread, unknown);
		unknown = 0;
	}
	/* Large blocks are mapped (M_MMAP_THRESHOLD) until the first of them is freed, then they may be in a heap, too
	 */
	uint64_t own = sub(t->large_own, t->large_absent), large = min(own, objects),
		 large_buffers = min(t->buffers_large, buffers);
	large = take(&mapped, large, &rows[MA_MEM_OBJECTS]);
	large_buffers = take(&mapped, large_buffers, &rows[MA_MEM_BUFFERS]);
	uint64_t *const pools[] = { &used, &mapped, &unread, &unknown };
	objects = add(sub(objects, own), large);
	buffers = add(sub(buffers, t->buffers_large), large_buffers);
	for (size_t i = 0; i < MA_ARRAY_SIZE(pools); i++) {
		objects = take(pools[i], objects, &rows[MA_MEM_OBJECTS]);
		buffers = take(pools[i], buffers, &rows[MA_MEM_BUFFERS]);
	}
	take(&used, malloc_rounding(t->malloc_blocks, t->malloc_bytes), &rows[MA_MEM_MALLOC_SLACK]);
	rows[MA_MEM_MALLOC_USED] = add(used, mapped);
	rows[MA_MEM_MALLOC_UNREAD] = unread;
	ret->heaps.native = used;
	ret->heaps.mmapped = res->mmapped;
	ret->heaps.mmapped_native = mapped;
	ret->heaps.mmapped_chunks = res->mmapped_chunks;
}

/* Zeros in huge pages stand in the rows of where they lie. */
static void split_zeros(const struct ma_resident *res, uint64_t *rows)
{
	take(&rows[MA_MEM_MALLOC_FREE], res->zeros_heaps, &rows[MA_MEM_HUGE_WASTE]);
	take(&rows[MA_MEM_STACKS], res->zeros_stacks, &rows[MA_MEM_HUGE_WASTE]);
}

/* Other allocators, which bring their functions in the place of glibc's (LD_PRELOAD, or linked). They are known by
 * their library; one that only serves its own users, beside heaps of glibc, does not count. */
static const char *allocator_of(const struct ma_snap_tables *tab, bool *foreign)
{
	static const struct {
		const char *file, *name;
	} known[] = { { "/libjemalloc", "jemalloc" }, { "/libtcmalloc", "tcmalloc" }, { "/libmimalloc", "mimalloc" } };
	const char *libc = "";
	*foreign = false;
	for (size_t i = 0; i < tab->regions_count; i++) {
		const char *path = tab->regions[i].path, *file = path ? strrchr(path, '/') : NULL;
		for (size_t k = 0; file && !tab->heaps_count && k < MA_ARRAY_SIZE(known); k++)
			if (!strncmp(file, known[k].file, strlen(known[k].file))) {
				*foreign = true;
				return known[k].name;
			}
		if (file && (!strncmp(file, "/libc.so.6", 10) || !strncmp(file, "/libc-2.", 8)))
			libc = "glibc";
		else if (file && !strncmp(file, "/ld-musl-", 9))
			libc = "musl";
	}
	return tab->heaps_count ? "glibc" : libc;
}

#define MMAP_MIN (128 * 1024) /* as in totals.c */

/* Buffers of extensions: their place is known, so that only what is resident counts (np.zeros() touches nothing). Those
 * of numpy are in the sizes of its arrays, the others come on top. */
static void extensions(const struct ma_snap_tables *tab, const struct ma_buffers *b, struct ma_totals *t)
{
	for (size_t i = 0; b && i < b->count; i++) {
		const struct ma_buffer *r = &b->list[i];
		if (r->row == MA_BUFFER_FOREIGN || !r->counted || r->bytes > RSS_MAX)
			continue;
		uint64_t resident = min(ma_resident_bytes(tab, r->addr, r->addr + r->bytes), r->counted);
		uint64_t *to = r->bytes >= MMAP_MIN ? &t->buffers_large : &t->buffers;
		if (ma_buffer_in_sizes(r->row))
			*to = sub(*to, r->counted - resident);
		else
			*to = add(*to, resident);
	}
}

struct ma_error *ma_memory_compute(const struct ma_snap *s, const struct ma_totals *t, const struct ma_buffers *b,
				   struct ma_memory *ret)
{
	const struct ma_snap_tables *tab = ma_snap_tables(s);
	const struct ma_snap_meta *meta = &tab->meta;
	struct ma_resident res;
	uint64_t *rows = ret->rows;
	memset(ret, 0, sizeof(*ret));
	MA_TRY(ma_resident_compute(tab, &res));
	ret->allocator = allocator_of(tab, &ret->foreign);

	uint64_t rss_file = min(meta->rss_file, RSS_MAX), rss_shmem = min(meta->rss_shmem, RSS_MAX);
	ret->rss = min(meta->rss_anon, RSS_MAX) + rss_file + rss_shmem;
	split_files(&res, rss_file, rows);
	rows[MA_MEM_FILE] = add(rows[MA_MEM_FILE], res.file_private);
	rows[MA_MEM_SHARED] = rss_shmem;
	rows[MA_MEM_STACKS] = res.stacks;
	rows[MA_MEM_DATA] = res.data;

	uint64_t objects = t->own_bytes[MA_PLACE_ARENA], buffers = t->buffers_small;
	split_arenas(tab, res.arenas, &objects, &buffers, rows);
	struct ma_totals known = *t;
	extensions(tab, b, &known);
	objects = add(objects, sub(t->own_bytes[MA_PLACE_MALLOC], t->absent));
	buffers = add(buffers, add(known.buffers, known.buffers_large));
	split_malloc(tab, &known, &res, objects, buffers, ret);
	split_zeros(&res, rows);

	/* Counters of the kernel, the twin and the agent are not exact to the page: the rows may not pass their sum.
	 * The order of docs/json.md */
	static const enum ma_memory_row order[] = {
		MA_MEM_MALLOC_UNREAD, MA_MEM_MALLOC_USED, MA_MEM_MALLOC_FREE, MA_MEM_MALLOC_SLACK,   MA_MEM_FREE_POOLS,
		MA_MEM_FREE_BLOCKS,   MA_MEM_ARENA_SLACK, MA_MEM_FREELISTS,   MA_MEM_PYMALLOC_OTHER, MA_MEM_CODE,
		MA_MEM_DATA,          MA_MEM_FILE,        MA_MEM_SHARED,      MA_MEM_STACKS,         MA_MEM_HUGE_WASTE,
		MA_MEM_BUFFERS,       MA_MEM_OBJECTS,
	};
	uint64_t sum = 0;
	for (size_t i = 0; i < MA_MEM_UNKNOWN; i++) {
		rows[i] = min(rows[i], ret->rss);
		sum += rows[i];
	}
	for (size_t i = 0; i < MA_ARRAY_SIZE(order) && sum > ret->rss; i++) {
		uint64_t n = min(rows[order[i]], sum - ret->rss);
		rows[order[i]] -= n;
		sum -= n;
	}
	rows[MA_MEM_UNKNOWN] = ret->rss - sum;
	uint64_t unknown = rows[MA_MEM_UNKNOWN];
	for (size_t i = 0; i < res.largest_count && !ret->foreign; i++) {
		ret->unknown[i] = res.largest[i];
		ret->unknown[i].bytes = min(ret->unknown[i].bytes, unknown);
		unknown -= ret->unknown[i].bytes;
		ret->unknown_count += ret->unknown[i].bytes != 0;
	}
	return NULL;
}
