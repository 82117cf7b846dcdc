// SPDX-License-Identifier: Apache-2.0
/* match.h - which object of one snapshot is which of another, and whose every object is.
 *
 * Of one process the same object has the same address and type, for CPython moves nothing. An address may be used anew,
 * so such an object has to hang on the same object as before, or still refer to half of what it referred to. Of
 * two processes it is the one with the same path and type. Only what holds some memory is matched: it makes a pair.
 * Every other object belongs to the pair next above it in its own snapshot's tree. What a pair has now less what it had
 * then is its growth, and no byte is in two of them. */
#ifndef MA_MATCH_H
#define MA_MATCH_H

#include "side.h"

#define MA_MATCH_NONE UINT32_MAX
#define MA_MATCH_ROOTS 5 /* the first pairs: one for each enum ma_root, from MODULE to LOST; they are no objects */

struct ma_pair {
	uint32_t node, old; /* MA_MATCH_NONE: it is new; of a pair of roots: both */
	uint32_t parent; /* position of the pair above in the new tree, smaller than its own; of a pair of roots NONE */
	uint64_t new_bytes, old_bytes, new_objects, old_objects; /* what belongs to it alone */
};

struct ma_match {
	const struct ma_side *old, *new;
	struct ma_pair *pairs; /* parents before children */
	size_t count;
	uint32_t *new_near, *old_near;   /* by node: position of its pair */
	uint32_t *new_names, *old_names; /* by type id: a number for each name, the same in both */
	uint32_t names_count;
	uint32_t *fresh, *gone; /* nodes that hold some memory and are in no pair; parents before children */
	size_t fresh_count, gone_count;
};

MA_CHECK struct ma_error *ma_match_by_address(const struct ma_side *old, const struct ma_side *new,
					      struct ma_match *ret);
MA_CHECK struct ma_error *ma_match_by_path(const struct ma_side *old, const struct ma_side *new, struct ma_match *ret);
void ma_match_deinit(struct ma_match *m);

/* What both kinds share: the arrays of an empty match with its pairs of roots; one more pair (its parent is filled in
 * by ma_match_finish); then whose each object is. */
MA_CHECK struct ma_error *ma_match_begin(struct ma_match *m, const struct ma_side *old, const struct ma_side *new);
MA_CHECK struct ma_error *ma_match_add(struct ma_match *m, uint32_t node, uint32_t old);
MA_CHECK struct ma_error *ma_match_finish(struct ma_match *m);
/* Least number of bytes that an object must hold to be matched. */
#define MA_MATCH_LEAST 4096u

#endif
