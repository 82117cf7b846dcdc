// SPDX-License-Identifier: Apache-2.0
/* memory.h - every byte of resident memory has a row. The rules are in docs/json.md. */
#ifndef MA_MEMORY_H
#define MA_MEMORY_H

#include "totals.h"

/* The rows, in the order in which they are shown. MA_MEM(id, name in JSON and SQL, text in the report) */
#define MA_MEMORY_ROWS(MA_MEM)                                                      \
	MA_MEM(OBJECTS, "objects", "Python objects")                                \
	MA_MEM(BUFFERS, "buffers", "buffers they own")                              \
	MA_MEM(FREE_BLOCKS, "pymalloc_free_blocks", "pymalloc: free in used pools") \
	MA_MEM(FREE_POOLS, "pymalloc_free_pools", "pymalloc: free pools")           \
	MA_MEM(ARENA_SLACK, "arena_slack", "pymalloc: rounding and headers")        \
	MA_MEM(FREELISTS, "freelists", "free lists of the interpreter")             \
	MA_MEM(MALLOC_USED, "malloc_used", "malloc: other blocks in use")           \
	MA_MEM(MALLOC_FREE, "malloc_free", "malloc: free")                          \
	MA_MEM(STACKS, "stacks", "stacks")                                          \
	MA_MEM(CODE, "code", "code and libraries")                                  \
	MA_MEM(FILE, "file", "mapped files")                                        \
	MA_MEM(SHARED, "shared", "shared memory")                                   \
	MA_MEM(HUGE_WASTE, "huge_waste", "untouched parts of huge pages")           \
	MA_MEM(UNKNOWN, "unknown", "unnamed")

enum ma_memory_row {
#define MA_MEM(id, name, text) MA_MEM_##id,
	MA_MEMORY_ROWS(MA_MEM)
#undef MA_MEM
		MA_MEM_COUNT
};

struct ma_memory {
	uint64_t rss;                /* RssAnon + RssFile + RssShmem at the stop */
	uint64_t rows[MA_MEM_COUNT]; /* bytes; they add up to rss exactly */
};

MA_CHECK struct ma_error *ma_memory_compute(const struct ma_snap *s, const struct ma_totals *t, struct ma_memory *ret);
const char *ma_memory_name(enum ma_memory_row row);
const char *ma_memory_text(enum ma_memory_row row);

#endif
