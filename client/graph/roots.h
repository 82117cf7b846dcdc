// SPDX-License-Identifier: Apache-2.0
/* roots.h - what keeps objects alive from outside: all that is not held by other objects only. */
#ifndef MA_ROOTS_H
#define MA_ROOTS_H

#include "graph.h"

/* MA_ROOT_KIND(id, name in JSON and SQL) */
#define MA_ROOT_KINDS(MA_ROOT_KIND)                                                                                  \
	MA_ROOT_KIND(MODULE, "module")           /* a module, with its dict */                                       \
	MA_ROOT_KIND(FRAME, "frame")             /* a local of a running frame */                                    \
	MA_ROOT_KIND(INTERPRETER, "interpreter") /* of an interpreter or a thread */                                 \
	MA_ROOT_KIND(TYPE, "type")               /* a static type */                                                 \
	MA_ROOT_KIND(INTERNED, "interned")       /* a string in the table of interned ones, which does not own it */ \
	MA_ROOT_KIND(NATIVE, "native")           /* more references counted than found: held by native code */

enum ma_root_kind {
#define MA_ROOT_KIND(id, name) MA_ROOT_##id##_KIND,
	MA_ROOT_KINDS(MA_ROOT_KIND)
#undef MA_ROOT_KIND
		MA_ROOT_KIND_COUNT
};

struct ma_root_row {
	uint64_t addr, size;
	enum ma_root_kind kind;
	uint32_t type_id;
	uint32_t name_id;       /* of the local, or of what the interpreter calls it; 0 = none */
	uint32_t refcnt, found; /* refcnt 0 = immortal */
	uint32_t excess;        /* references counted that no object, frame or interpreter has */
};

struct ma_roots {
	struct ma_root_row *rows; /* by kind, then in the order of the file; an object may be a root in several ways */
	size_t count;
	size_t of_kind[MA_ROOT_KIND_COUNT];
};

/* The graph's books must be open. References that were guessed count as found, as in native_held.h. */
MA_CHECK struct ma_error *ma_roots_compute(struct ma_graph *g, struct ma_roots *ret);
void ma_roots_deinit(struct ma_roots *r);
const char *ma_root_kind_name(enum ma_root_kind kind);

#endif
