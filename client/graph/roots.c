// SPDX-License-Identifier: Apache-2.0
#include "roots.h"

#include "cleanup.h"
#include "native_held.h"

#include <stdlib.h>
#include <string.h>

struct work {
	struct ma_graph *g;
	struct ma_roots *r;
	size_t room;
	uint32_t *guessed; /* nodes, sorted */
};

static int by_node(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

static uint32_t guesses_of(const struct work *w, uint32_t node)
{
	size_t lo = 0, hi = w->g->guessed_count;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (w->guessed[mid] < node)
			lo = mid + 1;
		else
			hi = mid;
	}
	uint32_t n = 0;
	while (lo < w->g->guessed_count && w->guessed[lo++] == node)
		n++;
	return n;
}

static struct ma_error *add(struct work *w, uint32_t node, enum ma_root_kind kind, uint32_t name_id)
{
	struct ma_graph *g = w->g;
	struct ma_roots *r = w->r;
	if (r->count == w->room) {
		size_t room = w->room ? w->room * 2 : 1024;
		struct ma_root_row *more = reallocarray(r->rows, room, sizeof(*more));
		if (!more)
			return &ma_enomem;
		r->rows = more;
		w->room = room;
	}
	bool known = g->refcnt[node] != MA_GRAPH_UNKNOWN;
	uint32_t excess = known ? ma_native_excess(g->refcnt[node], g->found[node], guesses_of(w, node)) : 0;
	r->rows[r->count++] = (struct ma_root_row){
		.addr = ma_addr_index_addr(&g->index, node),
		.size = ma_graph_size(g, node),
		.kind = kind,
		.type_id = g->type[node],
		.name_id = name_id,
		.refcnt = known ? g->refcnt[node] : 0,
		.found = g->found[node],
		.excess = excess,
	};
	r->of_kind[kind]++;
	return NULL;
}

static struct ma_error *add_modules(struct work *w)
{
	struct ma_graph *g = w->g;
	_cleanup_free_ bool *is_module = calloc(g->totals.by_id_count + 1, sizeof(*is_module));
	if (!is_module)
		return &ma_enomem;
	for (size_t i = 0; i < g->totals.by_id_count; i++)
		is_module[i] = g->totals.by_id[i].name && !strcmp(g->totals.by_id[i].name, "module");
	for (uint32_t i = 0; i < g->count; i++)
		if (g->type[i] < g->totals.by_id_count && is_module[g->type[i]])
			MA_TRY(add(w, i, MA_ROOT_MODULE_KIND, 0));
	return NULL;
}

static struct ma_error *add_locals(struct work *w, uint32_t begin, uint32_t end, enum ma_root_kind kind)
{
	const struct ma_snap_tables *tab = ma_snap_tables(w->g->snap);
	for (size_t i = begin; i < end && i < tab->locals_count; i++) {
		uint32_t node = ma_addr_index_find(&w->g->index, tab->locals[i].dst);
		if (node != MA_NO_INDEX && !tab->locals[i].borrowed)
			MA_TRY(add(w, node, kind, tab->locals[i].name_id));
	}
	return NULL;
}

static struct ma_error *compute(struct work *w)
{
	struct ma_graph *g = w->g;
	const struct ma_snap_tables *tab = ma_snap_tables(g->snap);
	if (g->guessed_count) {
		memcpy(w->guessed, g->guessed, g->guessed_count * sizeof(*w->guessed));
		qsort(w->guessed, g->guessed_count, sizeof(*w->guessed), by_node);
	}
	MA_TRY(add_modules(w));
	for (size_t i = 0; i < tab->frames_count; i++)
		MA_TRY(add_locals(w, tab->frames[i].locals_begin, tab->frames[i].locals_end, MA_ROOT_FRAME_KIND));
	for (size_t i = 0; i < tab->interps_count; i++)
		MA_TRY(add_locals(w, tab->interps[i].locals_begin, tab->interps[i].locals_end,
				  MA_ROOT_INTERPRETER_KIND));
	for (size_t i = 0; i < g->static_types_count; i++)
		MA_TRY(add(w, g->static_types[i], MA_ROOT_TYPE_KIND, 0));
	for (size_t i = 0; i < g->interned_count; i++)
		MA_TRY(add(w, g->interned[i], MA_ROOT_INTERNED_KIND, 0));
	for (uint32_t i = 0; i < g->count; i++)
		if (g->refcnt[i] != MA_GRAPH_UNKNOWN && g->found[i] < g->refcnt[i] &&
		    ma_native_excess(g->refcnt[i], g->found[i], guesses_of(w, i)))
			MA_TRY(add(w, i, MA_ROOT_NATIVE_KIND, 0));
	return NULL;
}

struct ma_error *ma_roots_compute(struct ma_graph *g, struct ma_roots *ret)
{
	struct ma_roots r = { 0 };
	_cleanup_free_ uint32_t *guessed = calloc(g->guessed_count + 1, sizeof(*guessed));
	struct work w = { .g = g, .r = &r, .guessed = guessed };
	struct ma_error *err = guessed ? compute(&w) : &ma_enomem;
	if (err) {
		ma_roots_deinit(&r);
		return err;
	}
	*ret = r;
	return NULL;
}

void ma_roots_deinit(struct ma_roots *r)
{
	free(r->rows);
	memset(r, 0, sizeof(*r));
}

const char *ma_root_kind_name(enum ma_root_kind kind)
{
	static const char *const names[] = {
#define MA_ROOT_KIND(id, name) name,
		MA_ROOT_KINDS(MA_ROOT_KIND)
#undef MA_ROOT_KIND
	};
	return names[kind];
}
