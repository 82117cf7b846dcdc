// SPDX-License-Identifier: Apache-2.0
/* memattach/diff.h - what is different between two snapshots: types, rows of memory, and what grew.
 *
 * All names and paths are untrusted bytes of the target. Nothing is shared between two diffs, so threads may make
 * them at the same time. */
#ifndef MEMATTACH_DIFF_H
#define MEMATTACH_DIFF_H

#include <memattach/snapshot.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default) /* what libmemattach.so exports */

struct ma_diff_type {
	const char *name; /* belongs to a snapshot */
	uint64_t old_count, new_count, old_bytes, new_bytes;
};

struct ma_diff_memory {
	const char *name; /* as in docs/json.md */
	char text[64];    /* for people */
	uint64_t old_bytes, new_bytes;
};

struct ma_diff_module { /* modules of the same name together */
	char *name;
	uint64_t old_retained, new_retained;   /* what would be freed with it */
	uint64_t old_instances, new_instances; /* of its classes, wherever they are held */
	uint64_t old_bytes, new_bytes;         /* of these */
};

struct ma_gained {        /* of one type */
	const char *type; /* belongs to a snapshot */
	int64_t count, bytes;
};

struct ma_growth {
	char *path;       /* as Python would write it */
	const char *type; /* belongs to the new snapshot; "" when it is no object */
	uint64_t addr;    /* 0 = no object */
	bool is_new;      /* it was not there before */
	uint64_t old_retained, new_retained;
	uint64_t elements;      /* now */
	int64_t bytes, objects; /* gained by it, without what other growth points gained */
	struct ma_gained *types;
	size_t types_count; /* most bytes gained first; losses at the end */
};

struct ma_growths {
	struct ma_growth *points; /* most gained first, then those that lost, most lost last */
	size_t count;
	uint32_t *point_of; /* for the library alone */
};

/* Where memory was allocated, where tracemalloc was on. */
struct ma_diff_site {
	struct ma_str file;    /* belongs to a snapshot; empty: it is not known where */
	uint32_t line;         /* 0 = not known */
	uint64_t old_count, new_count, old_bytes, new_bytes; /* blocks of memory, as they were asked for */
};

struct ma_diff_allocated { /* of a growth point */
	size_t site; /* position + 1 in `rows` of the line whose objects gained most of its bytes; 0 = not known */
	int64_t count, bytes; /* gained by these objects */
};

struct ma_diff_sites {
	bool both; /* tracemalloc was on both times: else old_count and old_bytes say nothing */
	struct ma_diff_site *rows; /* most bytes gained first; none: it was off when the new one was taken */
	size_t count;
	struct ma_diff_allocated *of_growth; /* one for each growth point; NULL without rows */
};

/* Of each growth point, with a third snapshot. */
struct ma_trend {
	bool known;              /* it was there at the same address in the middle */
	bool steady;             /* it gained in both spans, and in none more than twice as fast as in the other */
	int64_t first, second;   /* bytes held that it gained up to the middle, and after it */
	uint64_t objects, bytes; /* of what it gained: born up to the middle, alive at the end */
};

struct ma_middle {
	const struct ma_snap *snap;  /* NULL: of two snapshots */
	int64_t first_ns, second_ns; /* how long the spans were */
	struct ma_trend *trends;     /* one for each growth point */
	struct ma_gained *survivors; /* of all objects, born up to the middle and alive at the end; most bytes first */
	size_t survivors_count;
	uint64_t objects, bytes; /* of these */
};

struct ma_diff {
	const struct ma_snap *old_snap, *new_snap;
	bool same_process;          /* objects were matched by their addresses, else by their paths */
	bool same_program;          /* the same command line */
	int64_t elapsed_ns;         /* from old to new; below 0 when they are the wrong way round */
	struct ma_diff_type *types; /* most bytes gained first */
	size_t types_count;
	uint64_t old_objects, new_objects, old_bytes, new_bytes;
	uint64_t old_rss, new_rss;
	struct ma_diff_memory *memory; /* always all rows, in their order; each side adds up to its rss */
	size_t memory_count;
	struct ma_diff_module *modules; /* most retained bytes gained first */
	size_t modules_count;
	struct ma_growths growths;
	struct ma_diff_sites sites;
	struct ma_middle middle;
};

/* `middle`: one taken between the two, of the same process, or NULL; MA_ERR_USAGE when it is not. All must stay open as
 * long as the diff lives. 60 bytes an object of each while it runs. */
MA_CHECK struct ma_error *ma_diff_create(const struct ma_snap *old_snap, const struct ma_snap *middle,
					 const struct ma_snap *new_snap, struct ma_diff *ret);
void ma_diff_deinit(struct ma_diff *d);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
