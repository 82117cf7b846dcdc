// SPDX-License-Identifier: Apache-2.0
#include "trees.h"

#include "cleanup.h"

#include <string.h>

static struct ma_error *build(const struct ma_snap *s, struct ma_trees *t)
{
	MA_TRY(ma_graph_create(s, true, &t->graph));
	MA_TRY(ma_dominators_create(t->graph, &t->dom)); /* first, since it takes most while it is made */
	MA_TRY(ma_dom_retained_by_type(t->graph, &t->dom));
	return ma_tree_create(t->graph, &t->tree);
}

struct ma_error *ma_trees_create(const struct ma_snap *s, struct ma_trees *ret)
{
	struct ma_trees t = { 0 };
	struct ma_error *err = build(s, &t);
	if (err) {
		ma_trees_deinit(&t);
		return err;
	}
	*ret = t;
	return NULL;
}

void ma_trees_deinit(struct ma_trees *t)
{
	ma_dominators_deinit(&t->dom);
	ma_tree_deinit(&t->tree);
	ma_graph_destroy(t->graph);
	memset(t, 0, sizeof(*t));
}
