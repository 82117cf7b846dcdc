// SPDX-License-Identifier: Apache-2.0
#include "places.h"

#include "cleanup.h"

#include <stdlib.h>
#include <string.h>

struct ma_error *ma_places_create(const struct ma_graph *g, struct ma_places *ret)
{
	size_t chunks = ma_snap_chunks(g->snap);
	uint8_t *wanted = calloc(chunks + 1, sizeof(*wanted));
	if (!wanted)
		return &ma_enomem;
	memset(wanted, !g->with_edges || g->unknown, chunks);
	*ret = (struct ma_places){ g, wanted };
	return NULL;
}

void ma_places_deinit(struct ma_places *p)
{
	free(p->wanted);
	p->wanted = NULL;
}

/* The run that begins at this place of targets: the last chunk with so few edges before it. */
static void add_run(struct ma_places *p, uint32_t start)
{
	size_t lo = 0, hi = ma_snap_chunks(p->g->snap);
	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;
		if (p->g->chunk_edges[mid] <= start)
			lo = mid;
		else
			hi = mid;
	}
	p->wanted[lo] = 1;
}

static bool run_has(const struct ma_graph *g, uint32_t at, uint32_t dst)
{
	while (!(g->targets[at] & MA_GRAPH_LAST) && g->targets[at] != dst)
		at++;
	return (g->targets[at] & ~MA_GRAPH_LAST) == dst;
}

/* MA_NO_INDEX as dst: all runs. */
void ma_places_add_edge(struct ma_places *p, uint32_t node, uint32_t dst)
{
	if (node == MA_NO_INDEX)
		return;
	struct ma_graph_iter it = ma_graph_edges(p->g, node);
	while (it.at != MA_GRAPH_NO_EDGES) {
		if (dst == MA_NO_INDEX || run_has(p->g, it.at, dst))
			add_run(p, it.at);
		it.at = MA_GRAPH_NO_EDGES;
		if (it.more == SIZE_MAX || !ma_graph_next_run(&it))
			break;
	}
}

void ma_places_add(struct ma_places *p, uint32_t node)
{
	ma_places_add_edge(p, node, MA_NO_INDEX);
}

void ma_places_add_referrers(struct ma_places *p, const uint64_t *bits)
{
	const struct ma_graph *g = p->g;
	for (size_t c = 0; c < ma_snap_chunks(g->snap); c++) {
		for (uint32_t e = g->chunk_edges[c]; e < g->chunk_edges[c + 1] && !p->wanted[c]; e++) {
			uint32_t dst = g->targets[e] & ~MA_GRAPH_LAST;
			p->wanted[c] = bits[dst / 64] >> dst % 64 & 1;
		}
	}
}
