// SPDX-License-Identifier: Apache-2.0
/* totals.h - counts and bytes: of all objects, by type, by place. One pass over the objects, constant memory. */
#ifndef MA_TOTALS_H
#define MA_TOTALS_H

#include <memattach/snapshot.h>

struct ma_type_total {
	const char *name; /* belongs to the snapshot; untrusted bytes */
	uint64_t count, bytes;
	uint64_t retained;                   /* by all objects of the name together; 0 until dominators.h was asked */
	uint64_t unreached, unreached_bytes; /* of these: found only in an arena or GC list */
	bool heap;                           /* has the flag MA_TF_HEAP and a module: a class */
};

struct ma_totals {
	const struct ma_snap_tables *tab;
	uint64_t objects, edges, bytes; /* edges as written: implied type edges not counted */
	uint64_t unreached, unreached_bytes;
	uint64_t own_bytes[4];                          /* by enum ma_place: size without buffers */
	uint64_t buffers_small, buffers, buffers_large; /* at most 512 bytes, at most 128 KiB, larger */
	uint64_t malloc_blocks, malloc_bytes; /* blocks and bytes that came from malloc, as far as they are known */
	uint64_t absent, large_absent; /* of own_bytes[MA_PLACE_MALLOC] and large_own: pages that were not resident */
	uint64_t large_own;            /* of own_bytes[MA_PLACE_MALLOC]: objects above 128 KiB */
	struct ma_type_total *by_id;   /* index = type id; [0] = definition lost */
	size_t by_id_count;
	struct ma_type_total *types; /* types of the same name together, most bytes first */
	size_t types_count;
};

/* The three steps of a caller that makes the pass itself: begin, add each object, finish. */
MA_CHECK struct ma_error *ma_totals_begin(struct ma_totals *t, const struct ma_snap *s);
void ma_totals_add(struct ma_totals *t, const struct ma_snap_object *o);
/* Adds what `from`, of the same snapshot and not finished, has. */
void ma_totals_merge(struct ma_totals *t, const struct ma_totals *from);
MA_CHECK struct ma_error *ma_totals_finish(struct ma_totals *t);
/* All of it, with a pass of its own (edges are counted, too). */
MA_CHECK struct ma_error *ma_totals_compute(const struct ma_snap *s, struct ma_totals *ret);
void ma_totals_deinit(struct ma_totals *t);

/* The name of type `id`, "<unknown type>" when its definition is lost. */
const char *ma_type_name(const struct ma_snap *s, uint32_t id);

#endif
