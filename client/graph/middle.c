// SPDX-License-Identifier: Apache-2.0
#include "middle.h"

#include "cleanup.h"

#include <stdlib.h>
#include <string.h>

static const char *name_of(const struct ma_side *side, uint32_t node)
{
	return ma_type_name(side->snap, side->graph->type[node]);
}

/* The object of that type at an address, or MA_NO_INDEX. */
static uint32_t find(const struct ma_side *side, uint64_t addr, const char *type)
{
	uint32_t node = ma_addr_index_find(&side->graph->index, addr);
	return node != MA_NO_INDEX && !strcmp(name_of(side, node), type) ? node : MA_NO_INDEX;
}

static uint64_t above(const struct ma_side *side, uint32_t node)
{
	uint32_t parent = side->tree.parent[node];
	return MA_IS_ROOT(parent) ? 0 : ma_addr_index_addr(&side->graph->index, parent);
}

static int64_t difference(uint64_t now, uint64_t then)
{
	int64_t d;
	return __builtin_sub_overflow(now, then, &d) ? (now > then ? INT64_MAX : INT64_MIN) : d;
}

static void find_trend(const struct ma_match *m, const struct ma_side *middle, const struct ma_growth *g,
		       const struct ma_middle *mid, struct ma_trend *t)
{
	uint32_t node = g->addr ? find(middle, g->addr, g->type) : MA_NO_INDEX;
	uint32_t now = g->addr ? find(m->new, g->addr, g->type) : MA_NO_INDEX;
	uint32_t then = g->addr && !g->is_new ? find(m->old, g->addr, g->type) : MA_NO_INDEX;
	if (node == MA_NO_INDEX || now == MA_NO_INDEX || (then == MA_NO_INDEX && !g->is_new))
		return;
	t->known = true;
	t->first = difference(middle->held[node], then == MA_NO_INDEX ? 0 : m->old->held[then]);
	t->second = difference(m->new->held[now], middle->held[node]);
	double a = (double)t->first / (double)(mid->first_ns ? mid->first_ns : 1);
	double b = (double)t->second / (double)(mid->second_ns ? mid->second_ns : 1);
	t->steady = a > 0 && b > 0 && a <= 2 * b && b <= 2 * a;
}

static int by_bytes(const void *a, const void *b)
{
	const struct ma_gained *x = a, *y = b;
	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	return strcmp(x->type, y->type);
}

static void count_survivor(const struct ma_match *m, const struct ma_growths *g, uint32_t node, struct ma_middle *mid,
			   struct ma_gained *table)
{
	uint64_t size = ma_graph_size(m->new->graph, node);
	uint32_t point = g->point_of[m->new_near[node]];
	struct ma_gained *row = &table[m->new_names[m->new->graph->type[node]]];
	row->type = name_of(m->new, node);
	row->count++;
	row->bytes = difference((uint64_t)row->bytes + size, 0);
	mid->objects++;
	mid->bytes += size;
	if (point < g->count) {
		mid->trends[point].objects++;
		mid->trends[point].bytes += size;
	}
}

/* The same address and type are not enough: what churns leaves its addresses to others of its type. */
static bool is_there(const struct ma_side *side, uint64_t addr, const char *type, uint64_t up)
{
	uint32_t node = find(side, addr, type);
	return node != MA_NO_INDEX && above(side, node) == up;
}

/* The quick way to see that an object was there before, as most were. */
static bool was_with_its_pair(const struct ma_match *m, uint32_t node, uint64_t addr, const char *type)
{
	uint32_t then = find(m->old, addr, type);
	return then != MA_NO_INDEX && m->old_near[then] == m->new_near[node];
}

/* All objects of the new snapshot, page by page. */
static void find_survivors(const struct ma_match *m, const struct ma_growths *g, const struct ma_side *middle,
			   struct ma_middle *mid, struct ma_gained *table)
{
	const struct ma_addr_index *index = &m->new->graph->index;
	uint32_t node = 0;
	for (size_t i = 0; i < index->pages_count; i++) {
		for (unsigned slot = 0; slot < 512; slot++) {
			if (!(index->pages[i].bits[slot / 64] >> slot % 64 & 1))
				continue;
			uint64_t addr = (index->pages[i].number << 12) + slot * 8;
			const char *type = name_of(m->new, node);
			if (!was_with_its_pair(m, node, addr, type)) {
				uint64_t up = above(m->new, node);
				if (is_there(middle, addr, type, up) && !is_there(m->old, addr, type, up))
					count_survivor(m, g, node, mid, table);
			}
			node++;
		}
	}
}

static struct ma_error *compute(const struct ma_match *m, const struct ma_growths *g, const struct ma_side *middle,
				struct ma_middle *mid)
{
	_cleanup_free_ struct ma_gained *table = calloc(m->names_count, sizeof(*table));
	mid->trends = calloc(g->count + 1, sizeof(*mid->trends));
	if (!table || !mid->trends)
		return &ma_enomem;
	for (size_t i = 0; i < g->count; i++)
		find_trend(m, middle, &g->points[i], mid, &mid->trends[i]);
	find_survivors(m, g, middle, mid, table);
	size_t n = 0;
	for (size_t i = 0; i < m->names_count; i++)
		if (table[i].count)
			table[n++] = table[i];
	qsort(table, n, sizeof(*table), by_bytes);
	mid->survivors = ma_take_ptr(table);
	mid->survivors_count = n;
	return NULL;
}

struct ma_error *ma_middle_compute(const struct ma_match *m, const struct ma_growths *g, const struct ma_side *middle,
				   struct ma_middle *ret)
{
	struct ma_middle mid = { .snap = middle->snap, .first_ns = ret->first_ns, .second_ns = ret->second_ns };
	struct ma_error *err = compute(m, g, middle, &mid);
	if (err) {
		ma_middle_deinit(&mid);
		return err;
	}
	*ret = mid;
	return NULL;
}

void ma_middle_deinit(struct ma_middle *mid)
{
	free(mid->trends);
	free(mid->survivors);
	memset(mid, 0, sizeof(*mid));
}
