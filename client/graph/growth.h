// SPDX-License-Identifier: Apache-2.0
/* growth.h - where memory was gained between two snapshots: the containers that explain it.
 *
 * What each pair gained alone (match.h) stands for itself when it is much, else it counts for the pair above. Many
 * elements of one container that all gained are that container; an element of a long chain is the chain's head. */
#ifndef MA_GROWTH_H
#define MA_GROWTH_H

#include "match.h"

struct ma_gained {        /* of one type */
	const char *type; /* belongs to a snapshot; untrusted bytes */
	int64_t count, bytes;
};

struct ma_growth {
	char *path;       /* as Python would write it; untrusted bytes */
	const char *type; /* belongs to the new snapshot; "" when it is no object */
	uint64_t addr;    /* 0 = no object */
	bool is_new;      /* it was not there before */
	uint64_t old_retained, new_retained;
	uint64_t elements;      /* now */
	int64_t bytes, objects; /* gained by it, without what other growth points gained */
	struct ma_gained *types;
	size_t types_count; /* most bytes gained first; losses at the end */
};

#define MA_GROWTH_MAX 32

struct ma_growths {
	struct ma_growth *points; /* most gained first, then those that lost, most lost last */
	size_t count;
	uint32_t *point_of; /* by pair: position of the point that has it, or UINT32_MAX */
};

MA_CHECK struct ma_error *ma_growths_create(const struct ma_match *m, struct ma_growths *ret);
void ma_growths_deinit(struct ma_growths *g);

#endif
