// SPDX-License-Identifier: Apache-2.0
#include "tree.h"

#include "cleanup.h"
#include "huge.h"

#include <stdlib.h>
#include <string.h>

static void add_root(struct ma_tree *t, uint32_t node, enum ma_root root)
{
	if (t->parent[node] != MA_ROOT_NONE)
		return;
	t->parent[node] = root;
	t->order[t->count++] = node;
}

uint32_t *ma_class_nodes(struct ma_graph *g)
{
	const struct ma_snap_tables *tab = ma_snap_tables(g->snap);
	uint32_t *classes = malloc((tab->types_count + 1) * sizeof(*classes));
	for (size_t i = 0; classes && i <= tab->types_count; i++) {
		const struct ma_snap_type *type = i ? &tab->types[i - 1] : NULL;
		classes[i] =
			type && (type->flags & MA_TF_HEAP) ? ma_addr_index_find(&g->index, type->addr) : MA_NO_INDEX;
	}
	return classes;
}

static void visit(struct ma_tree *t, uint32_t node, uint32_t dst)
{
	if (t->parent[dst] != MA_ROOT_NONE)
		return;
	t->parent[dst] = node;
	t->order[t->count++] = dst;
}

#define AHEAD 8 /* nodes, from reading memory to its use */

struct way {
	const struct ma_graph *g;
	const uint32_t *classes;
	struct ma_bits inner;
};

struct ma_error *ma_tree_inner(const struct ma_graph *g, const uint32_t *classes, struct ma_bits *ret)
{
	MA_TRY(ma_bits_create(g->count, ret));
	for (uint32_t i = 0; i < g->count; i++)
		ma_bits_set(ret, i, g->start[i] != MA_GRAPH_NO_EDGES || classes[g->type[i]] != MA_NO_INDEX);
	ma_bits_number_all(ret);
	return NULL;
}

/* Visits what the nodes from order[head] on refer to, as long as they stand before order[end]; returns the new head. */
static uint32_t flood_to(const struct way *w, struct ma_tree *t, uint32_t head, uint32_t end)
{
	const struct ma_graph *g = w->g;
	for (; head < end && head < t->count; head++) {
		uint32_t node = t->order[head], dst;
		if (head + AHEAD < t->count)
			__builtin_prefetch(&g->start[t->order[head + AHEAD]]);
		if (!ma_bits_has(&w->inner, node))
			continue;
		struct ma_graph_iter it = ma_graph_edges(g, node);
		while (ma_graph_next(&it, &dst))
			visit(t, node, dst);
		if (w->classes[g->type[node]] != MA_NO_INDEX)
			visit(t, node, w->classes[g->type[node]]);
	}
	return head;
}

/* Modules are ahead of locals by this many steps: what a global leads to (module, its dict, the value, its attributes)
 * is better known by the global than by who works on it just now, but not through half the program. */
#define MODULE_STEPS 4

/* The same without an end: all that they reach. */
static uint32_t flood(const struct way *w, struct ma_tree *t, uint32_t head)
{
	return flood_to(w, t, head, UINT32_MAX);
}

static void add_locals(struct ma_graph *g, struct ma_tree *t, uint32_t begin, uint32_t end, enum ma_root root)
{
	const struct ma_snap_tables *tab = ma_snap_tables(g->snap);
	for (size_t i = begin; i < end && i < tab->locals_count; i++) {
		uint32_t node = ma_addr_index_find(&g->index, tab->locals[i].dst);
		if (node != MA_NO_INDEX && !tab->locals[i].borrowed)
			add_root(t, node, root);
	}
}

/* Modules first: sys.modules leads to everything, too, but a person thinks of a module's globals. */
static struct ma_error *add_modules(const struct ma_graph *g, struct ma_tree *t)
{
	bool *is_module = calloc(g->totals.by_id_count + 1, sizeof(*is_module));
	if (!is_module)
		return &ma_enomem;
	for (size_t i = 0; i < g->totals.by_id_count; i++)
		is_module[i] = !strcmp(g->totals.by_id[i].name, "module");
	for (uint32_t i = 0; i < g->count; i++)
		if (g->type[i] < g->totals.by_id_count && is_module[g->type[i]])
			add_root(t, i, MA_ROOT_MODULE);
	free(is_module);
	return NULL;
}

static void build(struct ma_graph *g, const struct way *w, struct ma_tree *t)
{
	const struct ma_snap_tables *tab = ma_snap_tables(g->snap);
	uint32_t head = 0;
	for (unsigned i = 0; i < MODULE_STEPS; i++)
		head = flood_to(w, t, head, t->count);
	for (size_t i = tab->frames_count; i-- > 0;) { /* outermost frames first: what they hold lives longest */
		add_locals(g, t, tab->frames[i].locals_begin, tab->frames[i].locals_end, MA_ROOT_LOCAL);
		uint32_t frame = ma_addr_index_find(&g->index, tab->frames[i].addr); /* an object up to 3.10 */
		if (frame != MA_NO_INDEX)
			add_root(t, frame, MA_ROOT_LOCAL);
	}
	head = flood(w, t, head);
	for (size_t i = 0; i < tab->interps_count; i++)
		add_locals(g, t, tab->interps[i].locals_begin, tab->interps[i].locals_end, MA_ROOT_INTERP);
	head = flood(w, t, head);
	for (uint32_t i = 0; i < g->count; i++) {
		if (t->parent[i] != MA_ROOT_NONE)
			continue;
		if (ma_graph_native(g, i))
			add_root(t, i, MA_ROOT_NATIVE);
	}
	head = flood(w, t, head);
	for (uint32_t i = 0; i < g->count; i++) {
		add_root(t, i, MA_ROOT_LOST);
		head = flood(w, t, head);
	}
}

static struct ma_error *create(struct ma_graph *g, struct way *w, struct ma_tree *t)
{
	size_t n = g->count ? g->count : 1;
	t->parent = ma_huge_malloc(n, sizeof(*t->parent));
	t->order = ma_huge_malloc(n, sizeof(*t->order));
	if (!t->parent || !t->order)
		return &ma_enomem;
	memset(t->parent, 0xff, n * sizeof(*t->parent));
	MA_TRY(add_modules(g, t));
	MA_TRY(ma_tree_inner(g, w->classes, &w->inner));
	build(g, w, t);
	ma_bits_deinit(&w->inner);
	return NULL;
}

struct ma_error *ma_tree_create(struct ma_graph *g, struct ma_tree *ret)
{
	struct ma_tree t = { 0 };
	_cleanup_free_ uint32_t *classes = ma_class_nodes(g);
	struct ma_error *err = !classes ? &ma_enomem : create(g, &(struct way){ .g = g, .classes = classes }, &t);
	if (err) {
		ma_tree_deinit(&t);
		return err;
	}
	*ret = t;
	return NULL;
}

void ma_tree_deinit(struct ma_tree *t)
{
	free(t->parent);
	free(t->order);
	memset(t, 0, sizeof(*t));
}
