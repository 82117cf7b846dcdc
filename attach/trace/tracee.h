// SPDX-License-Identifier: Apache-2.0
/* tracee.h - the threads of one live process, stopped and let go again.
 *
 * Everything done to the target is on record in its struct ma_thread: seized, stopped, signals blocked,
 * registers changed, system call repaired. ma_tracee_release() is the one way back; it may be called at any
 * moment, half-built, twice, and on a target that died. The tracer must have SIGCHLD blocked.
 */
#ifndef MA_TRACEE_H
#define MA_TRACEE_H

#include "proc.h"
#include "regs.h"
#include "series.h"
#include "stop.h"

#include <memattach/error.h>
#include <memattach/types.h>

struct ma_tracee;

struct ma_thread {
	pid_t tid;
	struct ma_tracee *of; /* NULL: a twin */
	bool seized;          /* ours until release */
	bool stopped;         /* in a ptrace stop: registers can be read */
	bool gone;            /* exited */
	bool group_stop;      /* the process was stopped by a signal before we came */
	struct ma_regs saved; /* what the thread gets back */
	bool have_regs;
	bool regs_changed; /* the registers are not `saved` now */
	uint64_t mask;     /* signal mask it gets back */
	bool mask_changed;
	int pending_signal;  /* of a signal-delivery-stop, given back on release */
	uint64_t tls;        /* thread pointer, 0 if not read */
	long blocked_nr;     /* system call it was blocked in before the stop, -1 if none */
	uint64_t blocked_ns; /* for how long, 0 if not known */
};

/* What the tracer alone knows how to undo. It is told before it is done, so that another one can undo it should this
 * one be killed. A command that is stopped and has a full socket is not waited for: the target would stand still. */
struct ma_undo {
	uint64_t mask; /* of the thread `masked`, all of whose signals are blocked */
	pid_t masked;  /* 0 = none */
	pid_t twin;    /* a child of the target that is to be reaped, as we see it; 0 = none */
};
typedef void (*ma_undo_told)(void *arg, const struct ma_undo *undo);

struct ma_tracee {
	pid_t pid;
	int dir; /* /proc/PID */
	/* A thread that has the memory: the leader, or another one when the leader has ended (then /proc/PID/maps is
	 * empty and process_vm_readv of the leader fails, facts/ptrace.md 2b row 20). */
	pid_t live;
	int live_dir; /* /proc/PID/task/LIVE */
	int pidfd;    /* -1 on kernels that have none for it */
	uint64_t start_time;
	uint64_t program; /* changes with an exec */
	struct ma_thread *threads;
	size_t count, cap;
	bool suspend_seccomp;
	bool repair;             /* hide EINTR of calls that a stop breaks off; true as a rule */
	struct ma_series series; /* which calls were made again, in this run and the ones before */
	uint64_t interrupted_ns; /* CLOCK_MONOTONIC of the first interrupt of this stop */
	struct ma_undo undo;
	ma_undo_told told; /* hears of each change of `undo`; may be NULL */
	void *told_arg;
};

/* Opens the process, stops nothing. MA_ERR_TARGET_GONE when there is none. */
MA_CHECK struct ma_error *ma_tracee_open(pid_t pid, struct ma_tracee *ret);
void ma_tracee_close(struct ma_tracee *t); /* releases first */

/* Still the process and the program that was opened? MA_ERR_TARGET_GONE when it exited, was killed, ran another
 * program, or its number was used again. */
MA_CHECK struct ma_error *ma_tracee_verify(const struct ma_tracee *t);
/* What is wrong when a step failed: `err`, or that the target is gone if that is why. Takes err, NULL stays NULL. */
MA_CHECK struct ma_error *ma_tracee_explain(const struct ma_tracee *t, struct ma_error *err);

/* Seizes and stops every thread but the io_uring workers, until a pass over /proc/PID/task finds nothing new.
 * On an error all is released again. MA_ERR_TIMEOUT: a thread did not stop (uninterruptible sleep, vfork). */
MA_CHECK struct ma_error *ma_tracee_stop_all(struct ma_tracee *t, uint64_t timeout_ns);
/* The same for one thread only: the best one to make a system call in (not in a call that a stop would disturb). */
MA_CHECK struct ma_error *ma_tracee_stop_one(struct ma_tracee *t, uint64_t timeout_ns, struct ma_thread **ret);

/* Gives every thread its mask and registers back and lets it go. NULL when all of it is undone; a target that
 * died meanwhile counts as undone. */
MA_CHECK struct ma_error *ma_tracee_release(struct ma_tracee *t);

/* Gives one stopped thread its registers and signal mask back; it stays stopped. So that the death of the tracer in the
 * time until the release is harmless. */
MA_CHECK struct ma_error *ma_thread_restore(struct ma_thread *th);

void ma_tracee_tell(struct ma_tracee *t, struct ma_undo undo);
/* Gives the thread undo.masked its mask back, if its signals are all blocked still: the tracer that did so was killed.
 */
MA_CHECK struct ma_error *ma_tracee_unmask(struct ma_tracee *t, uint64_t timeout_ns);

struct ma_thread *ma_tracee_find_tls(struct ma_tracee *t, uint64_t tls); /* NULL if none */
/* A stopped thread that is best for an injected call: blocked in a system call rather than running, never one in a
 * restartable sequence if another is there. NULL if none is stopped. */
struct ma_thread *ma_tracee_pick(struct ma_tracee *t);

#endif
