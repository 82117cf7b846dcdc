// SPDX-License-Identifier: Apache-2.0
/* side.h - one of the snapshots of a diff: its graph, the tree of shortest ways, and what each object holds. */
#ifndef MA_SIDE_H
#define MA_SIDE_H

#include "memory.h"
#include "modules.h"
#include "tree.h"

struct ma_side {
	const struct ma_snap *snap;
	struct ma_graph *graph; /* its books are closed */
	struct ma_memory memory;
	struct ma_tree tree;
	uint64_t *held;     /* by node: its bytes and those of all that hangs below it in the tree */
	uint64_t *retained; /* by node: what would be freed with it (dominators.h) */
	struct ma_modules modules;
};

/* `s` must stay open. 24 bytes an object and those of the graph. */
MA_CHECK struct ma_error *ma_side_create(const struct ma_snap *s, struct ma_side *ret);
void ma_side_deinit(struct ma_side *side);

#endif
