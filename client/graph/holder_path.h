// SPDX-License-Identifier: Apache-2.0
/* holder_path.h - the way to a holder as Python would write it, from the tree of shortest ways. */
#ifndef MA_HOLDER_PATH_H
#define MA_HOLDER_PATH_H

#include "holders.h"
#include "tree.h"

/* Sets path and elements of `count` holders at `nodes`. One pass over the file, for the names of the edges. */
MA_CHECK struct ma_error *ma_holder_paths(struct ma_graph *g, const struct ma_tree *t, const uint32_t *nodes,
					  struct ma_holder *holders, size_t count);

#endif
