// SPDX-License-Identifier: Apache-2.0
/* heap_internal.h - what the files of this folder share. */
#ifndef MA_HEAP_INTERNAL_H
#define MA_HEAP_INTERNAL_H

#include "heap.h"

#define MA_HEAP_WINDOW (256u << 10)

/* The memory of the process through a window: reads near the last one cost nothing. */
struct ma_window {
	pid_t pid;
	uint64_t start;
	size_t bytes;
	uint8_t *data; /* MA_HEAP_WINDOW */
	const struct ma_survey_job *job;
	uint64_t deadline; /* CLOCK_MONOTONIC in ns */
	unsigned reads;
	bool stopped;
};
/* A borrowed pointer to `bytes` (at most 4096) at addr, until the next call; NULL when they can not be read. */
const void *ma_window_at(struct ma_window *w, uint64_t addr, size_t bytes);
bool ma_window_u64(struct ma_window *w, uint64_t addr, uint64_t *ret);

struct ma_survey_state {
	const struct ma_survey_job *job;
	struct ma_survey *out;
	struct ma_window window; /* for walks in the order of addresses */
	struct ma_window spot;   /* for single words */
	size_t heaps_cap, spans_cap, zeros_cap;
	size_t hint;         /* of ma_runs_bytes */
	uint64_t zeros_read; /* bytes looked through for zeros */
	bool failed;         /* memory ran out */
};

/* Private memory without a file that may be written: where malloc gets its memory from. */
bool ma_is_anon(const struct ma_map *m);
struct ma_heap *ma_survey_add_heap(struct ma_survey_state *s);
void ma_survey_add_span(struct ma_survey_state *s, uint64_t start, uint64_t end, enum ma_malloc_span kind, uint64_t id);
uint64_t ma_survey_resident(struct ma_survey_state *s, uint64_t start, uint64_t end);

/* struct malloc_state (malloc/malloc.c): a lock, flags, up to 2.42 the fastbins, then top, last_remainder, 254 words of
 * bins, the bitmap of bins, next, next_free, attached_threads, system_mem, max_system_mem. Only the number of words
 * before `top` differs. */
struct ma_glibc {
	ma_raddr main_arena;
	uint64_t off_top, off_bins, off_next, bytes; /* of struct malloc_state */
	unsigned fastbins;                           /* words directly before off_top */
};

/* main_arena in the writable data of libc, by its shape. False when it is not there (musl, another allocator alone). */
bool ma_glibc_find(struct ma_survey_state *s, struct ma_glibc *ret);
/* Walks all heaps. */
void ma_glibc_walk(struct ma_survey_state *s, const struct ma_glibc *g);
/* Moves chunks in thread caches and fastbins from `used` to `cached`. */
void ma_glibc_cached(struct ma_survey_state *s, const struct ma_glibc *g);
/* The arenas: main_arena first. At most `max`; returns their number. */
size_t ma_glibc_arenas(struct ma_survey_state *s, const struct ma_glibc *g, ma_raddr *v, size_t max);
/* Stacks of threads that live. */
void ma_stacks_find(struct ma_survey_state *s);
/* In what nothing else named: mmapped chunks, frame stacks, stacks of threads that ended. */
void ma_pieces_probe(struct ma_survey_state *s);
/* Counts zeros in huge pages of [start, end), which is free or a stack. */
void ma_zeros_find(struct ma_survey_state *s, uint64_t start, uint64_t end);
/* The stack whose thread's control block (struct pthread) is at `tcb`; false when its size is not in it. */
bool ma_stack_of(struct ma_survey_state *s, uint64_t tcb, struct ma_run *ret);

#endif
