// SPDX-License-Identifier: Apache-2.0
#include "holders.h"

#include "cleanup.h"
#include "dominators.h"
#include "holder_path.h"
#include "huge.h"
#include "saturate.h"

#include <stdlib.h>
#include <string.h>

#define LEAST_SHARE 100         /* a holder has at least 1/100 of all bytes, */
#define LEAST_BYTES (64 * 1024) /* and this much */
#define LEAST_FAN_OUT 8         /* nodes of a long chain are no holders, what the chain hangs on is */
#define LINES_MAX 65536u
#define OWNER_BITS 0x0f   /* in owner: position of the holder + 1, 0 = none */
#define OWNER_NATIVE 0x10 /* in owner: hangs below what only native code holds */
#define OWNER_LOST 0x20
#define OWNER_NOBODY 0xff

#define AHEAD 16 /* nodes, from reading memory to its use */

_Static_assert(MA_HELD_MAX < OWNER_BITS, "owner has room for every holder");

struct work {
	struct ma_graph *g;
	const struct ma_sites *sites;
	struct ma_tree tree;
	struct ma_dominators dom;
	struct ma_bits apart; /* what is not held by its parent in the tree, */
	uint32_t *holder;     /* but by this: by number of apart; see ma_holder_of() */
	uint64_t *by_tree;    /* a bit for each node: what holds it is not its dominator */
	struct ma_dom_cut *cuts;
	size_t cuts_count;
	struct ma_bits inner;
	uint64_t *below; /* by number of inner: bytes of the node and what hangs below it, holders left out */
	uint8_t *small;  /* first: how many nodes it holds itself, at most 255; then: owner */
	uint32_t nodes[MA_HELD_MAX];
	size_t count;
};

static void work_deinit(struct work *w)
{
	ma_tree_deinit(&w->tree);
	ma_dominators_deinit(&w->dom);
	free(w->holder);
	free(w->by_tree);
	ma_bits_deinit(&w->apart);
	ma_bits_deinit(&w->inner);
	free(w->cuts);
	free(w->below);
	free(w->small);
}

static uint32_t holder_of(const struct work *w, uint32_t node)
{
	return ma_bits_has(&w->apart, node) ? w->holder[ma_bits_number(&w->apart, node)] : w->tree.parent[node];
}

static uint64_t below(const struct work *w, uint32_t node)
{
	return ma_bits_has(&w->inner, node) ? w->below[ma_bits_number(&w->inner, node)] : ma_graph_size(w->g, node);
}

static void remember(struct work *w, uint32_t node)
{
	size_t i = w->count;
	while (i && below(w, w->nodes[i - 1]) < below(w, node))
		i--;
	if (i == MA_HELD_MAX)
		return;
	if (w->count < MA_HELD_MAX)
		w->count++;
	memmove(&w->nodes[i + 1], &w->nodes[i], (w->count - 1 - i) * sizeof(w->nodes[0]));
	w->nodes[i] = node;
}

/* Is this where a person would point to: does memory spread out here, or is it a global or a local itself? */
static bool may_hold(const struct work *w, uint32_t node, uint64_t least)
{
	uint32_t parent = w->tree.parent[node];
	if (w->small[node] >= LEAST_FAN_OUT || ma_graph_size(w->g, node) >= least || MA_IS_ROOT(parent))
		return true;
	uint32_t above = w->tree.parent[parent];
	return above == MA_ROOT_MODULE || (!MA_IS_ROOT(above) && w->tree.parent[above] == MA_ROOT_MODULE);
}

/* What the loops will read of the node that stands there in the order. */
static void fetch(const struct work *w, uint32_t i)
{
	if (i >= w->tree.count)
		return;
	uint32_t node = w->tree.order[i];
	__builtin_prefetch(&w->tree.parent[node]);
	__builtin_prefetch(&w->small[node]);
	__builtin_prefetch(&w->g->size[node]);
	__builtin_prefetch(&w->g->type[node]);
}

/* From the leaves up: what hangs below each node; a node with enough of it keeps it and becomes a holder. */
static struct ma_error *find_holders(struct work *w)
{
	uint32_t n = w->tree.count;
	_cleanup_free_ uint32_t *classes = ma_class_nodes(w->g);
	if (!classes)
		return &ma_enomem;
	MA_TRY(ma_tree_inner(w->g, classes, &w->inner));
	w->below = ma_huge_malloc((size_t)w->inner.count + 1, sizeof(*w->below));
	w->small = ma_huge_calloc(n ? n : 1, 1);
	if (!w->below || !w->small)
		return &ma_enomem;
	for (uint32_t i = 0, k = 0; i < n; i++)
		if (ma_bits_has(&w->inner, i))
			w->below[k++] = ma_graph_size(w->g, i);
	uint64_t least = w->g->totals.bytes / LEAST_SHARE;
	if (least < LEAST_BYTES)
		least = LEAST_BYTES;
	for (uint32_t i = n; i-- > 0;) {
		uint32_t node = w->tree.order[i], parent = holder_of(w, node);
		fetch(w, i - AHEAD);
		if (below(w, node) >= least && may_hold(w, node, least)) {
			remember(w, node);
			if (!MA_IS_ROOT(parent) && w->small[parent] < UINT8_MAX)
				w->small[parent]++;
			continue;
		}
		if (MA_IS_ROOT(parent))
			continue;
		if (w->small[parent] < UINT8_MAX)
			w->small[parent]++;
		w->below[ma_bits_number(&w->inner, parent)] += below(w, node);
	}
	return NULL;
}

static size_t holder_at(const struct work *w, uint32_t node)
{
	for (size_t h = 0; h < w->count; h++)
		if (w->nodes[h] == node)
			return h + 1;
	return 0;
}

struct share {
	uint64_t count, bytes;
};

/* By holder and type id. */
struct shares {
	struct share *direct; /* what hangs directly on it, each with what hangs below */
	struct share *all;    /* all that it has, each by itself; behind the holders native code, then garbage */
};

static void shares_deinit(struct shares *s)
{
	free(s->direct);
	free(s->all);
}

static void add_to(struct share *s, uint64_t bytes)
{
	s->count++;
	s->bytes += bytes;
}

/* Whose the node is, by whose that is on which it hangs, unless it is a holder itself. */
static uint8_t find_owner(const struct work *w, struct ma_held *held, uint32_t node, uint64_t least)
{
	uint32_t parent = holder_of(w, node);
	uint8_t owner = !MA_IS_ROOT(parent)        ? w->small[parent]
			: parent == MA_ROOT_NATIVE ? OWNER_NATIVE
			: parent == MA_ROOT_LOST   ? OWNER_LOST
						   : 0;
	size_t h = below(w, node) >= least ? holder_at(w, node) : 0;
	if (!h)
		return owner;
	held->holders[h - 1].native = owner & OWNER_NATIVE;
	held->holders[h - 1].lost = owner & OWNER_LOST;
	return (uint8_t)((owner & ~OWNER_BITS) | h);
}

/* Adds a node to the share `at`, of `stride`, of the holder that has it; behind the holders come native code and
 * garbage. */
static void add_share(const struct work *w, uint32_t node, struct share *shares, size_t stride, size_t at)
{
	uint8_t owner = w->small[node];
	size_t h = owner & OWNER_BITS, group = owner & OWNER_NATIVE ? w->count
					       : owner & OWNER_LOST ? w->count + 1
								    : SIZE_MAX;
	uint64_t bytes = ma_graph_size(w->g, node);
	if (h && w->nodes[h - 1] != node)
		add_to(&shares[(h - 1) * stride + at], bytes);
	if (group != SIZE_MAX)
		add_to(&shares[group * stride + at], bytes);
}

static void count_node(const struct work *w, struct ma_held *held, const struct shares *s, uint32_t node)
{
	size_t types = w->g->totals.by_id_count, type = w->g->type[node], h = w->small[node] & OWNER_BITS;
	uint64_t size = ma_graph_size(w->g, node);
	uint32_t parent = holder_of(w, node);
	size_t above = (MA_IS_ROOT(parent) ? 0 : w->small[parent]) & OWNER_BITS;
	if (h)
		held->holders[h - 1].objects++;
	if (above && w->nodes[above - 1] == parent)
		add_to(&s->direct[(above - 1) * types + type], below(w, node));
	add_share(w, node, s->all, types, type);
	if (w->small[node] & OWNER_NATIVE) {
		held->native_objects++;
		held->native_bytes += size;
	} else if (w->small[node] & OWNER_LOST) {
		held->lost_objects++;
		held->lost_bytes += size;
	}
}

/* From the roots down: whose each node is. */
static void find_owners(struct work *w, struct ma_held *held, const struct shares *s)
{
	uint64_t least = w->count ? below(w, w->nodes[w->count - 1]) : UINT64_MAX;
	for (uint32_t i = 0; i < w->tree.count; i++) {
		uint32_t node = w->tree.order[i];
		fetch(w, i + AHEAD);
		w->small[node] = find_owner(w, held, node, least);
		count_node(w, held, s, node);
	}
}

static void take_largest(struct ma_holder *holder, const struct share *shares, size_t types)
{
	holder->mostly_bytes = 0;
	for (size_t i = 0; i < types; i++) {
		if (shares[i].bytes <= holder->mostly_bytes)
			continue;
		holder->mostly = (uint32_t)i;
		holder->mostly_count = shares[i].count;
		holder->mostly_bytes = shares[i].bytes;
	}
}

/* `bytes`: of all that it consists of. */
static void take_below(const struct work *w, struct ma_below *below, const struct share *shares, uint64_t bytes)
{
	for (size_t i = 0; i < w->g->totals.by_id_count; i++) {
		const struct share *s = &shares[i];
		if (!s->count)
			continue;
		ma_below_add(below, ma_type_name(w->g->snap, (uint32_t)i), s->count);
		size_t at = below->consists_count;
		while (at && below->consists[at - 1].bytes < s->bytes)
			at--;
		if (at == MA_CONSISTS_MAX || s->bytes < bytes / 20)
			continue;
		if (below->consists_count < MA_CONSISTS_MAX)
			below->consists_count++;
		memmove(&below->consists[at + 1], &below->consists[at],
			(below->consists_count - 1 - at) * sizeof(below->consists[0]));
		below->consists[at] = (struct ma_consists){ (uint32_t)i, s->count, s->bytes };
	}
}

/* What a holder mostly has: the type of most bytes among its elements, each with what hangs below it; where it has few
 * elements (the head of a chain), among all that it holds. And what all of it is made of. */
static void describe_elements(const struct work *w, struct ma_held *held, const struct shares *s)
{
	size_t types = w->g->totals.by_id_count;
	for (size_t h = 0; h < w->count; h++) {
		struct ma_holder *holder = &held->holders[h];
		take_largest(holder, &s->direct[h * types], types);
		if (holder->mostly_count < LEAST_FAN_OUT)
			take_largest(holder, &s->all[h * types], types);
		take_below(w, &holder->below, &s->all[h * types], holder->bytes);
	}
	take_below(w, &held->native, &s->all[w->count * types], held->native_bytes);
	take_below(w, &held->lost, &s->all[(w->count + 1) * types], held->lost_bytes);
}

static struct ma_error *share_out(struct work *w, struct ma_held *held)
{
	size_t types = w->g->totals.by_id_count;
	struct shares s = { calloc(types * (w->count + 1), sizeof(*s.direct)),
			    calloc(types * (w->count + 2), sizeof(*s.all)) };
	if (!s.direct || !s.all) {
		shares_deinit(&s);
		return &ma_enomem;
	}
	find_owners(w, held, &s);
	describe_elements(w, held, &s);
	shares_deinit(&s);
	return NULL;
}

static void take_line(struct ma_below *below, const struct share *shares, size_t lines)
{
	for (size_t i = 0; i < lines; i++) {
		if (shares[i].bytes <= below->line_bytes)
			continue;
		below->line = i + 1;
		below->line_count = shares[i].count;
		below->line_bytes = shares[i].bytes;
	}
}

/* Where most of what each holder has was allocated, of the lines that allocated most. */
static struct ma_error *find_lines(const struct work *w, struct ma_held *held)
{
	size_t lines = w->sites->lines_count < LINES_MAX ? w->sites->lines_count : LINES_MAX;
	if (!lines || !w->sites->line_of)
		return NULL;
	_cleanup_free_ struct share *shares = calloc(lines * (w->count + 2), sizeof(*shares));
	if (!shares)
		return &ma_enomem;
	for (uint32_t node = 0; node < w->tree.count; node++) {
		uint32_t line = w->sites->line_of[node];
		if (line && line <= lines)
			add_share(w, node, shares, lines, line - 1);
	}
	for (size_t h = 0; h < w->count; h++)
		take_line(&held->holders[h].below, &shares[h * lines], lines);
	take_line(&held->native, &shares[w->count * lines], lines);
	take_line(&held->lost, &shares[(w->count + 1) * lines], lines);
	return NULL;
}

static int class_by_name(const void *a, const void *b)
{
	const struct ma_class_share *x = a, *y = b;
	return strcmp(x->name, y->name);
}

static int class_by_bytes(const void *a, const void *b)
{
	const struct ma_class_share *x = a, *y = b;
	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	return strcmp(x->name, y->name);
}

/* Items of sizeof(PyMemberDef) bytes: a metaclass, whose instances are classes themselves. */
static bool is_metaclass(const struct ma_snap *s, uint32_t id)
{
	return ma_snap_tables(s)->types[id - 1].itemsize == 40;
}

static struct ma_error *collect_classes(struct work *w, struct ma_held *held)
{
	const struct ma_totals *totals = &w->g->totals;
	_cleanup_free_ uint32_t *class_of = malloc((w->tree.count ? w->tree.count : 1) * sizeof(*class_of));
	_cleanup_free_ struct ma_class_share *by_id = calloc(totals->by_id_count, sizeof(*by_id));
	if (!class_of || !by_id)
		return &ma_enomem;
	for (size_t i = 1; i < totals->by_id_count; i++)
		if (totals->by_id[i].heap && !is_metaclass(w->g->snap, (uint32_t)i))
			by_id[i].name = totals->by_id[i].name;
	for (uint32_t i = 0; i < w->tree.count; i++) {
		uint32_t node = w->tree.order[i], parent = w->tree.parent[node];
		uint32_t type = w->g->type[node] < totals->by_id_count ? w->g->type[node] : 0;
		bool is_class = by_id[type].name;
		class_of[node] = is_class ? type : MA_IS_ROOT(parent) ? 0 : class_of[parent];
		if (class_of[node])
			by_id[class_of[node]].bytes += ma_graph_size(w->g, node);
	}
	size_t n = 0;
	for (size_t i = 1; i < totals->by_id_count; i++) {
		if (!by_id[i].name || !totals->by_id[i].count)
			continue;
		by_id[i].count = totals->by_id[i].count;
		by_id[i].own_bytes = totals->by_id[i].bytes;
		by_id[n++] = by_id[i];
	}
	qsort(by_id, n, sizeof(*by_id), class_by_name);
	size_t out = 0;
	for (size_t i = 0; i < n; i++) {
		if (out && !strcmp(by_id[out - 1].name, by_id[i].name)) {
			by_id[out - 1].count += by_id[i].count;
			by_id[out - 1].own_bytes += by_id[i].own_bytes;
			by_id[out - 1].bytes += by_id[i].bytes;
		} else {
			by_id[out++] = by_id[i];
		}
	}
	qsort(by_id, out, sizeof(*by_id), class_by_bytes);
	held->classes = ma_take_ptr(by_id);
	held->classes_count = out;
	return NULL;
}

static bool is_namespace(const struct work *w, uint32_t node)
{
	uint32_t parent = w->tree.parent[node];
	return !MA_IS_ROOT(parent) && w->tree.parent[parent] == MA_ROOT_MODULE &&
	       !strcmp(ma_type_name(w->g->snap, w->g->type[node]), "dict");
}

/* Makes w->holder of both trees. */
static struct ma_error *join_trees(struct work *w)
{
	uint32_t n = w->g->count;
	w->by_tree = calloc((size_t)n / 64 + 1, sizeof(*w->by_tree));
	if (!w->by_tree)
		return &ma_enomem;
	MA_TRY(ma_dom_follow_tree(&w->dom, &w->tree, &w->cuts, &w->cuts_count));
	MA_TRY(ma_bits_create(n, &w->apart));
	for (uint32_t i = 0; i < n; i++) {
		uint32_t up = w->dom.idom[i];
		w->by_tree[i / 64] |= (uint64_t)(up == MA_DOM_NONE) << i % 64;
		ma_bits_set(&w->apart, i, up != MA_DOM_NONE && up != w->tree.parent[i]);
	}
	for (size_t i = 0; i < w->cuts_count; i++)
		ma_bits_set(&w->apart, w->cuts[i].node, true);
	ma_bits_number_all(&w->apart);
	w->holder = malloc(((size_t)w->apart.count + 1) * sizeof(*w->holder));
	if (!w->holder)
		return &ma_enomem;
	for (uint32_t i = 0, k = 0; i < n; i++)
		if (ma_bits_has(&w->apart, i))
			w->holder[k++] = ma_holder_of(&w->tree, &w->dom, i);
	ma_dominators_deinit(&w->dom);
	return NULL;
}

/* The dominator that follow_tree took away stands in its place while this is asked. */
static uint32_t dominator_of(const struct work *w, uint32_t node)
{
	return w->by_tree[node / 64] >> node % 64 & 1 ? MA_DOM_NONE : holder_of(w, node);
}

static void swap_cuts(struct work *w)
{
	for (size_t i = 0; i < w->cuts_count; i++) {
		struct ma_dom_cut *c = &w->cuts[i];
		uint32_t *holder = &w->holder[ma_bits_number(&w->apart, c->node)], up = *holder;
		*holder = c->up;
		c->up = up;
		w->by_tree[c->node / 64] ^= UINT64_C(1) << c->node % 64;
	}
}

/* Adds each node to the nearest holder that dominates it: w->small has its position + 1, or OWNER_NOBODY. */
static void sum_up(struct work *w, uint64_t *sums)
{
	for (size_t h = 0; h < w->count; h++)
		w->small[w->nodes[h]] = (uint8_t)(h + 1);
	for (uint32_t i = 0; i < w->g->count; i++) {
		uint32_t at = i, up;
		while (!w->small[at] && (up = dominator_of(w, at)) != MA_DOM_NONE)
			at = up;
		uint8_t owner = w->small[at] ? w->small[at] : OWNER_NOBODY;
		for (at = i; at != MA_DOM_NONE && !w->small[at]; at = dominator_of(w, at))
			w->small[at] = owner;
		if (owner != OWNER_NOBODY)
			sums[owner - 1] = add(sums[owner - 1], ma_graph_size(w->g, i));
	}
}

/* The retained sizes of the holders, from the dominators: to keep those of all objects until now would take more memory
 * than anything else. */
static void find_retained(struct work *w, struct ma_held *held)
{
	uint64_t sums[MA_HELD_MAX] = { 0 };
	memset(w->small, 0, w->g->count);
	swap_cuts(w);
	sum_up(w, sums);
	for (size_t h = 0; h < w->count; h++) {
		uint32_t at = w->nodes[h];
		while (at != MA_DOM_NONE && w->small[at] != OWNER_NOBODY) {
			size_t above = w->small[at] - 1u;
			held->holders[above].retained = add(held->holders[above].retained, sums[h]);
			at = dominator_of(w, w->nodes[above]);
		}
	}
	swap_cuts(w);
}

static struct ma_error *build(struct work *w, struct ma_held *held)
{
	MA_TRY(ma_dominators_create_bare(w->g, &w->dom));
	MA_TRY(ma_dom_retained_by_type(w->g, &w->dom));
	MA_TRY(ma_tree_create(w->g, &w->tree));
	MA_TRY(join_trees(w));
	MA_TRY(find_holders(w));
	held->holders_count = w->count;
	find_retained(w, held);
	for (size_t h = 0; h < w->count; h++) {
		held->holders[h].addr = ma_addr_index_addr(&w->g->index, w->nodes[h]);
		held->holders[h].type_id = w->g->type[w->nodes[h]];
		held->holders[h].bytes = below(w, w->nodes[h]);
		held->holders[h].namespace = is_namespace(w, w->nodes[h]);
	}
	MA_TRY(share_out(w, held));
	MA_TRY(find_lines(w, held));
	free(w->below);
	free(w->small);
	free(w->holder);
	w->below = NULL;
	w->small = NULL;
	w->holder = NULL;
	MA_TRY(collect_classes(w, held));
	struct ma_way ways[MA_HELD_MAX];
	for (size_t h = 0; h < w->count; h++)
		ways[h] = (struct ma_way){ .node = w->nodes[h] };
	struct ma_error *err = ma_ways_name(w->g, &w->tree, ways, w->count);
	for (size_t h = 0; h < w->count; h++) { /* paths change hands, after an error, too */
		held->holders[h].path = ways[h].path;
		held->holders[h].elements = ways[h].elements;
	}
	return err ? err : ma_suspects_find(w->g, &w->tree, w->nodes, held);
}

struct ma_error *ma_held_create(struct ma_graph *g, const struct ma_sites *sites, struct ma_held *ret)
{
	struct work w = { .g = g, .sites = sites };
	struct ma_held held = { 0 };
	struct ma_error *err = build(&w, &held);
	work_deinit(&w);
	if (err) {
		ma_held_deinit(&held);
		return err;
	}
	*ret = held;
	return NULL;
}

void ma_held_deinit(struct ma_held *h)
{
	for (size_t i = 0; i < h->holders_count; i++)
		free(h->holders[i].path);
	free(h->classes);
	memset(h, 0, sizeof(*h));
}
