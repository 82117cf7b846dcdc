// SPDX-License-Identifier: Apache-2.0
#include "dominators.h"

#include "cleanup.h"
#include "saturate.h"

#include <stdlib.h>
#include <string.h>

/* A cursor over the edges of a node is a position in g->targets, or: */
#define CURSOR_CLASS MA_GRAPH_NO_EDGES /* all but the edge to its class are done; so stands in g->start, too */
#define CURSOR_END UINT32_MAX

/* Arrays by preorder number, 1 to count; 0 is the virtual root above all roots. */
struct work {
	const struct ma_graph *g;
	const uint32_t *classes;
	uint8_t *flags;
	uint32_t count;     /* numbers given out */
	uint32_t *number;   /* by node; later the stack of compress() */
	uint32_t *vertex;   /* the node */
	uint32_t *parent;   /* in the spanning tree; later the dominator */
	uint32_t *semi;     /* first the cursor of the search */
	uint32_t *label;    /* the least semidominator on the compressed way up */
	uint32_t *ancestor; /* the compressed way up */
	uint32_t *first;    /* of its predecessors in `pred` */
	uint32_t *pred;     /* without those of the spanning tree, and none of roots */
};

static void work_deinit(struct work *w)
{
	free(w->number);
	free(w->vertex);
	free(w->parent);
	free(w->semi);
	free(w->label);
	free(w->ancestor);
	free(w->first);
	free(w->pred);
}

/* The cursor behind the run that ends at `at`. */
static uint32_t next_run(const struct ma_graph *g, uint32_t node, uint32_t at)
{
	if (!(g->start[node] & MA_GRAPH_CONTINUED))
		return CURSOR_CLASS;
	size_t lo = 0, hi = g->more_count;
	while (lo < hi) { /* sorted by node, then start */
		size_t mid = lo + (hi - lo) / 2;
		const struct ma_graph_more *m = &g->more[mid];
		if (m->node < node || (m->node == node && m->start <= at))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < g->more_count && g->more[lo].node == node ? g->more[lo].start : CURSOR_CLASS;
}

static uint32_t first_edge(const struct ma_graph *g, uint32_t node)
{
	return g->start[node] & ~MA_GRAPH_CONTINUED;
}

static bool next_edge(const struct work *w, uint32_t node, uint32_t *cursor, uint32_t *dst_ret)
{
	const struct ma_graph *g = w->g;
	uint32_t dst;
	do {
		if (*cursor == CURSOR_END)
			return false;
		if (*cursor == CURSOR_CLASS) {
			*cursor = CURSOR_END;
			dst = w->classes ? w->classes[g->type[node]] : MA_NO_INDEX;
			if (dst == MA_NO_INDEX)
				return false;
		} else {
			uint32_t at = *cursor, target = g->targets[at];
			dst = target & ~MA_GRAPH_LAST;
			*cursor = target & MA_GRAPH_LAST ? next_run(g, node, at) : at + 1;
		}
	} while (w->flags[dst] & MA_DOM_NAMESPACE && !(w->flags[node] & MA_DOM_MODULE));
	*dst_ret = dst;
	return true;
}

static uint32_t give_number(struct work *w, uint32_t node, uint32_t parent)
{
	uint32_t k = ++w->count;
	w->number[node] = k;
	w->vertex[k] = node;
	w->parent[k] = parent;
	w->semi[k] = first_edge(w->g, node);
	return k;
}

/* Depth first from `root`; the way back is w->parent, so that no stack is needed. */
static void search(struct work *w, uint32_t root)
{
	if (w->number[root])
		return;
	w->flags[root] |= MA_DOM_ROOT;
	for (uint32_t k = give_number(w, root, 0); k;) {
		uint32_t dst;
		if (!next_edge(w, w->vertex[k], &w->semi[k], &dst))
			k = w->parent[k];
		else if (!w->number[dst])
			k = give_number(w, dst, k);
	}
}

static void search_all(struct work *w)
{
	static const uint8_t order[] = { MA_DOM_ROOT, MA_DOM_LOOSE, 0 };
	for (size_t o = 0; o < sizeof(order); o++)
		for (uint32_t i = 0; i < w->g->count; i++)
			if (!order[o] || w->flags[i] & order[o])
				search(w, i);
}

/* Is the edge from number k to number v one that semi-NCA has to look at? */
static bool matters(const struct work *w, uint32_t k, uint32_t v)
{
	return w->parent[v] != k && v != k && !(w->flags[w->vertex[v]] & MA_DOM_ROOT);
}

static struct ma_error *find_predecessors(struct work *w)
{
	uint32_t n = w->count;
	uint64_t sum = 0;
	w->first = calloc((size_t)n + 2, sizeof(*w->first));
	if (!w->first)
		return &ma_enomem;
	for (unsigned pass = 0; pass < 2; pass++) {
		for (uint32_t k = 1; k <= n; k++) {
			uint32_t node = w->vertex[k], cursor = first_edge(w->g, node), dst;
			while (next_edge(w, node, &cursor, &dst)) {
				uint32_t v = w->number[dst];
				if (!matters(w, k, v))
					continue;
				if (pass)
					w->pred[--w->first[v]] = k;
				else
					w->first[v]++;
				sum += !pass;
			}
		}
		if (pass)
			break;
		if (sum > UINT32_MAX) /* edges in the file are fewer than 2^31, and classes one for each object */
			return ma_errorf(MA_ERR_LIMIT, "more than 4294967295 edges");
		w->pred = malloc((sum ? sum : 1) * sizeof(*w->pred));
		if (!w->pred)
			return &ma_enomem;
		for (uint32_t v = 1; v <= n + 1; v++) /* first[v]: the end of its part, which filling moves down */
			w->first[v] += w->first[v - 1];
	}
	return NULL;
}

/* The least semidominator on the way from v up to numbers above `limit`, which shortens the way. */
static uint32_t compress(struct work *w, uint32_t v, uint32_t limit)
{
	uint32_t *stack = w->number, depth = 0;
	for (uint32_t x = v; w->ancestor[x] > limit; x = w->ancestor[x])
		stack[depth++] = x;
	while (depth--) {
		uint32_t x = stack[depth], up = w->ancestor[x];
		if (w->label[up] < w->label[x])
			w->label[x] = w->label[up];
		w->ancestor[x] = w->ancestor[up];
	}
	return w->label[v];
}

static void semi_nca(struct work *w)
{
	for (uint32_t k = w->count; k > 0; k--) {
		uint32_t semi = w->flags[w->vertex[k]] & MA_DOM_ROOT ? 0 : w->parent[k];
		for (uint32_t i = w->first[k]; i < w->first[k + 1]; i++) {
			uint32_t v = w->pred[i], least = v < k ? v : compress(w, v, k);
			if (least < semi)
				semi = least;
		}
		w->semi[k] = w->label[k] = semi;
		w->ancestor[k] = w->parent[k];
	}
	for (uint32_t k = 1; k <= w->count; k++) {
		uint32_t d = w->parent[k]; /* parents below k are dominators already */
		while (d > w->semi[k])
			d = w->parent[d];
		w->parent[k] = d;
	}
}

static struct ma_error *allocate(struct work *w)
{
	size_t n = (size_t)w->g->count + 2;
	w->number = calloc(n, sizeof(*w->number));
	w->vertex = calloc(n, sizeof(*w->vertex));
	w->parent = calloc(n, sizeof(*w->parent));
	w->semi = calloc(n, sizeof(*w->semi));
	return w->number && w->vertex && w->parent && w->semi ? NULL : &ma_enomem;
}

static struct ma_error *finish(struct work *w, struct ma_dominators *d)
{
	size_t n = w->g->count ? w->g->count : 1;
	d->idom = malloc(n * sizeof(*d->idom));
	d->retained = malloc(n * sizeof(*d->retained));
	if (!d->idom || !d->retained)
		return &ma_enomem;
	for (uint32_t i = 0; i < w->g->count; i++)
		d->retained[i] = ma_graph_size(w->g, i);
	for (uint32_t k = w->count; k > 0; k--) { /* a dominator has a smaller number */
		uint32_t node = w->vertex[k], up = w->parent[k] ? w->vertex[w->parent[k]] : MA_DOM_NONE;
		d->idom[node] = up;
		if (up != MA_DOM_NONE)
			d->retained[up] = add(d->retained[up], d->retained[node]);
	}
	return NULL;
}

static struct ma_error *compute(struct work *w, struct ma_dominators *d)
{
	size_t n = (size_t)w->g->count + 2;
	MA_TRY(allocate(w));
	search_all(w);
	MA_TRY(find_predecessors(w));
	w->label = malloc(n * sizeof(*w->label));
	w->ancestor = malloc(n * sizeof(*w->ancestor));
	if (!w->label || !w->ancestor)
		return &ma_enomem;
	semi_nca(w);
	free(w->pred);
	free(w->first);
	free(w->semi);
	free(w->label);
	free(w->ancestor);
	w->pred = w->first = w->semi = w->label = w->ancestor = NULL;
	return finish(w, d);
}

struct ma_error *ma_dominators_compute(const struct ma_graph *g, const uint32_t *classes, uint8_t *flags,
				       struct ma_dominators *ret)
{
	struct work w = { .g = g, .classes = classes, .flags = flags };
	struct ma_dominators d = { 0 };
	struct ma_error *err = compute(&w, &d);
	work_deinit(&w);
	if (err) {
		ma_dominators_deinit(&d);
		return err;
	}
	*ret = d;
	return NULL;
}

struct ma_error *ma_dominators_create(struct ma_graph *g, struct ma_dominators *ret)
{
	_cleanup_free_ uint8_t *flags = NULL;
	MA_TRY(ma_dom_find_roots(g, &flags));
	ma_graph_close_books(g);
	_cleanup_free_ uint32_t *classes = ma_class_nodes(g);
	if (!classes)
		return &ma_enomem;
	return ma_dominators_compute(g, classes, flags, ret);
}

void ma_dom_follow_tree(struct ma_dominators *d, const struct ma_tree *t, uint8_t *seen)
{
	for (uint32_t i = 0; i < t->count; i++) {
		uint32_t node = t->order[i], up = d->idom[node];
		if (up != MA_DOM_NONE && !seen[up])
			d->idom[node] = MA_DOM_NONE;
		seen[node] = 1;
	}
}

void ma_dominators_deinit(struct ma_dominators *d)
{
	free(d->idom);
	free(d->retained);
	memset(d, 0, sizeof(*d));
}
