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
	ma_raddr interp;        /* whose GIL it is; the main interpreter's may be shared by others */
	uint64_t interp_id;
};

/* Interpreters that have a GIL of their own (3.12+) and run at this moment, the main one left out. */
#define MA_GILS_MAX 8
struct ma_gils {
	struct ma_gil v[MA_GILS_MAX];
	unsigned count;
	bool more; /* than MA_GILS_MAX */
};

/* Of the main interpreter's GIL in process `pid` (the stopped target or the twin). */
MA_CHECK struct ma_error *ma_gil_read(pid_t pid, const struct ma_python *py, struct ma_gil *ret);
/* Of all the others, in the same way. */
MA_CHECK struct ma_error *ma_gil_read_others(pid_t pid, const struct ma_python *py, const struct ma_gil *main_gil,
					     struct ma_gils *ret);
/* Of every interpreter, newest first; those that share a GIL have the same `addr`. The caller frees *ret. */
MA_CHECK struct ma_error *ma_gil_list(pid_t pid, const struct ma_python *py, struct ma_gil **ret, size_t *count_ret);
/* In the twin only: sets gil_drop_request and the eval breaker, as a waiting thread would (ceval_gil.c, take_gil). */
MA_CHECK struct ma_error *ma_gil_request(pid_t twin, const struct ma_python *py, const struct ma_gil *gil);
/* gil->locked as it is now in `pid`. */
MA_CHECK struct ma_error *ma_gil_locked(pid_t pid, const struct ma_python *py, const struct ma_gil *gil, bool *ret);

#endif
