// SPDX-License-Identifier: Apache-2.0
#include "runners.h"

#include "cleanup.h"
#include "mem.h"

#include <linux/futex.h>

#define STACK_MAX (1ull << 30)
#define TSTATE_MAX 8192u
#define ROUNDS 4u /* each round at least one thread comes to its end, or no other round follows */

/* The thread on whose stack `addr` lies: the one whose stack pointer is the nearest below it. */
static struct ma_thread *by_stack(struct ma_tracee *t, ma_raddr addr)
{
	struct ma_thread *best = NULL;
	uint64_t nearest = STACK_MAX;
	for (size_t i = 0; i < t->count; i++) {
		struct ma_thread *th = &t->threads[i];
		if (!th->have_regs || th->gone)
			continue;
		uint64_t above = addr - ma_regs_sp(&th->saved);
		if (above < nearest) {
			nearest = above;
			best = th;
		}
	}
	return best;
}

/* The thread that holds a GIL. 3.12 runs an interpreter in whatever thread asks for it with the thread state of the one
 * that made it (_xxsubinterpretersmodule.c, _run_script_in_interpreter), so thread_id may name another; but cframe lies
 * on the stack of the thread that runs. */
static struct ma_thread *holder(struct ma_tracee *t, const struct ma_python *py, const struct ma_gil *gil)
{
	const struct ma_layout *l = &py->layout;
	ma_raddr cframe = 0;
	if (l->minor == 12 && l->tstate_cframe >= 0 && gil->holder)
		ma_error_free(ma_mem_read_u64(t->live, gil->holder + (uint64_t)l->tstate_cframe, &cframe));
	/* in the thread state itself: no Python code runs in it */
	bool root = cframe - gil->holder < TSTATE_MAX;
	struct ma_thread *th = cframe && !root ? by_stack(t, cframe) : NULL;
	return th ? th : ma_tracee_find_tls(t, gil->holder_thread);
}

static struct ma_error *add(struct ma_tracee *t, const struct ma_python *py, const struct ma_gil *gil,
			    struct ma_runners *ret, struct ma_thread **th_ret)
{
	struct ma_runner *r = &ret->v[ret->count++];
	struct ma_thread *th = holder(t, py, gil);
	r->gil = *gil;
	r->found = th != NULL;
	r->is_origin = th && !*th_ret;
	r->done = false;
	r->fp.bytes = 0;
	if (!th)
		return NULL;
	r->regs = th->saved;
	if (r->is_origin)
		*th_ret = th; /* the copy is born with all its registers */
	else
		MA_TRY(ma_fpregs_get(th->tid, &r->fp));
	return NULL;
}

struct ma_error *ma_runners_find(struct ma_tracee *t, const struct ma_python *py, const struct ma_gil *gil,
				 struct ma_runners *ret, struct ma_thread **th_ret)
{
	struct ma_gils others;
	*th_ret = NULL;
	ret->count = 0;
	MA_TRY(ma_gil_read_others(t->live, py, gil, &others));
	ret->more = others.more;
	if (gil->locked)
		MA_TRY(add(t, py, gil, ret, th_ret));
	for (unsigned i = 0; i < others.count; i++)
		MA_TRY(add(t, py, &others.v[i], ret, th_ret));
	return NULL;
}

/* The twin becomes thread `r`. */
static struct ma_error *step(struct ma_twin *w, const struct ma_python *py, struct ma_runner *r, uint64_t timeout_ns,
			     bool take_locks, ma_watch watch, void *arg)
{
	struct ma_forward_result result, *all = &r->result;
	MA_TRY(ma_fpregs_set(w->pid, &r->fp));
	MA_TRY(ma_twin_forward(w, py, &r->gil, &r->regs, timeout_ns, take_locks, watch, arg, &result));
	result.ns += all->ns;
	result.copied += all->copied;
	result.locks_taken += all->locks_taken;
	*all = result;
	r->regs = w->th.saved;
	return NULL;
}

/* May it go on later? Then at the same call, which looks at the lock again. */
static bool waits(struct ma_runner *r)
{
	unsigned op = (unsigned)r->result.args[1] & FUTEX_CMD_MASK;
	if (r->result.end != MA_FWD_LOCK || (op != FUTEX_WAIT && op != FUTEX_WAIT_BITSET))
		return false;
	struct ma_syscall again = { .nr = r->result.nr };
	for (unsigned i = 0; i < 6; i++)
		again.args[i] = r->result.args[i];
	ma_regs_prepare(&r->regs, ma_regs_pc(&r->regs) - ma_gadget_len, &again);
	return true;
}

struct ma_error *ma_runners_forward(struct ma_twin *w, const struct ma_python *py, struct ma_runners *r,
				    uint64_t timeout_ns, bool take_locks, ma_watch watch, void *arg)
{
	bool progress = true, waiting = true;
	for (unsigned i = 0; i < r->count; i++) {
		struct ma_runner *one = &r->v[i];
		one->result = (struct ma_forward_result){ 0 };
		if (one->is_origin)
			one->regs = w->origin; /* out of a restartable sequence, if it was in one */
		/* Where the thread was when it was stopped. A system call that was broken off is made again: it is then
		 * the first thing that is judged. */
		if (one->found && ma_regs_restarts(&one->regs))
			ma_regs_rewind(&one->regs);
	}
	for (unsigned round = 0; round < ROUNDS && progress && waiting; round++) {
		progress = waiting = false;
		for (unsigned i = 0; i < r->count; i++) {
			struct ma_runner *one = &r->v[i];
			if (!one->found || one->done)
				continue;
			/* Nobody takes a lock that another of them may still give back. */
			bool alone = take_locks && (r->count == 1 || round);
			MA_TRY(step(w, py, one, timeout_ns, alone, watch, arg));
			if (r->count > 1)
				MA_TRY(ma_fpregs_get(w->pid, &one->fp));
			one->done = r->count == 1 || !waits(one);
			progress |= one->done;
			waiting |= !one->done;
		}
		progress |= take_locks && round == 0;
	}
	/* Injected calls and the agent start from the thread that the twin is a copy of. */
	for (unsigned i = 0; i < r->count && r->count > 1; i++) {
		if (!r->v[i].is_origin)
			continue;
		MA_TRY(ma_fpregs_set(w->pid, &r->v[i].fp));
		w->th.saved = r->v[i].regs;
	}
	return NULL;
}
