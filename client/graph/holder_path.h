// SPDX-License-Identifier: Apache-2.0
/* holder_path.h - the way to an object as Python would write it, from the tree of shortest ways. */
#ifndef MA_HOLDER_PATH_H
#define MA_HOLDER_PATH_H

#include "tree.h"

struct ma_way {
	uint32_t node;
	uint64_t elements; /* entries of a dict, items, attributes */
	char *path;        /* "app.cache.items"; untrusted bytes, NUL-terminated */
};

/* Sets elements and path of `count` ways to different nodes; the caller frees them with ma_ways_deinit(), after an
 * error, too. The chunks that have the records are read again for the names of the edges; the whole file, where keys of
 * dicts have values. */
MA_CHECK struct ma_error *ma_ways_name(struct ma_graph *g, const struct ma_tree *t, struct ma_way *ways, size_t count);
/* The same for modules that are roots of the tree: path alone, and one pass at most. */
MA_CHECK struct ma_error *ma_ways_name_modules(struct ma_graph *g, const struct ma_tree *t, struct ma_way *ways,
					       size_t count);
void ma_ways_deinit(struct ma_way *ways, size_t count);

#endif
