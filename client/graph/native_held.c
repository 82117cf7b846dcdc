// SPDX-License-Identifier: Apache-2.0
#include "native_held.h"

#include "cleanup.h"

#include <stdlib.h>
#include <string.h>

const char *ma_library_of(const struct ma_snap *s, uint64_t addr, bool bss)
{
	const struct ma_snap_tables *tab = ma_snap_tables(s);
	size_t lo = 0, hi = tab->regions_count;
	while (lo < hi) { /* smaps is in order of addresses */
		size_t mid = lo + (hi - lo) / 2;
		if (tab->regions[mid].end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == tab->regions_count || tab->regions[lo].start > addr)
		return NULL;
	while (bss && !tab->regions[lo].path[0] && lo && tab->regions[lo - 1].end == tab->regions[lo].start)
		lo--;
	return tab->regions[lo].path[0] == '/' ? tab->regions[lo].path : NULL;
}

/* 3.11 freezes code with a count of 999,999,999 (Tools/scripts/deepfreeze.py): nobody holds these, they are static. */
#define FROZEN 500000000

uint32_t ma_native_excess(uint32_t refcnt, uint32_t found, uint32_t guessed)
{
	if (refcnt > FROZEN || found >= refcnt)
		return 0;
	return refcnt - found > guessed ? refcnt - found - guessed : 0;
}

static int by_object(const void *a, const void *b)
{
	const struct ma_snap_word *x = a, *y = b;
	if (x->object != y->object)
		return x->object < y->object ? -1 : 1;
	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static const struct ma_snap_word *find_word(const struct ma_snap_word *words, size_t count, uint64_t object)
{
	size_t lo = 0, hi = count;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (words[mid].object < object)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < count && words[lo].object == object ? &words[lo] : NULL;
}

static int by_node(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

static int by_type(const void *a, const void *b)
{
	const struct ma_native_held_row *x = a, *y = b;
	int c = strcmp(x->type, y->type);
	if (c)
		return c;
	return strcmp(x->library ? x->library : "", y->library ? y->library : "");
}

static int by_references(const void *a, const void *b)
{
	const struct ma_native_held_row *x = a, *y = b;
	if (x->references != y->references)
		return x->references > y->references ? -1 : 1;
	return by_type(a, b);
}

/* Rows of the same type and library together. */
static void fold(struct ma_native_held *n)
{
	size_t out = 0;
	if (n->rows_count)
		qsort(n->rows, n->rows_count, sizeof(*n->rows), by_type);
	for (size_t i = 0; i < n->rows_count; i++) {
		if (out && !by_type(&n->rows[out - 1], &n->rows[i])) {
			n->rows[out - 1].objects += n->rows[i].objects;
			n->rows[out - 1].references += n->rows[i].references;
		} else {
			n->rows[out++] = n->rows[i];
		}
	}
	n->rows_count = out;
	if (out)
		qsort(n->rows, out, sizeof(*n->rows), by_references);
}

static struct ma_error *add(struct ma_native_held *n, size_t *room, struct ma_native_held_row row)
{
	if (n->rows_count == *room) {
		fold(n); /* many objects, few types */
		if (!*room || n->rows_count > *room / 2) {
			struct ma_native_held_row *more =
				reallocarray(n->rows, *room ? *room * 2 : 1024, sizeof(*more));
			if (!more)
				return &ma_enomem;
			n->rows = more;
			*room = *room ? *room * 2 : 1024;
		}
	}
	n->rows[n->rows_count++] = row;
	return NULL;
}

static struct ma_error *compute(const struct ma_graph *g, struct ma_native_held *n)
{
	const struct ma_snap_tables *tab = ma_snap_tables(g->snap);
	_cleanup_free_ struct ma_snap_word *words = calloc(tab->words_count + 1, sizeof(*words));
	_cleanup_free_ uint32_t *guessed = calloc(g->guessed_count + 1, sizeof(*guessed));
	size_t room = 0, at = 0;
	if (!words || !guessed)
		return &ma_enomem;
	if (tab->words_count) {
		memcpy(words, tab->words, tab->words_count * sizeof(*words));
		qsort(words, tab->words_count, sizeof(*words), by_object);
	}
	if (g->guessed_count) {
		memcpy(guessed, g->guessed, g->guessed_count * sizeof(*guessed));
		qsort(guessed, g->guessed_count, sizeof(*guessed), by_node);
	}
	for (uint32_t i = 0; i < g->count; i++) {
		if (g->refcnt[i] == MA_GRAPH_UNKNOWN || g->refcnt[i] > FROZEN || g->found[i] >= g->refcnt[i])
			continue;
		uint64_t left = g->refcnt[i] - g->found[i];
		while (at < g->guessed_count && guessed[at] < i)
			at++;
		for (; at < g->guessed_count && guessed[at] == i && left; at++)
			left--;
		if (!left)
			continue;
		uint64_t addr = ma_addr_index_addr(&g->index, i);
		const struct ma_snap_word *w = find_word(words, tab->words_count, addr);
		/* an object in the data of a library is that library's own */
		const char *library = ma_library_of(g->snap, w ? w->addr : addr, w != NULL);
		n->objects++;
		n->references += left;
		n->located += library != NULL;
		MA_TRY(add(n, &room,
			   (struct ma_native_held_row){ ma_type_name(g->snap, g->type[i]), library, 1, left }));
	}
	fold(n);
	return NULL;
}

struct ma_error *ma_native_held_compute(const struct ma_graph *g, struct ma_native_held *ret)
{
	struct ma_native_held n = { 0 };
	struct ma_error *err = compute(g, &n);
	if (err) {
		ma_native_held_deinit(&n);
		return err;
	}
	*ret = n;
	return NULL;
}

void ma_native_held_deinit(struct ma_native_held *n)
{
	free(n->rows);
	memset(n, 0, sizeof(*n));
}
