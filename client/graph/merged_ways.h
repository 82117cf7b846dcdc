// SPDX-License-Identifier: Apache-2.0
/* merged_ways.h - the shortest ways to all objects of a type, those merged that go through the same holder and through
 * objects of the same types below it.
 *
 * A holder is an object by which at least 1/50 of all the ways go; below it only types count. So ten thousand entries
 * of one dict are one way, and what hangs on two dicts of the same class is two. */
#ifndef MA_MERGED_WAYS_H
#define MA_MERGED_WAYS_H

#include "holder_path.h"
#include "trees.h"

#define MA_MERGED_MAX 12

struct ma_merged {
	uint32_t holder;  /* node, or an enum ma_root where no object holds so many */
	uint32_t example; /* the object with the shortest of these ways */
	uint64_t count, bytes;
	uint64_t retained; /* by all of them together, except what lies below another object of the type */
	char *path;        /* with [*] for what differs below the holder, "app.cache[*]"; untrusted bytes */
};

struct ma_merged_ways {
	struct ma_merged ways[MA_MERGED_MAX]; /* most objects first */
	size_t ways_count;
	uint64_t others, others_count, others_bytes; /* ways that are left out, and their objects */
	uint64_t count, bytes, retained;             /* of all objects of the types */
	uint32_t example;                            /* the object with the shortest way of all */
};

/* `wanted` says for each type id whether it is asked for. 9 bytes an object while it runs. Nothing found: count is 0.
 */
MA_CHECK struct ma_error *ma_merged_ways_create(const struct ma_trees *t, const bool *wanted,
						struct ma_merged_ways *ret);
void ma_merged_ways_deinit(struct ma_merged_ways *m);

/* The nodes from the root to `node`, at most `room`, the last ones; returns how many. */
size_t ma_way_nodes(const struct ma_tree *t, uint32_t node, uint32_t *ret, size_t room);

#endif
