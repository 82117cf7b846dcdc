// SPDX-License-Identifier: Apache-2.0
/* native_held.h - objects whose reference count exceeds the references found: held by native code. */
#ifndef MA_NATIVE_HELD_H
#define MA_NATIVE_HELD_H

#include "graph.h"

/* Objects of one type with one answer to who holds them. */
struct ma_native_held_row {
	const char *type;    /* belongs to the snapshot */
	const char *library; /* path of the library whose data has their address; NULL = not found. The snapshot's */
	uint64_t objects;
	uint64_t references; /* counted and not found */
};

struct ma_native_held {
	uint64_t objects, references;
	uint64_t located;                /* of objects: a word of a library's data was found */
	struct ma_native_held_row *rows; /* most references first */
	size_t rows_count;
};

/* The graph's books must be open. References that were guessed (MA_EDGE_GUESSED) count as found. */
MA_CHECK struct ma_error *ma_native_held_compute(const struct ma_graph *g, struct ma_native_held *ret);
void ma_native_held_deinit(struct ma_native_held *n);
/* References counted that are neither found nor guessed. */
uint32_t ma_native_excess(uint32_t refcnt, uint32_t found, uint32_t guessed);
/* The library that has address `addr` in its data, NULL if none: the path of its region or, with `bss`, of the one that
 * it is joined to. */
const char *ma_library_of(const struct ma_snap *s, uint64_t addr, bool bss);

#endif
