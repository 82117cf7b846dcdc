// SPDX-License-Identifier: Apache-2.0
#include "dominators.h"

#include "cleanup.h"
#include "huge.h"
#include "saturate.h"

#include <stdlib.h>
#include <string.h>

/* A cursor over the edges of a node is a position in g->targets, or: */
#define CURSOR_CLASS MA_GRAPH_NO_EDGES /* all but the edge to its class are done; so stands in g->start, too */
#define CURSOR_END UINT32_MAX

struct link {
	uint32_t label;    /* the least semidominator on the compressed way up */
	uint32_t ancestor; /* the compressed way up */
};

struct pair { /* an edge between two numbers */
	uint32_t from, to;
};

/* Arrays by preorder number, 1 to count; 0 is the virtual root above all roots. Leaves have none. */
struct work {
	const struct ma_graph *g;
	const uint32_t *classes;
	uint8_t *flags;
	uint32_t inner;   /* nodes but leaves */
	uint32_t count;   /* numbers given out */
	uint32_t *number; /* by node; of a leaf its dominator; at the end of all */
	uint32_t *vertex; /* the node */
	uint32_t *parent; /* in the spanning tree; later the dominator */
	uint32_t *semi;   /* first the cursor of the search */
	uint32_t *first;  /* of its predecessors in `pred`; behind what is still to come, the stack of compress() */
	uint32_t *pred;   /* without those of the spanning tree, and none of roots */
	struct link *link;
	struct pair *pairs; /* of the search: what makes `pred` */
	size_t pairs_count, pairs_room;
};

static void work_deinit(struct work *w)
{
	free(w->number);
	free(w->vertex);
	free(w->parent);
	free(w->semi);
	free(w->first);
	free(w->pred);
	free(w->link);
	free(w->pairs);
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

/* Finds the leaves: no edge, and a single one to it. */
static void find_leaves(struct work *w)
{
	const struct ma_graph *g = w->g;
	for (uint32_t e = 0; e < g->edges; e++) {
		uint8_t *flags = &w->flags[g->targets[e] & ~MA_GRAPH_LAST];
		*flags |= *flags & MA_DOM_SEEN ? MA_DOM_SHARED : MA_DOM_SEEN;
	}
	for (size_t i = 0; w->classes && i < g->totals.by_id_count; i++)
		if (w->classes[i] != MA_NO_INDEX)
			w->flags[w->classes[i]] |= MA_DOM_SHARED;
	w->inner = g->count;
	for (uint32_t i = 0; i < g->count; i++) {
		bool one = (w->flags[i] & ~MA_DOM_MODULE) == MA_DOM_SEEN && g->start[i] == MA_GRAPH_NO_EDGES;
		if (!one || (w->classes && w->classes[g->type[i]] != MA_NO_INDEX))
			continue;
		w->flags[i] |= MA_DOM_LEAF;
		w->inner--;
	}
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

/* Is the edge from number k to number v one that semi-NCA has to look at? */
static bool matters(const struct work *w, uint32_t k, uint32_t v)
{
	return w->parent[v] != k && v != k && !(w->flags[w->vertex[v]] & MA_DOM_ROOT);
}

static struct ma_error *add_pair(struct work *w, uint32_t from, uint32_t to)
{
	if (w->pairs_count == w->pairs_room) {
		size_t room = w->pairs_room + w->pairs_room / 2 + 4096;
		struct pair *more = reallocarray(w->pairs, room, sizeof(*more));
		if (!more)
			return &ma_enomem;
		w->pairs = more;
		w->pairs_room = room;
	}
	w->pairs[w->pairs_count++] = (struct pair){ from, to };
	return NULL;
}

/* Depth first from `root`; the way back is w->parent, so that no stack is needed. */
static struct ma_error *search(struct work *w, uint32_t root)
{
	if (w->flags[root] & MA_DOM_LEAF || w->number[root])
		return NULL;
	w->flags[root] |= MA_DOM_ROOT;
	for (uint32_t k = give_number(w, root, 0); k;) {
		uint32_t node = w->vertex[k], dst;
		if (!next_edge(w, node, &w->semi[k], &dst))
			k = w->parent[k];
		else if (w->flags[dst] & MA_DOM_LEAF)
			w->number[dst] = node;
		else if (!w->number[dst])
			k = give_number(w, dst, k);
		else if (matters(w, k, w->number[dst]))
			MA_TRY(add_pair(w, k, w->number[dst]));
	}
	return NULL;
}

static struct ma_error *search_all(struct work *w)
{
	static const uint8_t order[] = { MA_DOM_ROOT, MA_DOM_LOOSE, 0 };
	for (size_t o = 0; o < sizeof(order); o++)
		for (uint32_t i = 0; i < w->g->count; i++)
			if (!order[o] || w->flags[i] & order[o])
				MA_TRY(search(w, i));
	return NULL;
}

/* Sorts the pairs by where they lead to. */
static struct ma_error *find_predecessors(struct work *w)
{
	if (w->pairs_count > UINT32_MAX) /* edges in the file are fewer than 2^31, and classes one for each object */
		return ma_errorf(MA_ERR_LIMIT, "more than 4294967295 edges");
	w->first = calloc((size_t)w->count + 2, sizeof(*w->first));
	w->pred = malloc((w->pairs_count ? w->pairs_count : 1) * sizeof(*w->pred));
	if (!w->first || !w->pred)
		return &ma_enomem;
	for (size_t i = 0; i < w->pairs_count; i++)
		w->first[w->pairs[i].to]++;
	for (uint32_t v = 1; v <= w->count + 1; v++) /* first[v]: the end of its part, which filling moves down */
		w->first[v] += w->first[v - 1];
	for (size_t i = 0; i < w->pairs_count; i++)
		w->pred[--w->first[w->pairs[i].to]] = w->pairs[i].from;
	free(w->pairs);
	w->pairs = NULL;
	return NULL;
}

/* The least semidominator on the way from v up to numbers above `limit`, which shortens the way. That way has less than
 * count - limit numbers; of `first` what stands behind limit + 1 is done with. */
static uint32_t compress(struct work *w, uint32_t v, uint32_t limit)
{
	struct link *link = w->link;
	uint32_t *stack = w->first + limit + 2, depth = 0;
	for (uint32_t x = v; link[x].ancestor > limit; x = link[x].ancestor)
		stack[depth++] = x;
	while (depth--) {
		struct link *x = &link[stack[depth]], *up = &link[x->ancestor];
		if (up->label < x->label)
			x->label = up->label;
		x->ancestor = up->ancestor;
	}
	return link[v].label;
}

static void semi_nca(struct work *w)
{
	for (uint32_t k = w->count; k > 0; k--) {
		uint32_t semi = w->flags[w->vertex[k]] & MA_DOM_ROOT ? 0 : w->parent[k];
		for (uint32_t i = w->first[k], end = w->first[k + 1]; i < end; i++) {
			uint32_t v = w->pred[i], least = v < k ? v : compress(w, v, k);
			if (least < semi)
				semi = least;
		}
		w->semi[k] = semi;
		w->link[k] = (struct link){ semi, w->parent[k] };
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
	size_t n = (size_t)w->inner + 2;
	w->number = ma_huge_calloc(w->g->count ? w->g->count : 1, sizeof(*w->number));
	w->vertex = ma_huge_malloc(n, sizeof(*w->vertex));
	w->parent = ma_huge_malloc(n, sizeof(*w->parent));
	w->semi = ma_huge_malloc(n, sizeof(*w->semi));
	return w->number && w->vertex && w->parent && w->semi ? NULL : &ma_enomem;
}

/* Numbers give way to dominators. */
static void name_dominators(struct work *w)
{
	for (uint32_t k = 1; k <= w->count; k++)
		w->number[w->vertex[k]] = w->parent[k] ? w->vertex[w->parent[k]] : MA_DOM_NONE;
}

static struct ma_error *sum_up(const struct work *w, struct ma_dominators *d)
{
	uint32_t n = w->g->count;
	d->retained = ma_huge_malloc(n ? n : 1, sizeof(*d->retained));
	if (!d->retained)
		return &ma_enomem;
	for (uint32_t i = 0; i < n; i++)
		d->retained[i] = ma_graph_size(w->g, i);
	for (uint32_t i = 0; i < n; i++)
		if (w->flags[i] & MA_DOM_LEAF)
			d->retained[d->idom[i]] = add(d->retained[d->idom[i]], d->retained[i]);
	for (uint32_t k = w->count; k > 0; k--) { /* a dominator has a smaller number */
		uint32_t node = w->vertex[k], up = d->idom[node];
		if (up != MA_DOM_NONE)
			d->retained[up] = add(d->retained[up], d->retained[node]);
	}
	return NULL;
}

static struct ma_error *compute(struct work *w, struct ma_dominators *d, bool bare)
{
	find_leaves(w);
	MA_TRY(allocate(w));
	MA_TRY(search_all(w));
	MA_TRY(find_predecessors(w));
	w->link = ma_huge_malloc((size_t)w->inner + 2, sizeof(*w->link));
	if (!w->link)
		return &ma_enomem;
	semi_nca(w);
	free(w->pred);
	free(w->first);
	free(w->semi);
	free(w->link);
	w->pred = w->first = w->semi = NULL;
	w->link = NULL;
	name_dominators(w);
	free(w->parent);
	w->parent = NULL;
	d->idom = ma_take_ptr(w->number);
	return bare ? NULL : sum_up(w, d);
}

static struct ma_error *run(struct work *w, struct ma_dominators *ret, bool bare)
{
	struct ma_dominators d = { 0 };
	struct ma_error *err = compute(w, &d, bare);
	work_deinit(w);
	if (err) {
		ma_dominators_deinit(&d);
		return err;
	}
	*ret = d;
	return NULL;
}

struct ma_error *ma_dominators_compute(const struct ma_graph *g, const uint32_t *classes, uint8_t *flags,
				       struct ma_dominators *ret)
{
	return run(&(struct work){ .g = g, .classes = classes, .flags = flags }, ret, false);
}

static struct ma_error *create(struct ma_graph *g, struct ma_dominators *ret, bool bare)
{
	_cleanup_free_ uint8_t *flags = NULL;
	MA_TRY(ma_dom_find_roots(g, &flags));
	ma_graph_close_books(g);
	_cleanup_free_ uint32_t *classes = ma_class_nodes(g);
	if (!classes)
		return &ma_enomem;
	return run(&(struct work){ .g = g, .classes = classes, .flags = flags }, ret, bare);
}

struct ma_error *ma_dominators_create(struct ma_graph *g, struct ma_dominators *ret)
{
	return create(g, ret, false);
}

struct ma_error *ma_dominators_create_bare(struct ma_graph *g, struct ma_dominators *ret)
{
	return create(g, ret, true);
}

static struct ma_error *cut(struct ma_dominators *d, uint32_t node, struct ma_dom_cut **cuts, size_t *count)
{
	if (!(*count & (*count - 1))) { /* room is always the next power of two */
		struct ma_dom_cut *more = reallocarray(*cuts, *count ? *count * 2 : 1, sizeof(*more));
		if (!more)
			return &ma_enomem;
		*cuts = more;
	}
	(*cuts)[(*count)++] = (struct ma_dom_cut){ node, d->idom[node] };
	d->idom[node] = MA_DOM_NONE;
	return NULL;
}

struct ma_error *ma_dom_follow_tree(struct ma_dominators *d, const struct ma_tree *t, struct ma_dom_cut **cuts,
				    size_t *cuts_count)
{
	_cleanup_free_ uint8_t *seen = calloc(t->count ? t->count : 1, 1);
	if (!seen)
		return &ma_enomem;
	for (uint32_t i = 0; i < t->count; i++) {
		uint32_t node = t->order[i], up = d->idom[node];
		if (up != MA_DOM_NONE && !seen[up])
			MA_TRY(cut(d, node, cuts, cuts_count));
		seen[node] = 1;
	}
	return NULL;
}

void ma_dominators_deinit(struct ma_dominators *d)
{
	free(d->idom);
	free(d->retained);
	memset(d, 0, sizeof(*d));
}
