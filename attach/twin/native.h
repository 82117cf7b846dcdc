// SPDX-License-Identifier: Apache-2.0
/* native.h - native stacks of all threads of the target, from the registers they had at the stop and the memory of the
 * twin, which holds every stack as it was then. */
#ifndef MA_NATIVE_H
#define MA_NATIVE_H

#include "buffer.h"
#include "twin.h"

#include <memattach/attach.h>

/* Whole NATIVE blocks (header and payload) into `out`. Precondition: the twin has not run since its birth, so that
 * stacks and registers belong together. `threads` are the target's as they were at the stop. *incomplete_ret: threads
 * whose stack could not be followed to its end. */
MA_CHECK struct ma_error *ma_native_stacks(const struct ma_twin *w, const struct ma_thread *threads, size_t count,
					   ma_watch watch, void *arg, struct ma_buf *out, unsigned *incomplete_ret);

/* The blocks in the file `fd`, as ma_native_stacks() made them, to the sink. */
MA_CHECK struct ma_error *ma_native_emit(struct ma_sink *sink, int fd);

#endif
