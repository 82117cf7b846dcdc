// SPDX-License-Identifier: Apache-2.0
#include "side.h"

#include "cleanup.h"
#include "dominators.h"
#include "saturate.h"

#include <stdlib.h>
#include <string.h>

static struct ma_error *sum_up(struct ma_side *side)
{
	uint32_t n = side->tree.count;
	side->held = malloc((n ? n : 1) * sizeof(*side->held));
	if (!side->held)
		return &ma_enomem;
	for (uint32_t i = 0; i < n; i++)
		side->held[i] = ma_graph_size(side->graph, i);
	for (uint32_t i = n; i-- > 0;) {
		uint32_t node = side->tree.order[i], parent = side->tree.parent[node];
		if (!MA_IS_ROOT(parent))
			side->held[parent] = add(side->held[parent], side->held[node]);
	}
	return NULL;
}

static struct ma_error *find_retained(struct ma_side *side)
{
	struct ma_dominators dom = { 0 };
	MA_TRY(ma_dominators_create(side->graph, &dom));
	side->retained = ma_take_ptr(dom.retained);
	ma_dominators_deinit(&dom);
	return NULL;
}

static struct ma_error *build(struct ma_side *side)
{
	struct ma_buffers buffers = { 0 };
	MA_TRY(ma_graph_create(side->snap, true, &side->graph));
	struct ma_error *err = ma_buffers_compute(side->snap, &buffers);
	if (!err)
		err = ma_memory_compute(side->snap, &side->graph->totals, &buffers, &side->memory);
	ma_buffers_deinit(&buffers);
	if (err)
		return err;
	MA_TRY(find_retained(side));
	MA_TRY(ma_tree_create(side->graph, &side->tree));
	const struct ma_trees trees = { .graph = side->graph, .tree = side->tree, .dom.retained = side->retained };
	MA_TRY(ma_modules_create(&trees, &side->modules));
	return sum_up(side);
}

struct ma_error *ma_side_create(const struct ma_snap *s, struct ma_side *ret)
{
	struct ma_side side = { .snap = s };
	struct ma_error *err = build(&side);
	if (err) {
		ma_side_deinit(&side);
		return err;
	}
	*ret = side;
	return NULL;
}

void ma_side_deinit(struct ma_side *side)
{
	ma_graph_destroy(side->graph);
	ma_tree_deinit(&side->tree);
	free(side->held);
	free(side->retained);
	ma_modules_deinit(&side->modules);
	memset(side, 0, sizeof(*side));
}
