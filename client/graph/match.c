// SPDX-License-Identifier: Apache-2.0
#include "match.h"

#include "cleanup.h"

#include <stdlib.h>
#include <string.h>

struct named {
	const char *name;
	uint32_t *number;
};

static int by_name(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	return strcmp(x->name, y->name);
}

/* Types of the same name are one to whoever reads a diff. */
static struct ma_error *number_names(struct ma_match *m)
{
	const struct ma_totals *old = &m->old->graph->totals, *new = &m->new->graph->totals;
	size_t n = old->by_id_count + new->by_id_count, k = 0;
	_cleanup_free_ struct named *all = calloc(n ? n : 1, sizeof(*all));
	m->old_names = calloc(old->by_id_count, sizeof(*m->old_names));
	m->new_names = calloc(new->by_id_count, sizeof(*m->new_names));
	if (!all || !m->old_names || !m->new_names)
		return &ma_enomem;
	for (size_t i = 0; i < old->by_id_count; i++)
		all[k++] = (struct named){ old->by_id[i].name, &m->old_names[i] };
	for (size_t i = 0; i < new->by_id_count; i++)
		all[k++] = (struct named){ new->by_id[i].name, &m->new_names[i] };
	qsort(all, n, sizeof(*all), by_name);
	for (size_t i = 0; i < n; i++) {
		m->names_count += i && strcmp(all[i - 1].name, all[i].name) != 0;
		*all[i].number = m->names_count;
	}
	m->names_count++;
	return NULL;
}

static uint32_t *nodes_of(const struct ma_side *side)
{
	size_t bytes = (side->graph->count ? side->graph->count : 1) * sizeof(uint32_t);
	uint32_t *nodes = malloc(bytes);
	if (nodes)
		memset(nodes, 0xff, bytes);
	return nodes;
}

struct ma_error *ma_match_begin(struct ma_match *m, const struct ma_side *old, const struct ma_side *new)
{
	*m = (struct ma_match){ .old = old, .new = new };
	m->old_near = nodes_of(old);
	m->new_near = nodes_of(new);
	if (!m->old_near || !m->new_near)
		return &ma_enomem;
	MA_TRY(number_names(m));
	for (unsigned i = 0; i < MA_MATCH_ROOTS; i++)
		MA_TRY(ma_match_add(m, MA_MATCH_NONE, MA_MATCH_NONE));
	return NULL;
}

struct ma_error *ma_match_add(struct ma_match *m, uint32_t node, uint32_t old)
{
	if (!(m->count & (m->count - 1))) { /* room is always the next power of two */
		struct ma_pair *pairs = reallocarray(m->pairs, m->count ? m->count * 2 : 1, sizeof(*pairs));
		if (!pairs)
			return &ma_enomem;
		m->pairs = pairs;
	}
	if (node != MA_MATCH_NONE)
		m->new_near[node] = (uint32_t)m->count;
	if (old != MA_MATCH_NONE)
		m->old_near[old] = (uint32_t)m->count;
	m->pairs[m->count++] = (struct ma_pair){ .node = node, .old = old, .parent = MA_MATCH_NONE };
	return NULL;
}

static uint32_t near_above(const uint32_t *near, uint32_t parent)
{
	return MA_IS_ROOT(parent) ? parent - MA_ROOT_MODULE : near[parent];
}

/* Fills in `near` of all nodes that are in no pair; those that hold some memory go into a list. */
static struct ma_error *spread(const struct ma_side *side, uint32_t *near, uint32_t **list_ret, size_t *count_ret)
{
	_cleanup_free_ uint32_t *list = NULL;
	size_t n = 0;
	for (uint32_t i = 0; i < side->tree.count; i++) {
		uint32_t node = side->tree.order[i];
		if (near[node] != MA_MATCH_NONE)
			continue;
		near[node] = near_above(near, side->tree.parent[node]);
		if (side->held[node] < MA_MATCH_LEAST)
			continue;
		if (!(n & (n - 1))) {
			uint32_t *bigger = reallocarray(list, n ? n * 2 : 1, sizeof(*bigger));
			if (!bigger)
				return &ma_enomem;
			list = bigger;
		}
		list[n++] = node;
	}
	*list_ret = ma_take_ptr(list);
	*count_ret = n;
	return NULL;
}

struct ma_error *ma_match_finish(struct ma_match *m)
{
	for (size_t i = MA_MATCH_ROOTS; i < m->count; i++) /* of a node above it `near` may still be NONE */
		m->pairs[i].parent = m->new->tree.parent[m->pairs[i].node];
	MA_TRY(spread(m->new, m->new_near, &m->fresh, &m->fresh_count));
	MA_TRY(spread(m->old, m->old_near, &m->gone, &m->gone_count));
	for (size_t i = MA_MATCH_ROOTS; i < m->count; i++)
		m->pairs[i].parent = near_above(m->new_near, m->pairs[i].parent);
	for (uint32_t i = 0; i < m->new->graph->count; i++) {
		struct ma_pair *p = &m->pairs[m->new_near[i]];
		p->new_bytes += ma_graph_size(m->new->graph, i);
		p->new_objects++;
	}
	for (uint32_t i = 0; i < m->old->graph->count; i++) {
		struct ma_pair *p = &m->pairs[m->old_near[i]];
		p->old_bytes += ma_graph_size(m->old->graph, i);
		p->old_objects++;
	}
	return NULL;
}

void ma_match_deinit(struct ma_match *m)
{
	free(m->pairs);
	free(m->new_near);
	free(m->old_near);
	free(m->new_names);
	free(m->old_names);
	free(m->fresh);
	free(m->gone);
	memset(m, 0, sizeof(*m));
}
