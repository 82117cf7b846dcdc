// SPDX-License-Identifier: Apache-2.0
/* Two snapshots of one process. */
#include "cleanup.h"
#include "match.h"

#include <stdlib.h>
#include <string.h>

#define SAMPLE 256 /* references compared of an object that hangs elsewhere than before */

/* For each page that both have: which objects have the same address. */
static void join_page(const struct ma_addr_page *old, const struct ma_addr_page *new, uint32_t *old_of)
{
	uint32_t old_base = old->base, new_base = new->base;
	for (unsigned w = 0; w < 8; w++) {
		for (uint64_t both = old->bits[w] & new->bits[w]; both; both &= both - 1) {
			uint64_t below = (both & -both) - 1;
			old_of[new_base + (uint32_t)__builtin_popcountll(new->bits[w] & below)] =
				old_base + (uint32_t)__builtin_popcountll(old->bits[w] & below);
		}
		old_base += (uint32_t)__builtin_popcountll(old->bits[w]);
		new_base += (uint32_t)__builtin_popcountll(new->bits[w]);
	}
}

/* By new node: the old one of the same address and type, or MA_MATCH_NONE. */
static struct ma_error *join(const struct ma_match *m, uint32_t **ret)
{
	const struct ma_graph *old = m->old->graph, *new = m->new->graph;
	size_t bytes = (new->count ? new->count : 1) * sizeof(uint32_t);
	uint32_t *old_of = malloc(bytes);
	if (!old_of)
		return &ma_enomem;
	memset(old_of, 0xff, bytes);
	for (size_t i = 0, k = 0; i < new->index.pages_count; i++) {
		const struct ma_addr_page *page = &new->index.pages[i];
		while (k < old->index.pages_count && old->index.pages[k].number < page->number)
			k++;
		if (k < old->index.pages_count && old->index.pages[k].number == page->number)
			join_page(&old->index.pages[k], page, old_of);
	}
	for (uint32_t i = 0; i < new->count; i++)
		if (old_of[i] != MA_MATCH_NONE && m->new_names[new->type[i]] != m->old_names[old->type[old_of[i]]])
			old_of[i] = MA_MATCH_NONE;
	*ret = old_of;
	return NULL;
}

static int by_node(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

/* Does the new object refer to at least half of what the old one did, as far as both are looked at? */
static bool refers_alike(const struct ma_match *m, const uint32_t *old_of, uint32_t node, uint32_t old)
{
	uint32_t before[SAMPLE], dst;
	size_t old_count = 0, new_count = 0, same = 0;
	struct ma_graph_iter it = ma_graph_edges(m->old->graph, old);
	while (old_count < SAMPLE && ma_graph_next(&it, &dst))
		before[old_count++] = dst;
	if (!old_count)
		return false;
	qsort(before, old_count, sizeof(before[0]), by_node);
	it = ma_graph_edges(m->new->graph, node);
	for (; new_count < SAMPLE && ma_graph_next(&it, &dst); new_count++)
		same += old_of[dst] != MA_MATCH_NONE &&
			bsearch(&old_of[dst], before, old_count, sizeof(before[0]), by_node);
	return same && same * 2 >= (old_count < new_count ? old_count : new_count);
}

/* Does it hang on the same object as before? */
static bool hangs_alike(const struct ma_match *m, const uint32_t *old_of, uint32_t node, uint32_t old)
{
	uint32_t above = m->new->tree.parent[node], old_above = m->old->tree.parent[old];
	if (MA_IS_ROOT(above) || MA_IS_ROOT(old_above))
		return MA_IS_ROOT(above) && MA_IS_ROOT(old_above);
	return old_of[above] == old_above && m->new_near[above] != MA_MATCH_NONE &&
	       m->old_near[old_above] == m->new_near[above];
}

static struct ma_error *pair_up(struct ma_match *m, const uint32_t *old_of)
{
	const struct ma_tree *tree = &m->new->tree;
	for (uint32_t i = 0; i < tree->count; i++) {
		uint32_t node = tree->order[i], old = old_of[node];
		bool now = m->new->held[node] >= MA_MATCH_LEAST;
		bool then = old != MA_MATCH_NONE && m->old->held[old] >= MA_MATCH_LEAST;
		if (!now && !then)
			continue;
		if (old != MA_MATCH_NONE &&
		    (hangs_alike(m, old_of, node, old) || (now && refers_alike(m, old_of, node, old))))
			MA_TRY(ma_match_add(m, node, old));
		else if (now && MA_IS_ROOT(tree->parent[node]))
			MA_TRY(ma_match_add(m, node, MA_MATCH_NONE));
	}
	return NULL;
}

struct ma_error *ma_match_by_address(const struct ma_side *old, const struct ma_side *new, struct ma_match *ret)
{
	struct ma_match m;
	_cleanup_free_ uint32_t *old_of = NULL;
	struct ma_error *err = ma_match_begin(&m, old, new);
	if (!err)
		err = join(&m, &old_of);
	if (!err)
		err = pair_up(&m, old_of);
	if (!err)
		err = ma_match_finish(&m);
	if (err) {
		ma_match_deinit(&m);
		return err;
	}
	*ret = m;
	return NULL;
}
