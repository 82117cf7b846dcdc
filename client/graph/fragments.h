// SPDX-License-Identifier: Apache-2.0
/* fragments.h - why memory does not come back: arenas of pymalloc that few objects keep alive, and whose they are. */
#ifndef MA_FRAGMENTS_H
#define MA_FRAGMENTS_H

#include "graph.h"

#define MA_PINS_MAX 5

struct ma_pin { /* a type whose objects lie in sparse arenas */
	uint32_t type_id;
	uint64_t objects, bytes;
	uint64_t arenas; /* sparse ones in which it has an object */
};

struct ma_fragments {
	uint64_t arenas;                 /* of pymalloc */
	uint64_t sparse;                 /* of these: touched by more than half, and less than a quarter in use */
	uint64_t sparse_free;            /* bytes of them that were touched and are free */
	uint64_t objects;                /* in sparse arenas */
	struct ma_pin pins[MA_PINS_MAX]; /* most objects first */
	size_t pins_count;
};

/* A pass over the objects in arenas in the order of addresses. Nothing in it without FILL fields in the file. */
MA_CHECK struct ma_error *ma_fragments_compute(const struct ma_graph *g, struct ma_fragments *ret);

#endif
