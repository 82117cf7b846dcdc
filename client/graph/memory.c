// SPDX-License-Identifier: Apache-2.0
#include "memory.h"

#include "cleanup.h"

#include <stdlib.h>
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

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Sums of counters of a file: they stop at the top instead of wrapping. */
static uint64_t add(uint64_t a, uint64_t b)
{
	uint64_t sum;
	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static uint64_t mul(uint64_t a, uint64_t b)
{
	uint64_t product;
	return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static uint64_t sub(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* Moves at most `want` from *pool to *row. Returns what did not fit. */
static uint64_t take(uint64_t *pool, uint64_t want, uint64_t *row)
{
	uint64_t n = min(*pool, want);
	*pool -= n;
	*row += n;
	return want - n;
}

/* Resident bytes by what they belong to, from the regions: anonymous memory is the same in the twin. */
struct resident {
	uint64_t arenas, heap, anon, stacks, data; /* anonymous */
	uint64_t code_seen, file_seen;             /* of files, as far as the twin had them */
	uint64_t code_mapped, file_mapped;
};

static int by_addr(const void *a, const void *b)
{
	const struct ma_snap_arena *x = a, *y = b;
	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* Bytes of the region that lie in arenas. `arenas` are sorted, and of one size within a process. */
static uint64_t arena_overlap(const struct ma_snap_arena *arenas, size_t count, const struct ma_snap_region *r)
{
	size_t lo = 0, hi = count;
	while (lo < hi) { /* the first arena that ends behind the start of the region */
		size_t mid = lo + (hi - lo) / 2;
		if (add(arenas[mid].addr, arenas[mid].bytes) <= r->start)
			lo = mid + 1;
		else
			hi = mid;
	}
	uint64_t bytes = 0;
	for (size_t i = lo; i < count && arenas[i].addr < r->end; i++) {
		uint64_t start = arenas[i].addr, end = add(start, arenas[i].bytes);
		if (start < r->start)
			start = r->start;
		if (end > r->end)
			end = r->end;
		bytes = add(bytes, sub(end, start));
	}
	return bytes;
}

static void add_region(struct resident *res, const struct ma_snap_arena *sorted, size_t count,
		       const struct ma_snap_region *r)
{
	uint64_t mapped = sub(r->end, r->start), rss = min(r->rss, mapped), arenas;
	uint64_t anon = min(r->anonymous, rss);
	switch (r->kind) {
	case MA_RGN_ARENA:
	case MA_RGN_HEAP:
	case MA_RGN_ANON:
		/* an arena may stand in one mapping with its neighbours: what is there besides is not an arena's */
		arenas = min(arena_overlap(sorted, count, r), rss);
		res->arenas = add(res->arenas, arenas);
		if (r->kind == MA_RGN_HEAP)
			res->heap = add(res->heap, rss - arenas);
		else
			res->anon = add(res->anon, rss - arenas);
		break;
	case MA_RGN_STACK:
		res->stacks = add(res->stacks, rss);
		break;
	case MA_RGN_CODE:
	case MA_RGN_DATA:
		res->data = add(res->data, anon);
		res->code_seen = add(res->code_seen, rss - anon);
		res->code_mapped = add(res->code_mapped, mapped - anon);
		break;
	case MA_RGN_FILE:
		res->anon = add(res->anon, anon);
		res->file_seen = add(res->file_seen, rss - anon);
		res->file_mapped = add(res->file_mapped, mapped - anon);
		break;
	case MA_RGN_SHARED:
		/* shared memory of a real file is in RssFile, all other in RssShmem, which is a row as it stands */
		if (r->path && r->path[0] == '/' && strncmp(r->path, "/dev/", 5) && strncmp(r->path, "/memfd:", 7) &&
		    strncmp(r->path, "/SYSV", 5))
			res->file_mapped = add(res->file_mapped, mapped);
		break;
	default:
		res->anon = add(res->anon, anon);
		break;
	}
}

/* RssFile over code and other files: first what the twin had, then the rest in the ratio of what is mapped. A
 * fork does not copy the page tables of unchanged file pages, so the twin has fewer than the target. */
static void split_files(const struct resident *res, uint64_t rss_file, uint64_t *rows)
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
	take(&pool, others, &rows[MA_MEM_MALLOC_USED]);
	take(&pool, slack, &rows[MA_MEM_ARENA_SLACK]);
	take(&pool, unused, &rows[MA_MEM_FREE_BLOCKS]);
	take(&pool, free_pools, &rows[MA_MEM_FREE_POOLS]);
}

struct ma_error *ma_memory_compute(const struct ma_snap *s, const struct ma_totals *t, struct ma_memory *ret)
{
	const struct ma_snap_tables *tab = ma_snap_tables(s);
	const struct ma_snap_meta *meta = &tab->meta;
	struct resident res = { 0 };
	uint64_t *rows = ret->rows;
	memset(ret, 0, sizeof(*ret));
	_cleanup_free_ struct ma_snap_arena *arenas = calloc(tab->arenas_count + 1, sizeof(*arenas));
	if (!arenas)
		return &ma_enomem;
	if (tab->arenas_count)
		memcpy(arenas, tab->arenas, tab->arenas_count * sizeof(*arenas));
	qsort(arenas, tab->arenas_count, sizeof(*arenas), by_addr);
	for (size_t i = 0; i < tab->regions_count; i++)
		add_region(&res, arenas, tab->arenas_count, &tab->regions[i]);

	uint64_t rss_file = min(meta->rss_file, RSS_MAX), rss_shmem = min(meta->rss_shmem, RSS_MAX);
	ret->rss = min(meta->rss_anon, RSS_MAX) + rss_file + rss_shmem;
	split_files(&res, rss_file, rows);
	rows[MA_MEM_SHARED] = rss_shmem;
	rows[MA_MEM_STACKS] = res.stacks;
	rows[MA_MEM_CODE] = add(rows[MA_MEM_CODE], res.data);

	uint64_t objects = t->own_bytes[MA_PLACE_ARENA], buffers = t->buffers_small;
	split_arenas(tab, res.arenas, &objects, &buffers, rows);
	/* from glibc: small blocks in its heaps, large ones in mappings of their own; either takes over what the other
	 * has no room for */
	uint64_t small = add(objects, sub(t->own_bytes[MA_PLACE_MALLOC], t->large_own));
	uint64_t left = take(&res.heap, small, &rows[MA_MEM_OBJECTS]);
	take(&res.anon, add(left, t->large_own), &rows[MA_MEM_OBJECTS]);
	left = take(&res.heap, add(buffers, t->buffers), &rows[MA_MEM_BUFFERS]);
	left = take(&res.anon, add(left, t->buffers_large), &rows[MA_MEM_BUFFERS]);
	take(&res.heap, left, &rows[MA_MEM_BUFFERS]);
	take(&res.heap, res.heap, &rows[MA_MEM_MALLOC_USED]);

	/* The kernel's counters are not exact to the page: the rows may not pass their sum. The order of docs/json.md
	 */
	static const enum ma_memory_row order[] = {
		MA_MEM_MALLOC_USED, MA_MEM_MALLOC_FREE, MA_MEM_FREE_POOLS, MA_MEM_FREE_BLOCKS, MA_MEM_ARENA_SLACK,
		MA_MEM_FREELISTS,   MA_MEM_CODE,        MA_MEM_FILE,       MA_MEM_SHARED,      MA_MEM_STACKS,
		MA_MEM_HUGE_WASTE,  MA_MEM_BUFFERS,     MA_MEM_OBJECTS,
	};
	uint64_t sum = 0;
	for (size_t i = 0; i < MA_MEM_UNKNOWN; i++) {
		rows[i] = min(rows[i], ret->rss);
		sum += rows[i];
	}
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]) && sum > ret->rss; i++) {
		uint64_t n = min(rows[order[i]], sum - ret->rss);
		rows[order[i]] -= n;
		sum -= n;
	}
	rows[MA_MEM_UNKNOWN] = ret->rss - sum;
	return NULL;
}
