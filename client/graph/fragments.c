// SPDX-License-Identifier: Apache-2.0
#include "fragments.h"

#include "cleanup.h"
#include "saturate.h"

#include <stdlib.h>
#include <string.h>

struct tally { /* of one type */
	uint64_t objects, bytes, arenas;
	uint64_t last; /* the arena it was seen in last, counted from 1 */
};

static bool is_sparse(const struct ma_snap_fill *f, uint64_t arena_bytes)
{
	return f->carved >= arena_bytes / 2 && f->used < arena_bytes / 4;
}

/* The first page of the index at or behind `number`. */
static size_t first_page(const struct ma_addr_index *x, uint64_t number)
{
	size_t lo = 0, hi = x->pages_count;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (x->pages[mid].number < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Counts the objects that begin in [start, end). */
static uint64_t tally_range(const struct ma_graph *g, struct tally *types, size_t types_count, uint64_t start,
			    uint64_t end, uint64_t arena)
{
	const struct ma_addr_index *x = &g->index;
	uint64_t objects = 0;
	for (size_t i = first_page(x, start >> 12); i < x->pages_count && x->pages[i].number <= (end - 1) >> 12; i++) {
		const struct ma_addr_page *page = &x->pages[i];
		uint32_t node = page->base;
		for (unsigned w = 0; w < 8; w++) {
			for (uint64_t bits = page->bits[w]; bits; bits &= bits - 1, node++) {
				uint64_t addr = page->number << 12 | w << 9 | (uint64_t)__builtin_ctzll(bits) << 3;
				if (addr < start || addr >= end)
					continue;
				struct tally *t = &types[g->type[node] < types_count ? g->type[node] : 0];
				t->objects++;
				t->bytes = add(t->bytes, ma_graph_size(g, node));
				t->arenas += t->last != arena;
				t->last = arena;
				objects++;
			}
		}
	}
	return objects;
}

static void rank(const struct tally *types, size_t count, struct ma_fragments *ret)
{
	for (size_t i = 0; i < count; i++) {
		const struct tally *t = &types[i];
		size_t n = ret->pins_count;
		if (!t->objects || (n == MA_PINS_MAX && ret->pins[n - 1].objects >= t->objects))
			continue;
		if (n < MA_PINS_MAX)
			ret->pins_count++;
		else
			n--;
		for (; n && ret->pins[n - 1].objects < t->objects; n--)
			ret->pins[n] = ret->pins[n - 1];
		ret->pins[n] = (struct ma_pin){ (uint32_t)i, t->objects, t->bytes, t->arenas };
	}
}

static const struct ma_snap_arena *arena_at(const struct ma_snap_tables *tab, size_t hint, uint64_t addr)
{
	/* the agent writes both tables in the same order; an incomplete file may lack a part of one */
	if (hint < tab->arenas_count && tab->arenas[hint].addr == addr)
		return &tab->arenas[hint];
	for (size_t i = 0; i < tab->arenas_count; i++)
		if (tab->arenas[i].addr == addr)
			return &tab->arenas[i];
	return NULL;
}

struct ma_error *ma_fragments_compute(const struct ma_graph *g, struct ma_fragments *ret)
{
	const struct ma_snap_tables *tab = ma_snap_tables(g->snap);
	size_t types_count = tab->types_count + 1;
	memset(ret, 0, sizeof(*ret));
	ret->arenas = tab->arenas_count;
	_cleanup_free_ struct tally *types = calloc(types_count, sizeof(*types));
	if (!types)
		return &ma_enomem;
	for (size_t i = 0; i < tab->fills_count && i < tab->arenas_count; i++) {
		const struct ma_snap_fill *f = &tab->fills[i];
		const struct ma_snap_arena *a = arena_at(tab, i, f->addr);
		if (!a || !a->bytes || a->bytes > UINT32_MAX || !is_sparse(f, a->bytes))
			continue;
		ret->sparse++;
		ret->sparse_free = add(ret->sparse_free, sub(min(f->carved, a->bytes), f->used));
		ret->objects += tally_range(g, types, types_count, a->addr, a->addr + a->bytes, i + 1);
	}
	rank(types, types_count, ret);
	return NULL;
}
