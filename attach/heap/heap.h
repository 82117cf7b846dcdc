// SPDX-License-Identifier: Apache-2.0
/* heap.h - what the anonymous memory of a frozen process is, read from outside: the heaps of glibc chunk by chunk, its
 * mmapped chunks, thread stacks, frame stacks of the interpreter. Nothing needs a symbol: everything is found by its
 * shape, every word read is checked, and what does not fit is left unnamed. */
#ifndef MA_HEAP_H
#define MA_HEAP_H

#include "runs.h"

#include <memattach/wire.h>

/* What malloc knows of a piece of memory. Resident bytes count only pages that are there. */
struct ma_heap_sum {
	uint64_t chunks, bytes, resident;
};

/* One heap: that of main_arena, or one of a thread arena (which may have several, of 64 MiB each at most). */
struct ma_heap {
	ma_raddr arena;      /* its struct malloc_state */
	ma_raddr start, end; /* all of it, with what could not be read and what is not resident */
	bool main;
	struct ma_heap_sum used;   /* in use, headers of chunks included */
	struct ma_heap_sum cached; /* freed, kept in a thread's cache or a fastbin: looks used to its neighbours */
	struct ma_heap_sum free;   /* in bins */
	struct ma_heap_sum top;    /* the rest behind the last chunk */
	uint64_t trimmable;        /* resident whole pages of `free` and `top`: malloc_trim(0) returns them */
	uint64_t unread;           /* resident bytes in which no chunks could be made out */
};

struct ma_span {
	ma_raddr start, end;
	uint32_t kind; /* enum ma_malloc_span */
	uint32_t reserved;
	uint64_t id; /* of a stack: its thread, 0 when that ended */
};

/* Huge pages in free memory: nobody asked for these bytes, the kernel gave them with their neighbours. */
struct ma_zeros {
	ma_raddr start, end; /* a free chunk, a stack, or memory that nothing named */
	uint64_t bytes;      /* of pages in it that are in huge pages and all zero */
};

struct ma_heap_thread {
	uint64_t tls; /* thread pointer */
	uint64_t tid;
};

struct ma_survey_job {
	pid_t pid; /* frozen; read by process_vm_readv */
	const struct ma_maps *maps;
	const struct ma_runs *runs, *huge;
	const struct ma_heap_thread *threads;
	size_t threads_count;
	const struct ma_run *arenas; /* of pymalloc, sorted: not looked at */
	size_t arenas_count;
	const struct ma_run
		*kept_out; /* sorted: not in the process; read from `live`, a thread of the one it is a copy of */
	size_t kept_out_count;
	pid_t live;
	bool (*give_up)(void *arg); /* asked now and then: true ends it early, with what was found; or NULL */
	void *arg;
};

struct ma_survey {
	struct ma_heap *heaps;
	size_t heaps_count;
	struct ma_span *spans; /* sorted by start, apart from each other and from the heaps */
	size_t spans_count;
	struct ma_zeros *zeros;
	size_t zeros_count;
	bool glibc; /* main_arena was found */
};

/* Only lack of memory is an error: what can not be read or made out is not in the answer. */
MA_CHECK struct ma_error *ma_survey_take(const struct ma_survey_job *job, struct ma_survey *ret);
void ma_survey_deinit(struct ma_survey *s);

#endif
