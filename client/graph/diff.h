// SPDX-License-Identifier: Apache-2.0
/* diff.h - what is different between two snapshots: types, rows of memory, and what grew. */
#ifndef MA_DIFF_H
#define MA_DIFF_H

#include "growth.h"
#include "memory.h"
#include "middle.h"

struct ma_diff_type {
	const char *name; /* belongs to a snapshot; untrusted bytes */
	uint64_t old_count, new_count, old_bytes, new_bytes;
};

struct ma_diff {
	const struct ma_snap *old_snap, *new_snap;
	bool same_process;          /* objects were matched by their addresses, else by their paths */
	bool same_program;          /* the same command line */
	int64_t elapsed_ns;         /* from old to new; below 0 when they are the wrong way round */
	struct ma_diff_type *types; /* most bytes gained first */
	size_t types_count;
	uint64_t old_objects, new_objects, old_bytes, new_bytes;
	struct ma_memory old_memory, new_memory;
	struct ma_growths growths;
	struct ma_middle middle; /* snap NULL: of two snapshots */
};

/* `middle`: one taken between the two, of the same process, or NULL; MA_ERR_USAGE when it is not. All must stay open.
 * 60 bytes an object of each while it runs. */
MA_CHECK struct ma_error *ma_diff_create(const struct ma_snap *old, const struct ma_snap *middle,
					 const struct ma_snap *new, struct ma_diff *ret);
void ma_diff_deinit(struct ma_diff *d);

#endif
