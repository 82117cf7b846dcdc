// SPDX-License-Identifier: Apache-2.0
/* runners.h - the threads that hold a GIL at the stop: one as a rule; from 3.12 on one for each interpreter with a GIL
 * of its own. The one thread of the twin stands in for each of them in turn: it has their stacks, and takes their
 * registers, until every GIL is free. So one copy gives all interpreters at a safe point, in one address space. */
#ifndef MA_RUNNERS_H
#define MA_RUNNERS_H

#include "forward.h"

#define MA_RUNNERS_MAX (MA_GILS_MAX + 1)

struct ma_runner {
	struct ma_fpregs fp; /* where it goes on, with regs */
	struct ma_gil gil;   /* locked */
	bool found;          /* the thread that holds it is known */
	bool is_origin;      /* the twin is a copy of it */
	bool done;
	struct ma_regs regs;
	struct ma_forward_result result;
};

struct ma_runners {
	struct ma_runner v[MA_RUNNERS_MAX]; /* the main interpreter's first, if it runs */
	unsigned count;
	bool more; /* run than there is room for */
};

/* In the stopped target. *th_ret: the thread to copy, the first runner's; NULL when none is known. */
MA_CHECK struct ma_error *ma_runners_find(struct ma_tracee *t, const struct ma_python *py, const struct ma_gil *gil,
					  struct ma_runners *ret, struct ma_thread **th_ret);

/* In the twin: each runs until it lets go of its GIL, or as far as it comes; result.end says which. One that waits for
 * a lock goes on when others have run. The rest as for ma_twin_forward(). */
MA_CHECK struct ma_error *ma_runners_forward(struct ma_twin *w, const struct ma_python *py, struct ma_runners *r,
					     uint64_t timeout_ns, bool take_locks, ma_watch watch, void *arg);

#endif
