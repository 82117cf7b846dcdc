// SPDX-License-Identifier: Apache-2.0
/* trees.h - a graph with its two trees, for questions about single objects or types. */
#ifndef MA_TREES_H
#define MA_TREES_H

#include "dominators.h"

struct ma_trees {               /* 32 bytes an object and 4 an edge */
	struct ma_graph *graph; /* its books are closed; totals have `retained` */
	struct ma_tree tree;
	struct ma_dominators dom;
};

/* `s` must stay open. */
MA_CHECK struct ma_error *ma_trees_create(const struct ma_snap *s, struct ma_trees *ret);
void ma_trees_deinit(struct ma_trees *t);
#define _cleanup_trees_ __attribute__((__cleanup__(ma_trees_deinit)))

#endif
