// SPDX-License-Identifier: Apache-2.0
/* What holds objects from outside of the graph. */
#include "cleanup.h"
#include "dominators.h"
#include "huge.h"

#include <stdlib.h>
#include <string.h>

static bool *types_named(const struct ma_graph *g, const char *name)
{
	bool *is = calloc(g->totals.by_id_count, sizeof(*is));
	for (size_t i = 0; is && i < g->totals.by_id_count; i++)
		is[i] = !strcmp(g->totals.by_id[i].name, name);
	return is;
}

/* Modules are roots: sys.modules has them for good. A dict that a module refers to is its namespace. */
static struct ma_error *find_modules(const struct ma_graph *g, uint8_t *flags)
{
	_cleanup_free_ bool *is_module = types_named(g, "module");
	_cleanup_free_ bool *is_dict = types_named(g, "dict");
	if (!is_module || !is_dict)
		return &ma_enomem;
	for (uint32_t i = 0; i < g->count; i++) {
		uint32_t dst;
		if (!is_module[g->type[i]])
			continue;
		flags[i] |= MA_DOM_ROOT | MA_DOM_MODULE;
		struct ma_graph_iter it = ma_graph_edges(g, i);
		while (ma_graph_next(&it, &dst))
			if (is_dict[g->type[dst]])
				flags[dst] |= MA_DOM_NAMESPACE;
	}
	return NULL;
}

static void hold(uint8_t *flags, uint32_t node)
{
	if (node != MA_NO_INDEX && !(flags[node] & MA_DOM_NAMESPACE))
		flags[node] |= MA_DOM_ROOT;
}

static int by_node(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

/* More references counted than found, guessed ones included: native code holds it. */
static struct ma_error *find_held(const struct ma_graph *g, uint8_t *flags)
{
	_cleanup_free_ uint32_t *guessed = calloc(g->guessed_count + 1, sizeof(*guessed));
	size_t at = 0;
	if (!guessed)
		return &ma_enomem;
	if (g->guessed_count) {
		memcpy(guessed, g->guessed, g->guessed_count * sizeof(*guessed));
		qsort(guessed, g->guessed_count, sizeof(*guessed), by_node);
	}
	for (uint32_t i = 0; i < g->count; i++) {
		uint64_t found = g->found[i];
		for (; at < g->guessed_count && guessed[at] == i; at++)
			found++;
		if (g->refcnt[i] == MA_GRAPH_UNKNOWN || found < g->refcnt[i])
			hold(flags, i);
		if (!found)
			flags[i] |= MA_DOM_LOOSE;
	}
	return NULL;
}

static struct ma_error *find_roots(struct ma_graph *g, uint8_t *flags)
{
	const struct ma_snap_tables *tab = ma_snap_tables(g->snap);
	MA_TRY(find_modules(g, flags));
	for (size_t i = 0; i < tab->locals_count; i++)
		if (!tab->locals[i].borrowed)
			hold(flags, ma_addr_index_find(&g->index, tab->locals[i].dst));
	for (size_t i = 0; i < tab->frames_count; i++) /* an object up to 3.10 */
		hold(flags, ma_addr_index_find(&g->index, tab->frames[i].addr));
	return find_held(g, flags);
}

struct ma_error *ma_dom_find_roots(struct ma_graph *g, uint8_t **ret)
{
	_cleanup_free_ uint8_t *flags = ma_huge_calloc(g->count ? g->count : 1, 1);
	if (!flags)
		return &ma_enomem;
	MA_TRY(find_roots(g, flags));
	*ret = ma_take_ptr(flags);
	return NULL;
}
