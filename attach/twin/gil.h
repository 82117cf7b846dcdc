// SPDX-License-Identifier: Apache-2.0
/* gil.h - who holds the GIL, and how to ask for it, by struct offsets only (3.8 to 3.15). */
#ifndef MA_GIL_H
#define MA_GIL_H

#include "python.h"

struct ma_gil {
	bool locked;
	ma_raddr addr;          /* struct _gil_runtime_state */
	ma_raddr holder;        /* its PyThreadState while locked, else 0 */
	uint64_t holder_thread; /* the holder's thread_id, equal to the thread pointer of its thread */
	bool others_run;        /* another interpreter with a GIL of its own runs at this moment */
};

/* Of the main interpreter's GIL in process `pid` (the stopped target or the twin). */
MA_CHECK struct ma_error *ma_gil_read(pid_t pid, const struct ma_python *py, struct ma_gil *ret);
/* In the twin only: sets gil_drop_request and the eval breaker, as a waiting thread would (ceval_gil.c, take_gil). */
MA_CHECK struct ma_error *ma_gil_request(pid_t twin, const struct ma_python *py, const struct ma_gil *gil);
/* gil->locked as it is now in `pid`. */
MA_CHECK struct ma_error *ma_gil_locked(pid_t pid, const struct ma_python *py, const struct ma_gil *gil, bool *ret);

#endif
