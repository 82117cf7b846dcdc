// SPDX-License-Identifier: Apache-2.0
/* memory.h - every byte of resident memory has a row. The rules are in docs/json.md. */
#ifndef MA_MEMORY_H
#define MA_MEMORY_H

#include "buffers.h"
#include "resident.h"
#include "totals.h"

/* The rows, in the order in which they are shown. MA_MEM(id, name in JSON and SQL, text in the report) */
#define MA_MEMORY_ROWS(MA_MEM)                                                      \
	MA_MEM(OBJECTS, "objects", "Python objects")                                \
	MA_MEM(BUFFERS, "buffers", "buffers they own")                              \
	MA_MEM(FREE_BLOCKS, "pymalloc_free_blocks", "pymalloc: free in used pools") \
	MA_MEM(FREE_POOLS, "pymalloc_free_pools", "pymalloc: free pools")           \
	MA_MEM(ARENA_SLACK, "arena_slack", "pymalloc: rounding and headers")        \
	MA_MEM(FREELISTS, "freelists", "free lists of the interpreter")             \
	MA_MEM(PYMALLOC_OTHER, "pymalloc_other", "pymalloc: other blocks in use")   \
	MA_MEM(MALLOC_USED, "malloc_used", "malloc: blocks of native code")         \
	MA_MEM(MALLOC_SLACK, "malloc_slack", "malloc: rounding and headers")        \
	MA_MEM(MALLOC_FREE, "malloc_free", "malloc: free")                          \
	MA_MEM(MALLOC_UNREAD, "malloc_unread", "malloc: used or free, not read")    \
	MA_MEM(STACKS, "stacks", "stacks")                                          \
	MA_MEM(CODE, "code", "code of Python and libraries")                        \
	MA_MEM(DATA, "data", "data of Python and libraries")                        \
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

struct ma_heap_totals { /* resident bytes in all heaps of glibc */
	uint64_t used, cached, free, top;
	uint64_t native;    /* of used: neither a Python object, nor a buffer of one, nor what goes with them */
	uint64_t trimmable; /* of free and top: malloc_trim(0) would return it */
	uint64_t used_chunks, arenas;
	uint64_t mmapped, mmapped_native, mmapped_chunks; /* blocks with a mapping of their own */
};

struct ma_memory {
	uint64_t rss;                /* RssAnon + RssFile + RssShmem at the stop */
	uint64_t rows[MA_MEM_COUNT]; /* bytes; they add up to rss exactly */
	const char *allocator;       /* "glibc", "jemalloc", ...; "" = not known */
	bool foreign;                /* it is not the libc's: MALLOC_UNREAD is its memory */
	struct ma_heap_totals heaps;
	struct ma_unknown unknown[MA_UNKNOWN_MAX]; /* where UNKNOWN is; pointers into the snapshot */
	size_t unknown_count;
};

/* `b`: where the buffers of extensions are. */
MA_CHECK struct ma_error *ma_memory_compute(const struct ma_snap *s, const struct ma_totals *t,
					    const struct ma_buffers *b, struct ma_memory *ret);
const char *ma_memory_name(enum ma_memory_row row);
const char *ma_memory_text(enum ma_memory_row row);
/* The same, with the name of the allocator where it is known: "jemalloc: used or free, not read". At most 64 bytes. */
const char *ma_memory_label(const struct ma_memory *m, enum ma_memory_row row, char buf[64]);

#endif
