// SPDX-License-Identifier: Apache-2.0
/* twin_memory.h - MALLOC blocks: what the anonymous memory of the twin is (heap.h), for the snapshot. */
#ifndef MA_TWIN_MEMORY_H
#define MA_TWIN_MEMORY_H

#include "heap.h"
#include "load.h"

#include <memattach/attach.h>

struct ma_twin_pages {
	struct ma_runs runs, huge;
	bool known;
};

/* Which pages are resident, before the twin runs or is read. An error means that it stays unknown. */
MA_CHECK struct ma_error *ma_twin_pages_read(const struct ma_twin *w, struct ma_twin_pages *ret);
void ma_twin_pages_deinit(struct ma_twin_pages *p);

/* A memfd with the twin's smaps: anonymous memory is equal to the kB to the target's, and reading it stops nobody. -1
 * when it can not be read. The caller closes *fd_ret. */
MA_CHECK struct ma_error *ma_twin_smaps(const struct ma_twin *w, int *fd_ret);

/* After the walk: a memfd with whole blocks of kind MALLOC, one after the other; -1 when there is nothing to say.
 * `threads`: of the target at the stop. The caller closes *fd_ret. `watch` is asked all the
 * while; its error ends the survey and is returned. */
MA_CHECK struct ma_error *ma_twin_memory(const struct ma_twin *w, const struct ma_loaded *l,
					 const struct ma_twin_pages *pages, const struct ma_thread *threads,
					 size_t threads_count, ma_watch watch, void *arg, int *fd_ret);

/* In the command: hands the blocks in `fd` to the sink. */
MA_CHECK struct ma_error *ma_twin_memory_emit(struct ma_sink *sink, int fd);

#endif
