// SPDX-License-Identifier: Apache-2.0
#include "graph.h"

#include "cleanup.h"
#include "graph_build.h"

#include <stdlib.h>
#include <string.h>

struct ma_error *ma_graph_create(const struct ma_snap *s, bool edges, struct ma_graph **ret)
{
	struct ma_graph *g = calloc(1, sizeof(*g));
	if (!g)
		return &ma_enomem;
	g->snap = s;
	g->with_edges = edges;
	struct ma_error *err = ma_graph_build(g, 0);
	if (err) {
		ma_graph_destroy(g);
		return err;
	}
	*ret = g;
	return NULL;
}

static void free_books(struct ma_graph *g)
{
	free(g->refcnt);
	free(g->found);
	free(g->guessed);
	free(g->interned);
	free(g->static_types);
	g->refcnt = g->found = g->guessed = g->interned = g->static_types = NULL;
	g->guessed_count = g->interned_count = g->static_types_count = 0;
}

void ma_graph_close_books(struct ma_graph *g)
{
	for (uint32_t i = 0; g->refcnt && i < g->count; i++)
		g->native[i / 64] |= (uint64_t)ma_graph_native(g, i) << i % 64;
	free_books(g);
}

void ma_graph_destroy(struct ma_graph *g)
{
	if (!g)
		return;
	free_books(g);
	ma_totals_deinit(&g->totals);
	ma_addr_index_deinit(&g->index);
	free(g->type);
	free(g->size);
	free(g->start);
	free(g->targets);
	free(g->chunk_edges);
	free(g->native);
	free(g->more);
	free(g->big);
	free(g->keys);
	free(g->modules);
	free(g);
}

uint64_t ma_graph_big_size(const struct ma_graph *g, uint32_t node)
{
	struct ma_graph_big key = { node, 0 };
	const struct ma_graph_big *b =
		g->big_count ? bsearch(&key, g->big, g->big_count, sizeof(key), ma_graph_big_by_node) : NULL;
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

bool ma_graph_elements(const struct ma_graph *g, uint32_t node, uint64_t *ret)
{
	uint64_t edges = 0, keys = 0;
	uint32_t dst;
	size_t lo = 0, hi = g->keys_count;
	struct ma_graph_iter it = ma_graph_edges(g, node);
	while (it.at != MA_GRAPH_NO_EDGES && ma_graph_next(&it, &dst)) /* the first record */
		edges++;
	if (edges < MA_GRAPH_LONG || g->unknown || !g->with_edges)
		return false;
	while (ma_graph_next(&it, &dst))
		edges++;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (g->keys[mid].node < node)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < g->keys_count && g->keys[lo].node == node; lo++)
		keys += g->keys[lo].keys;
	*ret = edges > keys ? edges - keys : keys;
	return true;
}
