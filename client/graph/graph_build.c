// SPDX-License-Identifier: Apache-2.0
#include "graph_build.h"

#include "cleanup.h"
#include "edge_name.h"
#include "huge.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* From so many records on a second thread pays. */
#define PARALLEL_LEAST (UINT32_C(1) << 18)

/* What one thread does: some neighbouring chunks, and what it found there. Lists are in file order. */
struct part {
	struct ma_graph *g;
	struct ma_error *(*pass)(struct part *p, struct ma_snap_cursor *c);
	size_t chunk, end_chunk;
	uint8_t *wanted;         /* by chunk */
	struct ma_totals totals; /* of pass 1 */
	struct ma_addr_index
		index; /* of pass 1; then two copies of that of the graph, each with the page it found last */
	struct ma_addr_index far;
	bool frozen;
	uint64_t kept;              /* edges that are not borrowed: room in targets, */
	uint32_t first, edges;      /* from `first` on; how many came */
	uint32_t *found;            /* the graph's, or one of its own to be added to that */
	struct ma_graph_more *more; /* records with MA_OX_CONT, and of objects that stand in the file twice */
	struct ma_graph_big *big;
	struct ma_graph_keys *keys;
	struct ma_graph_module *modules;
	uint64_t modules_dict;
	uint32_t *guessed, *interned, *static_types;
	size_t more_count, big_count, keys_count, modules_count, guessed_count, interned_count, static_types_count;
	uint64_t dangling, unknown;
	struct ma_error *err;
};

struct build {
	struct ma_graph *g;
	struct part parts[MA_GRAPH_PARTS];
	unsigned count;
};

static void part_deinit(struct part *p)
{
	ma_totals_deinit(&p->totals);
	if (!p->frozen)
		ma_addr_index_deinit(&p->index);
	if (p->found != p->g->found)
		free(p->found);
	free(p->wanted);
	free(p->more);
	free(p->big);
	free(p->keys);
	free(p->modules);
	free(p->guessed);
	free(p->interned);
	free(p->static_types);
	ma_error_free(p->err);
}

/* Pass 1: addresses, totals, and how many edges there may be. */
static struct ma_error *collect(struct part *p, struct ma_snap_cursor *c)
{
	struct ma_snap_object o;
	uint64_t borrowed = 0;
	while (ma_snap_next_object(c, &o)) {
		if (!(o.extra & MA_OX_CONT)) {
			MA_TRY(ma_addr_index_add(&p->index, o.addr));
			ma_totals_add(&p->totals, &o);
		}
		ma_snap_count_edges(c, &p->totals.edges, &borrowed);
	}
	p->kept = p->totals.edges - borrowed;
	return NULL;
}

static bool counted(enum ma_edge_kind kind)
{
	return kind != MA_EDGE_BORROWED && kind != MA_EDGE_GUESSED;
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

static struct ma_error *add_node(uint32_t **list, size_t *count, uint32_t node)
{
	MA_TRY(grow(list, *count, sizeof(**list)));
	(*list)[(*count)++] = node;
	return NULL;
}

/* In a file that has an object twice, two threads may come here for it: whoever is last is right enough. */
static void set(uint32_t *to, uint32_t value)
{
	__atomic_store_n(to, value, __ATOMIC_RELAXED);
}

static struct ma_error *set_node(struct part *p, uint32_t node, const struct ma_snap_object *o)
{
	struct ma_graph *g = p->g;
	uint32_t size = o->size < UINT32_MAX ? (uint32_t)o->size : UINT32_MAX;
	set(&g->type[node], o->type_id);
	set(&g->refcnt[node], o->immortal || o->refcnt > UINT32_MAX ? MA_GRAPH_UNKNOWN : (uint32_t)o->refcnt);
	set(&g->size[node], size);
	if (size == UINT32_MAX) {
		MA_TRY(grow(&p->big, p->big_count, sizeof(*p->big)));
		p->big[p->big_count++] = (struct ma_graph_big){ node, o->size };
	}
	if (o->place == MA_PLACE_STATIC && !strcmp(ma_type_name(g->snap, o->type_id), "type"))
		return add_node(&p->static_types, &p->static_types_count, node);
	return NULL;
}

/* A borrowed reference of `o`: when it is a dict, that of interned strings, which no other dict does. */
static struct ma_error *add_interned(struct part *p, const struct ma_snap_object *o, uint64_t dst)
{
	uint32_t node =
		strcmp(ma_type_name(p->g->snap, o->type_id), "dict") ? MA_NO_INDEX : ma_addr_index_find(&p->far, dst);
	return node == MA_NO_INDEX ? NULL : add_node(&p->interned, &p->interned_count, node);
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

static struct ma_error *add_module(struct part *p, const struct ma_snap_edge *e, uint32_t dst)
{
	if (e->kind != MA_EDGE_NAMED)
		return NULL;
	MA_TRY(grow(&p->modules, p->modules_count, sizeof(*p->modules)));
	p->modules[p->modules_count++] = (struct ma_graph_module){ dst, e->name_id };
	return NULL;
}

/* Where the edges of the next record of `node` begin. */
static struct ma_error *begin_run(struct part *p, uint32_t node, bool cont)
{
	uint32_t none = MA_GRAPH_NO_EDGES, start = p->first + p->edges;
	if (!cont &&
	    __atomic_compare_exchange_n(&p->g->start[node], &none, start, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		return NULL;
	MA_TRY(grow(&p->more, p->more_count, sizeof(*p->more)));
	p->more[p->more_count++] = (struct ma_graph_more){ node, start };
	return NULL;
}

static struct ma_error *fill_edges(struct part *p, struct ma_snap_cursor *c, const struct ma_snap_object *o,
				   uint32_t node)
{
	struct ma_graph *g = p->g;
	struct ma_snap_edge e;
	uint32_t before = p->edges, keys = 0;
	while (ma_snap_next_edge(c, &e)) {
		if (e.kind == MA_EDGE_BORROWED) {
			MA_TRY(add_interned(p, o, e.dst));
			continue;
		}
		uint32_t dst = ma_addr_index_find(&p->far, e.dst);
		if (dst == MA_NO_INDEX) {
			p->dangling += counted(e.kind);
			p->unknown++;
			continue;
		}
		if (o->addr == p->modules_dict)
			MA_TRY(add_module(p, &e, dst));
		keys += e.kind == MA_EDGE_KEY;
		if (counted(e.kind))
			p->found[dst]++; /* there are fewer than 2^31 edges */
		else
			MA_TRY(add_node(&p->guessed, &p->guessed_count, dst));
		if (!g->with_edges)
			continue;
		if (p->edges == p->kept) /* the file is not the one of pass 1 */
			return ma_errorf(MA_ERR_BAD_DATA, "changed while it was read");
		if (p->edges == before)
			MA_TRY(begin_run(p, node, o->extra & MA_OX_CONT));
		g->targets[p->first + p->edges++] = dst;
	}
	if (p->edges > before)
		g->targets[p->first + p->edges - 1] |= MA_GRAPH_LAST;
	if (!keys || (p->edges - before < MA_GRAPH_LONG && !(o->extra & MA_OX_CONT)))
		return NULL;
	MA_TRY(grow(&p->keys, p->keys_count, sizeof(*p->keys)));
	p->keys[p->keys_count++] = (struct ma_graph_keys){ node, keys };
	return NULL;
}

/* Pass 2: everything else. */
static struct ma_error *fill(struct part *p, struct ma_snap_cursor *c)
{
	struct ma_graph *g = p->g;
	struct ma_snap_object o;
	size_t chunk = p->chunk;
	p->modules_dict = modules_dict(g->snap);
	while (ma_snap_next_object(c, &o)) {
		while (chunk <= ma_snap_cursor_chunk(c))
			g->chunk_edges[chunk++] = p->first + p->edges;
		uint32_t node = ma_addr_index_find(&p->index, o.addr);
		if (node == MA_NO_INDEX) /* the rest of an object whose first record is lost */
			continue;
		if (!(o.extra & MA_OX_CONT))
			MA_TRY(set_node(p, node, &o));
		if (o.has_edges)
			MA_TRY(fill_edges(p, c, &o, node));
	}
	while (chunk < p->end_chunk)
		g->chunk_edges[chunk++] = p->first + p->edges;
	return NULL;
}

static void *run_part(void *arg)
{
	struct part *p = arg;
	struct ma_snap_cursor *c;
	p->err = ma_snap_cursor_create(p->g->snap, &c);
	if (p->err)
		return NULL;
	ma_snap_cursor_only(c, p->wanted);
	p->err = p->pass(p, c);
	if (!p->err)
		p->err = ma_snap_cursor_error(c);
	ma_snap_cursor_destroy(c);
	return NULL;
}

/* The first part runs in this thread, and those for which there is none. */
static struct ma_error *run(struct build *b, struct ma_error *(*pass)(struct part *p, struct ma_snap_cursor *c))
{
	pthread_t threads[MA_GRAPH_PARTS];
	bool started[MA_GRAPH_PARTS] = { 0 };
	for (unsigned i = 0; i < b->count; i++)
		b->parts[i].pass = pass;
	for (unsigned i = 1; i < b->count; i++)
		started[i] = !pthread_create(&threads[i], NULL, run_part, &b->parts[i]);
	for (unsigned i = 0; i < b->count; i++)
		if (!started[i])
			run_part(&b->parts[i]);
	for (unsigned i = 1; i < b->count; i++)
		if (started[i])
			pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < b->count; i++)
		if (b->parts[i].err)
			return ma_take_ptr(b->parts[i].err);
	return NULL;
}

/* Neighbouring chunks for each part, about as many records in each. */
static struct ma_error *split(struct build *b, unsigned parts)
{
	size_t chunks = ma_snap_chunks(b->g->snap), chunk = 0;
	uint64_t records = 0, so_far = 0;
	for (size_t i = 0; i < chunks; i++)
		records += ma_snap_chunk_objects(b->g->snap, i);
	b->count = parts ? parts : records < PARALLEL_LEAST ? 1 : MA_GRAPH_PARTS;
	for (unsigned i = 0; i < b->count; i++) {
		struct part *p = &b->parts[i];
		*p = (struct part){ .g = b->g, .chunk = chunk, .wanted = calloc(chunks + 1, sizeof(*p->wanted)) };
		if (!p->wanted)
			return &ma_enomem;
		while (chunk < chunks && (i + 1 == b->count || so_far < records * (i + 1) / b->count)) {
			so_far += ma_snap_chunk_objects(b->g->snap, chunk);
			p->wanted[chunk++] = 1;
		}
		p->end_chunk = chunk;
		MA_TRY(ma_totals_begin(&p->totals, b->g->snap));
	}
	return NULL;
}

static struct ma_error *join_collected(struct build *b)
{
	struct ma_graph *g = b->g;
	uint64_t kept = 0;
	for (unsigned i = 0; i < b->count; i++) {
		struct part *p = &b->parts[i];
		p->first = (uint32_t)kept;
		kept += p->kept;
		if (kept >= MA_GRAPH_NO_EDGES)
			return ma_errorf(MA_ERR_LIMIT, "more than 2147483646 edges");
		ma_totals_merge(&g->totals, &p->totals);
		if (i)
			MA_TRY(ma_addr_index_merge(&g->index, &p->index));
		else
			g->index = p->index;
		if (i)
			ma_addr_index_deinit(&p->index);
		p->frozen = true; /* it is not this part's any more */
	}
	MA_TRY(ma_totals_finish(&g->totals));
	g->count = g->index.count;
	g->edges = g->with_edges ? (uint32_t)kept : 0;
	return ma_addr_index_freeze(&g->index);
}

static struct ma_error *allocate(struct build *b)
{
	struct ma_graph *g = b->g;
	size_t n = g->count ? g->count : 1;
	g->type = ma_huge_calloc(n, sizeof(*g->type));
	g->size = ma_huge_calloc(n, sizeof(*g->size));
	g->start = ma_huge_malloc(n, sizeof(*g->start));
	g->refcnt = ma_huge_calloc(n, sizeof(*g->refcnt));
	g->found = ma_huge_calloc(n, sizeof(*g->found));
	g->targets = ma_huge_malloc(g->edges ? g->edges : 1, sizeof(*g->targets));
	g->native = calloc(n / 64 + 1, sizeof(*g->native));
	g->chunk_edges = calloc(ma_snap_chunks(g->snap) + 1, sizeof(*g->chunk_edges));
	if (!g->type || !g->size || !g->start || !g->refcnt || !g->found || !g->targets || !g->native ||
	    !g->chunk_edges)
		return &ma_enomem;
	for (size_t i = 0; i < n; i++)
		g->start[i] = MA_GRAPH_NO_EDGES;
	for (unsigned i = 0; i < b->count; i++) {
		struct part *p = &b->parts[i];
		p->index = p->far = g->index;
		p->found = i ? ma_huge_calloc(n, sizeof(*p->found)) : g->found;
		if (!p->found)
			return &ma_enomem;
	}
	return NULL;
}

/* Closes the gap that edges to unknown objects left before the targets of a part. */
static void move_down(struct ma_graph *g, struct part *p, uint32_t by)
{
	if (!by)
		return;
	memmove(&g->targets[p->first - by], &g->targets[p->first], p->edges * sizeof(*g->targets));
	for (uint32_t i = 0; i < g->count; i++)
		if (g->start[i] != MA_GRAPH_NO_EDGES && g->start[i] >= p->first && g->start[i] - p->first < p->edges)
			g->start[i] -= by;
	for (size_t i = 0; i < p->more_count; i++)
		p->more[i].start -= by;
	for (size_t i = p->chunk; i < p->end_chunk; i++)
		g->chunk_edges[i] -= by;
	p->first -= by;
}

static struct ma_error *append(void *to, size_t *count, const void *from, size_t more, size_t bytes)
{
	void **p = to;
	if (!more)
		return NULL;
	void *bigger = reallocarray(*p, *count + more, bytes);
	if (!bigger)
		return &ma_enomem;
	*p = bigger;
	memcpy((char *)bigger + *count * bytes, from, more * bytes);
	*count += more;
	return NULL;
}

/* What came of pass 2 in the lists of the graph. */
static struct ma_error *join_lists(struct ma_graph *g, const struct part *p)
{
	for (size_t i = 0; i < p->more_count; i++) {
		uint32_t *start = &g->start[p->more[i].node];
		if (*start == MA_GRAPH_NO_EDGES) {
			*start = p->more[i].start;
			continue;
		}
		*start |= MA_GRAPH_CONTINUED;
		MA_TRY(grow(&g->more, g->more_count, sizeof(*g->more)));
		g->more[g->more_count++] = p->more[i];
	}
	MA_TRY(append(&g->big, &g->big_count, p->big, p->big_count, sizeof(*g->big)));
	MA_TRY(append(&g->keys, &g->keys_count, p->keys, p->keys_count, sizeof(*g->keys)));
	MA_TRY(append(&g->modules, &g->modules_count, p->modules, p->modules_count, sizeof(*g->modules)));
	MA_TRY(append(&g->guessed, &g->guessed_count, p->guessed, p->guessed_count, sizeof(*g->guessed)));
	MA_TRY(append(&g->interned, &g->interned_count, p->interned, p->interned_count, sizeof(*g->interned)));
	return append(&g->static_types, &g->static_types_count, p->static_types, p->static_types_count,
		      sizeof(*g->static_types));
}

static struct ma_error *join_filled(struct build *b)
{
	struct ma_graph *g = b->g;
	g->edges = 0;
	for (unsigned i = 0; i < b->count; i++) {
		struct part *p = &b->parts[i];
		move_down(g, p, p->first - g->edges);
		g->edges += p->edges;
		g->dangling += p->dangling;
		g->unknown += p->unknown;
		for (uint32_t k = 0; i && k < g->count; k++)
			g->found[k] += p->found[k];
	}
	g->chunk_edges[ma_snap_chunks(g->snap)] = g->edges;
	for (unsigned i = 0; i < b->count; i++)
		MA_TRY(join_lists(g, &b->parts[i]));
	return NULL;
}

static void count_edge(struct ma_graph *g, uint32_t dst, uint64_t times)
{
	uint64_t found = g->found[dst] + times;
	g->found[dst] = found < UINT32_MAX ? (uint32_t)found : UINT32_MAX;
}

/* References that no object record has: of frames, of the interpreters, of instances to their heap types. */
static void count_others(struct ma_graph *g)
{
	const struct ma_snap_tables *tab = ma_snap_tables(g->snap);
	for (size_t i = 0; i < tab->locals_count; i++) {
		uint32_t dst = ma_addr_index_find(&g->index, tab->locals[i].dst);
		if (!tab->locals[i].borrowed && dst != MA_NO_INDEX)
			count_edge(g, dst, 1);
	}
	for (size_t i = 0; i < tab->types_count; i++) {
		uint64_t n = g->totals.by_id[i + 1].count;
		uint32_t dst = ma_addr_index_find(&g->index, tab->types[i].addr);
		if (!n || !(tab->types[i].flags & MA_TF_HEAP))
			continue;
		g->implied += n;
		if (dst != MA_NO_INDEX)
			count_edge(g, dst, n);
	}
}

static int more_by_node(const void *a, const void *b)
{
	const struct ma_graph_more *x = a, *y = b;
	if (x->node != y->node)
		return x->node < y->node ? -1 : 1;
	return x->start < y->start ? -1 : x->start > y->start;
}

int ma_graph_big_by_node(const void *a, const void *b)
{
	const struct ma_graph_big *x = a, *y = b;
	return x->node < y->node ? -1 : x->node > y->node;
}

static int keys_by_node(const void *a, const void *b)
{
	const struct ma_graph_keys *x = a, *y = b;
	return x->node < y->node ? -1 : x->node > y->node;
}

static struct ma_error *build(struct build *b, unsigned parts)
{
	struct ma_graph *g = b->g;
	MA_TRY(ma_totals_begin(&g->totals, g->snap));
	MA_TRY(split(b, parts));
	MA_TRY(run(b, collect));
	MA_TRY(join_collected(b));
	MA_TRY(allocate(b));
	MA_TRY(run(b, fill));
	MA_TRY(join_filled(b));
	if (g->more_count)
		qsort(g->more, g->more_count, sizeof(*g->more), more_by_node);
	if (g->keys_count)
		qsort(g->keys, g->keys_count, sizeof(*g->keys), keys_by_node);
	if (g->big_count)
		qsort(g->big, g->big_count, sizeof(*g->big), ma_graph_big_by_node);
	count_others(g);
	return NULL;
}

struct ma_error *ma_graph_build(struct ma_graph *g, unsigned parts)
{
	struct build b = { .g = g };
	struct ma_error *err = build(&b, parts);
	for (unsigned i = 0; i < b.count; i++)
		if (b.parts[i].g)
			part_deinit(&b.parts[i]);
	return err;
}
