// SPDX-License-Identifier: Apache-2.0
/* forward.h - the twin of the thread that holds the GIL runs on until it lets go of it: the safe point. Nothing it does
 * on the way is visible outside. */
#ifndef MA_FORWARD_H
#define MA_FORWARD_H

#include "gil.h"
#include "twin.h"

enum ma_forward_end {
	MA_FWD_SAFE,    /* the GIL is free: every Python structure is whole */
	MA_FWD_LOCK,    /* it waits for a lock of a thread that is not in the twin: take another twin */
	MA_FWD_SYSCALL, /* it asked for a system call that would be visible outside, with the GIL held */
	MA_FWD_TIMEOUT,
	MA_FWD_FAULT, /* a signal that no page of ours explains */
};

struct ma_forward_result {
	enum ma_forward_end end;
	long nr; /* the system call of SYSCALL and LOCK, and its arguments */
	uint64_t args[6];
	int signal; /* of FAULT */
	uint64_t ns;
	unsigned copied;      /* chunks of shared memory that it wrote to and got a private copy of */
	unsigned locks_taken; /* of threads that are not in the twin */
};

/* Runs the thread whose registers are `start` until it lets go of `gil`. Where it stands then is in w->th.saved.
 * Precondition: ma_twin_isolate() is done: all writable shared memory of the twin is read-only. `timeout_ns` is of the
 * twin's CPU time, and five times that on the clock. With `take_locks` a lock whose owner is not in the twin is freed
 * there instead of ending the run with MA_FWD_LOCK: for the last attempt. Returns an error only when the twin is gone
 * or `watch` gives one. */
MA_CHECK struct ma_error *ma_twin_forward(struct ma_twin *w, const struct ma_python *py, const struct ma_gil *gil,
					  const struct ma_regs *start, uint64_t timeout_ns, bool take_locks,
					  ma_watch watch, void *arg, struct ma_forward_result *ret);

#endif
