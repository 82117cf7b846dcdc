// SPDX-License-Identifier: Apache-2.0
#include "graph.h"

#include "cleanup.h"
#include "edge_name.h"

#include <stdlib.h>
#include <string.h>

/* Pass 1: addresses, totals, and how many edges there may be. */
static struct ma_error *collect(struct ma_graph *g, struct ma_snap_cursor *c)
{
	struct ma_snap_object o;
	struct ma_snap_edge e;
	while (ma_snap_next_object(c, &o)) {
		if (!(o.extra & MA_OX_CONT)) {
			MA_TRY(ma_addr_index_add(&g->index, o.addr));
			ma_totals_add(&g->totals, &o);
		}
		while (o.has_edges && ma_snap_next_edge(c, &e))
			g->totals.edges++;
	}
	MA_TRY(ma_snap_cursor_error(c));
	if (g->totals.edges >= MA_GRAPH_NO_EDGES)
		return ma_errorf(MA_ERR_LIMIT, "more than 2147483646 edges");
	MA_TRY(ma_totals_finish(&g->totals));
	g->count = g->index.count;
	return ma_addr_index_freeze(&g->index);
}

static struct ma_error *allocate(struct ma_graph *g)
{
	size_t n = g->count ? g->count : 1, edges = g->with_edges && g->totals.edges ? g->totals.edges : 1;
	g->type = calloc(n, sizeof(*g->type));
	g->size = calloc(n, sizeof(*g->size));
	g->start = malloc(n * sizeof(*g->start));
	g->refcnt = calloc(n, sizeof(*g->refcnt));
	g->found = calloc(n, sizeof(*g->found));
	g->targets = malloc(edges * sizeof(*g->targets));
	if (!g->type || !g->size || !g->start || !g->refcnt || !g->found || !g->targets)
		return &ma_enomem;
	for (size_t i = 0; i < n; i++)
		g->start[i] = MA_GRAPH_NO_EDGES;
	return NULL;
}

static bool counted(enum ma_edge_kind kind)
{
	return kind != MA_EDGE_BORROWED && kind != MA_EDGE_GUESSED;
}

static void count_edge(struct ma_graph *g, uint32_t dst)
{
	if (g->found[dst] != UINT32_MAX)
		g->found[dst]++;
}

static struct ma_error *grow(void *array, size_t count, size_t bytes)
{
	if (count & (count - 1)) /* room is always the next power of two */
		return NULL;
	void **p = array;
	void *bigger = reallocarray(*p, count ? count * 2 : 1, bytes);
	if (!bigger)
		return &ma_enomem;
	*p = bigger;
	return NULL;
}

static struct ma_error *add_guess(struct ma_graph *g, uint32_t dst)
{
	MA_TRY(grow(&g->guessed, g->guessed_count, sizeof(*g->guessed)));
	g->guessed[g->guessed_count++] = dst;
	return NULL;
}

static struct ma_error *set_node(struct ma_graph *g, uint32_t node, const struct ma_snap_object *o)
{
	g->type[node] = o->type_id;
	g->refcnt[node] = o->immortal || o->refcnt > UINT32_MAX ? MA_GRAPH_UNKNOWN : (uint32_t)o->refcnt;
	g->size[node] = o->size < UINT32_MAX ? (uint32_t)o->size : UINT32_MAX;
	if (g->size[node] == UINT32_MAX) {
		MA_TRY(grow(&g->big, g->big_count, sizeof(*g->big)));
		g->big[g->big_count++] = (struct ma_graph_big){ node, o->size };
	}
	if (o->place == MA_PLACE_STATIC && !strcmp(ma_type_name(g->snap, o->type_id), "type")) {
		MA_TRY(grow(&g->static_types, g->static_types_count, sizeof(*g->static_types)));
		g->static_types[g->static_types_count++] = node;
	}
	return NULL;
}

/* A borrowed reference of `o`: when it is a dict, that of interned strings, which no other dict does. */
static struct ma_error *add_interned(struct ma_graph *g, const struct ma_snap_object *o, uint64_t dst)
{
	uint32_t node =
		strcmp(ma_type_name(g->snap, o->type_id), "dict") ? MA_NO_INDEX : ma_addr_index_find(&g->index, dst);
	if (node == MA_NO_INDEX)
		return NULL;
	MA_TRY(grow(&g->interned, g->interned_count, sizeof(*g->interned)));
	g->interned[g->interned_count++] = node;
	return NULL;
}

/* The address of the dict sys.modules, 0 = not known. */
static uint64_t modules_dict(const struct ma_snap *s)
{
	const struct ma_snap_tables *tab = ma_snap_tables(s);
	for (size_t i = 0; i < tab->interps_count; i++)
		for (size_t l = tab->interps[i].locals_begin; l < tab->interps[i].locals_end; l++) {
			struct ma_str name = ma_snap_name(s, tab->locals[l].name_id);
			if (name.len == strlen("sys.modules") && !memcmp(name.p, "sys.modules", name.len))
				return tab->locals[l].dst;
		}
	return 0;
}

static struct ma_error *add_module(struct ma_graph *g, const struct ma_snap_edge *e, uint32_t dst)
{
	if (e->kind != MA_EDGE_NAMED)
		return NULL;
	MA_TRY(grow(&g->modules, g->modules_count, sizeof(*g->modules)));
	g->modules[g->modules_count++] = (struct ma_graph_module){ dst, e->name_id };
	return NULL;
}

/* Where the edges of the next record of `node` begin. */
static struct ma_error *begin_run(struct ma_graph *g, uint32_t node)
{
	if (g->start[node] == MA_GRAPH_NO_EDGES) {
		g->start[node] = g->edges;
		return NULL;
	}
	MA_TRY(grow(&g->more, g->more_count, sizeof(*g->more)));
	g->more[g->more_count++] = (struct ma_graph_more){ node, g->edges };
	g->start[node] |= MA_GRAPH_CONTINUED;
	return NULL;
}

/* Pass 2: everything else. */
static struct ma_error *fill(struct ma_graph *g, struct ma_snap_cursor *c)
{
	struct ma_snap_object o;
	struct ma_snap_edge e;
	uint64_t modules = modules_dict(g->snap);
	while (ma_snap_next_object(c, &o)) {
		uint32_t node = ma_addr_index_find(&g->index, o.addr);
		if (node == MA_NO_INDEX) /* the rest of an object whose first record is lost */
			continue;
		if (!(o.extra & MA_OX_CONT))
			MA_TRY(set_node(g, node, &o));
		uint32_t first = g->edges;
		while (o.has_edges && ma_snap_next_edge(c, &e)) {
			if (e.kind == MA_EDGE_BORROWED) {
				MA_TRY(add_interned(g, &o, e.dst));
				continue;
			}
			uint32_t dst = ma_addr_index_find(&g->index, e.dst);
			if (dst == MA_NO_INDEX) {
				g->dangling += counted(e.kind);
				continue;
			}
			if (o.addr == modules)
				MA_TRY(add_module(g, &e, dst));
			if (counted(e.kind))
				count_edge(g, dst);
			else
				MA_TRY(add_guess(g, dst));
			if (!g->with_edges)
				continue;
			if (g->edges == g->totals.edges) /* the file is not the one of pass 1 */
				return ma_errorf(MA_ERR_BAD_DATA, "changed while it was read");
			if (g->edges == first)
				MA_TRY(begin_run(g, node));
			g->targets[g->edges++] = dst;
		}
		if (g->edges > first)
			g->targets[g->edges - 1] |= MA_GRAPH_LAST;
	}
	return ma_snap_cursor_error(c);
}

/* References that no object record has: of frames, of the interpreters, of instances to their heap types. */
static void count_others(struct ma_graph *g)
{
	const struct ma_snap_tables *tab = ma_snap_tables(g->snap);
	for (size_t i = 0; i < tab->locals_count; i++) {
		uint32_t dst = ma_addr_index_find(&g->index, tab->locals[i].dst);
		if (!tab->locals[i].borrowed && dst != MA_NO_INDEX)
			count_edge(g, dst);
	}
	for (size_t i = 0; i < tab->types_count; i++) {
		uint64_t n = g->totals.by_id[i + 1].count;
		uint32_t dst = ma_addr_index_find(&g->index, tab->types[i].addr);
		if (!n || !(tab->types[i].flags & MA_TF_HEAP))
			continue;
		g->implied += n;
		if (dst == MA_NO_INDEX)
			continue;
		uint64_t found = n + g->found[dst];
		g->found[dst] = found < UINT32_MAX ? (uint32_t)found : UINT32_MAX;
	}
}

static int more_by_node(const void *a, const void *b)
{
	const struct ma_graph_more *x = a, *y = b;
	if (x->node != y->node)
		return x->node < y->node ? -1 : 1;
	return x->start < y->start ? -1 : x->start > y->start;
}

static int big_by_node(const void *a, const void *b)
{
	const struct ma_graph_big *x = a, *y = b;
	return x->node < y->node ? -1 : x->node > y->node;
}

static struct ma_error *build(struct ma_graph *g, struct ma_snap_cursor **c)
{
	MA_TRY(ma_totals_begin(&g->totals, g->snap));
	MA_TRY(ma_snap_cursor_create(g->snap, c));
	MA_TRY(collect(g, *c));
	ma_snap_cursor_destroy(*c);
	*c = NULL;
	MA_TRY(allocate(g));
	MA_TRY(ma_snap_cursor_create(g->snap, c));
	MA_TRY(fill(g, *c));
	if (g->more_count)
		qsort(g->more, g->more_count, sizeof(*g->more), more_by_node);
	if (g->big_count)
		qsort(g->big, g->big_count, sizeof(*g->big), big_by_node);
	count_others(g);
	return NULL;
}

struct ma_error *ma_graph_create(const struct ma_snap *s, bool edges, struct ma_graph **ret)
{
	struct ma_graph *g = calloc(1, sizeof(*g));
	if (!g)
		return &ma_enomem;
	g->snap = s;
	g->with_edges = edges;
	struct ma_snap_cursor *c = NULL;
	struct ma_error *err = build(g, &c);
	ma_snap_cursor_destroy(c);
	if (err) {
		ma_graph_destroy(g);
		return err;
	}
	*ret = g;
	return NULL;
}

void ma_graph_close_books(struct ma_graph *g)
{
	free(g->refcnt);
	free(g->found);
	free(g->guessed);
	free(g->interned);
	free(g->static_types);
	g->refcnt = g->found = g->guessed = g->interned = g->static_types = NULL;
	g->guessed_count = g->interned_count = g->static_types_count = 0;
}

void ma_graph_destroy(struct ma_graph *g)
{
	if (!g)
		return;
	ma_graph_close_books(g);
	ma_totals_deinit(&g->totals);
	ma_addr_index_deinit(&g->index);
	free(g->type);
	free(g->size);
	free(g->start);
	free(g->targets);
	free(g->more);
	free(g->big);
	free(g->modules);
	free(g);
}

uint64_t ma_graph_size(const struct ma_graph *g, uint32_t node)
{
	if (g->size[node] != UINT32_MAX)
		return g->size[node];
	struct ma_graph_big key = { node, 0 };
	const struct ma_graph_big *b =
		g->big_count ? bsearch(&key, g->big, g->big_count, sizeof(key), big_by_node) : NULL;
	return b ? b->size : UINT32_MAX;
}

struct ma_graph_iter ma_graph_edges(const struct ma_graph *g, uint32_t node)
{
	uint32_t start = g->start[node];
	struct ma_graph_iter it = { g, start & ~MA_GRAPH_CONTINUED, node, SIZE_MAX };
	if (!(start & MA_GRAPH_CONTINUED))
		return it;
	size_t lo = 0, hi = g->more_count;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (g->more[mid].node < node)
			lo = mid + 1;
		else
			hi = mid;
	}
	it.more = lo;
	return it;
}

bool ma_graph_next_run(struct ma_graph_iter *it)
{
	if (it->more >= it->g->more_count || it->g->more[it->more].node != it->node)
		return false;
	it->at = it->g->more[it->more++].start;
	return true;
}
