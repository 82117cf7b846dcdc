// SPDX-License-Identifier: Apache-2.0
/* memattach/layout.h - where CPython's structures keep what we read, for one interpreter build.
 *
 * layout_fields.h lists every field once: from that one list come this struct, the DWARF look-up, the
 * header probe that makes the tables, the comparison of the sources and the validation. A field that a
 * version does not have is MA_ABSENT. Offsets come from an untrusted target: attach/python validates
 * them once, before anything uses them. Needs <stdint.h> only (the agent includes it).
 */
#ifndef MEMATTACH_LAYOUT_H
#define MEMATTACH_LAYOUT_H

#include <stdint.h>

#define MA_ABSENT (-1)

struct ma_layout {
	uint32_t version;     /* 0x030b07 = 3.11.7 */
	uint32_t minor;       /* 8 .. 15 */
	uint32_t debug_build; /* Py_DEBUG (3.8+: Py_REF_DEBUG; object header grows only under Py_TRACE_REFS) */
	uint32_t free_threaded;
	/* obmalloc geometry by version: arenas are 256 KiB of 4 KiB pools up to 3.9, 1 MiB of 16 KiB pools later
	 * (Objects/obmalloc.c, internal/pycore_obmalloc.h) */
	uint32_t arena_bytes, pool_bytes;
#define MA_FIELD(id, type, member, lo, hi) int32_t id;
#define MA_SIZE(id, type, lo, hi) int32_t id;
#include <memattach/layout_fields.h>
};

enum ma_known_type {
#define MA_KNOWN(id, symbol) MA_KT_##id,
#include <memattach/known_types.h>
#undef MA_KNOWN
	MA_KNOWN_COUNT
};

#endif
