// SPDX-License-Identifier: Apache-2.0
#include "tracee.h"

#include "cleanup.h"
#include "fault_point.h"
#include "repair.h"
#include "wait.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#ifndef PTRACE_O_SUSPEND_SECCOMP
#define PTRACE_O_SUSPEND_SECCOMP (1 << 21)
#endif

#define PF_IO_WORKER 0x10u /* include/linux/sched.h: stopping one makes its request fail */
#define PF_EXITING 0x4u    /* it has no memory any more, or soon */
#define MAX_THREADS 65536u

/* Fields 26 to 28 of /proc/PID/stat (start of code, end of code, start of stack), which an exec changes and nothing
 * else. */
static struct ma_error *program_of(int dir, uint64_t *ret)
{
	_cleanup_free_ char *text = NULL;
	MA_TRY(ma_proc_read(dir, "stat", 4096, &text, NULL));
	const char *p = strrchr(text, ')');
	uint64_t hash = 0;
	for (int field = 2; p && field < 28; field++) {
		p = strchr(p + 1, ' ');
		if (p && field + 1 >= 26)
			hash = hash * 1099511628211u + strtoull(p + 1, NULL, 10);
	}
	*ret = hash;
	return NULL;
}

/* Since Linux 6.4; linux/ptrace.h */
#ifndef PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG
#define PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG 0x4211
#endif

/* The leader if it lives, else the first thread that does. */
static struct ma_error *find_live(struct ma_tracee *t)
{
	_cleanup_free_ pid_t *tids = NULL;
	size_t n = 0;
	MA_TRY(ma_tasks_read(t->dir, &tids, &n));
	for (size_t i = 0; i <= n; i++) {
		pid_t tid = i ? tids[i - 1] : t->pid;
		char path[48];
		struct ma_stat st;
		snprintf(path, sizeof(path), "task/%d", tid);
		_cleanup_close_ int dir = openat(t->dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		struct ma_error *err = dir >= 0 ? ma_stat_read(dir, &st) : ma_errorf(MA_ERR_TARGET_GONE, "gone");
		if (err || st.state == 'Z' || st.state == 'X') {
			ma_error_free(err);
			continue;
		}
		t->live = tid;
		t->live_dir = ma_take_fd(dir);
		return program_of(t->live_dir, &t->program);
	}
	return ma_errorf(MA_ERR_TARGET_GONE, "the process has exited and waits for its parent (zombie)");
}

/* There, but not in this /proc. */
static struct ma_error *hidden(pid_t pid)
{
	return ma_errorf(MA_ERR_PERMISSION,
			 "not permitted: it is there, but /proc hides it (mounted with hidepid, or of another pid "
			 "namespace); run as root: sudo memattach %d",
			 pid);
}

static bool ended(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	return pidfd < 0 || poll(&p, 1, 0) > 0;
}

struct ma_error *ma_tracee_open(pid_t pid, struct ma_tracee *ret)
{
	struct ma_tracee t = { .pid = pid, .dir = -1, .live_dir = -1, .pidfd = -1, .repair = true };
	char path[32];
	snprintf(path, sizeof(path), "/proc/%d", pid);
	/* The pidfd first: from here on a reused number is noticed (ma_tracee_verify). */
	t.pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (t.pidfd < 0 && errno == ESRCH)
		return ma_errorf(MA_ERR_TARGET_GONE, "no such process");
	t.dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t.dir < 0) {
		int e = errno;
		bool there = !ended(t.pidfd);
		ma_tracee_close(&t);
		if (there && (e == ENOENT || e == EPERM))
			return hidden(pid);
		return e == ENOENT ? ma_errorf(MA_ERR_TARGET_GONE, "no such process")
				   : ma_error_os(e, "cannot open %s", path);
	}
	struct ma_stat st;
	struct ma_error *err = ma_stat_read(t.dir, &st);
	if (err) {
		ma_tracee_close(&t);
		return err;
	}
	t.start_time = st.start_time;
	ma_series_load(pid, t.start_time, &t.series);
	err = find_live(&t);
	if (err) {
		ma_tracee_close(&t);
		return err;
	}
	*ret = t;
	return NULL;
}

void ma_tracee_close(struct ma_tracee *t)
{
	ma_error_free(ma_tracee_release(t));
	free(t->threads);
	if (t->dir >= 0)
		close(t->dir);
	if (t->live_dir >= 0)
		close(t->live_dir);
	if (t->pidfd >= 0)
		close(t->pidfd);
	*t = (struct ma_tracee){ .dir = -1, .live_dir = -1, .pidfd = -1 };
}

/* The kernel's words for a file of a process that is gone, in ours; other errors as they are. */
static struct ma_error *exited(struct ma_error *err)
{
	if (err && err->code != MA_ERR_TARGET_GONE)
		return err;
	ma_error_free(err);
	return ma_errorf(MA_ERR_TARGET_GONE, "the process exited");
}

struct ma_error *ma_tracee_verify(const struct ma_tracee *t)
{
	struct ma_stat st;
	uint64_t program;
	if (t->pidfd >= 0 && ended(t->pidfd))
		return exited(NULL);
	struct ma_error *err = ma_stat_read(t->dir, &st);
	if (err)
		return exited(err);
	if (st.start_time != t->start_time)
		return ma_errorf(MA_ERR_TARGET_GONE, "the process exited and its number was used again");
	err = ma_stat_read(t->live_dir, &st);
	if (err || st.state == 'Z' || st.state == 'X' || (st.flags & PF_EXITING))
		return exited(err);
	err = program_of(t->live_dir, &program);
	if (err)
		return exited(err);
	if (program != t->program)
		return ma_errorf(MA_ERR_TARGET_GONE, "the process exited or ran another program meanwhile");
	return NULL;
}

struct ma_error *ma_tracee_explain(const struct ma_tracee *t, struct ma_error *err)
{
	if (!err || err->code == MA_ERR_TARGET_GONE || err->code == MA_ERR_CANCELLED || t->dir < 0)
		return err;
	struct ma_error *why = ma_tracee_verify(t);
	if (!why || why->code != MA_ERR_TARGET_GONE) {
		ma_error_free(why);
		return err;
	}
	ma_error_free(err);
	return why;
}

static struct ma_thread *find(struct ma_tracee *t, pid_t tid)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->threads[i].tid == tid)
			return &t->threads[i];
	return NULL;
}

static struct ma_error *add(struct ma_tracee *t, pid_t tid, struct ma_thread **ret)
{
	if (t->count >= MAX_THREADS)
		return ma_errorf(MA_ERR_UNSUPPORTED, "more than %u threads", MAX_THREADS);
	if (t->count == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 64;
		struct ma_thread *v = realloc(t->threads, cap * sizeof(*v));
		if (!v)
			return &ma_enomem;
		t->threads = v;
		t->cap = cap;
	}
	struct ma_thread *th = &t->threads[t->count++];
	*th = (struct ma_thread){ .tid = tid, .of = t, .blocked_nr = -1 };
	*ret = th;
	return NULL;
}

static bool io_worker(const struct ma_tracee *t, pid_t tid)
{
	char path[48];
	snprintf(path, sizeof(path), "task/%d", tid);
	_cleanup_close_ int dir = openat(t->dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct ma_stat st;
	if (dir < 0)
		return false;
	struct ma_error *err = ma_stat_read(dir, &st);
	if (err) {
		ma_error_free(err);
		return false;
	}
	return (st.flags & PF_IO_WORKER) != 0;
}

/* Seizes one thread. A thread that is gone or a zombie leader is no error: *ret stays not seized. */
static struct ma_error *seize(struct ma_tracee *t, struct ma_thread *th)
{
	/* Never PTRACE_O_EXITKILL here: our death must not be the target's. */
	long options = PTRACE_O_TRACESYSGOOD;
	if (t->suspend_seccomp)
		options |= PTRACE_O_SUSPEND_SECCOMP;
	if (!ptrace(PTRACE_SEIZE, th->tid, 0, options)) {
		th->seized = true;
		return NULL;
	}
	int e = errno;
	if (e == ESRCH) {
		th->gone = true;
		return NULL;
	}
	char path[48];
	snprintf(path, sizeof(path), "task/%d", th->tid);
	_cleanup_close_ int dir = openat(t->dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct ma_stat st;
	struct ma_error *err = dir >= 0 ? ma_stat_read(dir, &st) : ma_errorf(MA_ERR_TARGET_GONE, "gone");
	if (err || st.state == 'Z' || st.state == 'X') { /* a zombie leader gives EPERM */
		ma_error_free(err);
		th->gone = true;
		return NULL;
	}
	return ma_diagnose_seize(t->dir, t->pid, e);
}

/* What a stop event means for a thread that is to be stopped. False: not stopped yet. */
static bool stopped_by(struct ma_thread *th, struct ma_stop stop)
{
	switch (stop.kind) {
	case MA_STOP_EXITED:
	case MA_STOP_KILLED:
		th->gone = true;
		th->seized = false;
		return true;
	case MA_STOP_GROUP:
		th->group_stop = true;
		th->stopped = true;
		return true;
	case MA_STOP_INTERRUPT:
		th->stopped = true;
		return true;
	case MA_STOP_SIGNAL:
		/* A signal came first: deliver it and stop behind it. */
		ptrace(PTRACE_CONT, th->tid, 0, stop.value);
		return false;
	case MA_STOP_SYSCALL:
	case MA_STOP_CLONE:
	case MA_STOP_EXEC:
	case MA_STOP_EVENT:
	case MA_STOP_OTHER:
		break;
	}
	ptrace(PTRACE_CONT, th->tid, 0, 0);
	return false;
}

/* Until each of `n` threads is stopped or gone. All are looked at in turn: a leader that was killed is reported only
 * after its threads were waited for. */
static struct ma_error *wait_stopped(struct ma_thread *v, size_t n, uint64_t deadline_ns)
{
	for (;;) {
		struct ma_thread *waiting = NULL;
		for (size_t i = 0; i < n; i++) {
			struct ma_thread *th = &v[i];
			struct ma_stop stop;
			while (th->seized && !th->stopped && !th->gone) {
				int got = ma_wait_tid(th->tid, 0, &stop);
				if (got < 0) {
					th->gone = true;
					th->seized = false;
				} else if (got == 0) {
					waiting = th;
					break;
				} else {
					stopped_by(th, stop);
				}
			}
		}
		if (!waiting)
			return NULL;
		if (ma_now_ns() >= deadline_ns)
			return ma_errorf(MA_ERR_TIMEOUT,
					 "thread %d did not stop in time (it waits in the kernel for a disk, a vfork "
					 "child or the like); try again",
					 waiting->tid);
		ma_wait_change(1000000);
	}
}

/* A thread that dispatches its system calls by itself (prctl PR_SET_SYSCALL_USER_DISPATCH, as Wine does): one that we
 * make there is a SIGSYS, which kills the process (tests/targets/dispatch.py). */
static bool dispatches(pid_t tid)
{
	struct {
		uint64_t mode, selector, offset, len;
	} conf = { 0 };
	return !ptrace((enum __ptrace_request)PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, tid, sizeof(conf), &conf) &&
	       conf.mode;
}

static struct ma_error *read_regs(struct ma_tracee *t, struct ma_thread *th)
{
	if (!th->stopped || th->gone || th->have_regs)
		return NULL;
	if (dispatches(th->tid))
		return ma_errorf(
			MA_ERR_UNSUPPORTED,
			"it dispatches its system calls by itself (PR_SET_SYSCALL_USER_DISPATCH, as Wine does): "
			"one made in it would end it");
	struct ma_error *err = ma_regs_get(th->tid, &th->saved);
	if (!err)
		err = ma_regs_tls(th->tid, &th->saved, &th->tls);
	if (err && err->code == MA_ERR_TARGET_GONE) { /* killed while stopped */
		ma_error_free(err);
		th->gone = true;
		return NULL;
	}
	if (err)
		return err;
	th->have_regs = true;
	if (t->repair && ma_repair_interrupted(t->dir, th, &t->series))
		th->regs_changed = true; /* `saved` is no longer what the thread has */
	return NULL;
}

static struct ma_error *stop_all(struct ma_tracee *t, uint64_t deadline_ns)
{
	for (;;) {
		_cleanup_free_ pid_t *tids = NULL;
		size_t n = 0, fresh = 0;
		MA_TRY(ma_tasks_read(t->dir, &tids, &n));
		for (size_t i = 0; i < n; i++) {
			if (find(t, tids[i]) || io_worker(t, tids[i]))
				continue;
			struct ma_thread *th = NULL;
			MA_TRY(add(t, tids[i], &th));
			if (!t->interrupted_ns)
				ma_repair_observe(t->dir, th); /* nothing is stopped yet: this costs no pause */
			MA_TRY(seize(t, th));
			ma_fault_point(THREAD_SEIZED);
			fresh++;
		}
		if (!fresh)
			break;
		if (!t->interrupted_ns)
			t->interrupted_ns = ma_now_ns();
		for (size_t i = 0; i < t->count; i++) {
			struct ma_thread *th = &t->threads[i];
			if (th->seized && !th->stopped && ptrace(PTRACE_INTERRUPT, th->tid, 0, 0) && errno == ESRCH)
				th->gone = true;
		}
		ma_fault_point(THREADS_INTERRUPTED);
		MA_TRY(wait_stopped(t->threads, t->count, deadline_ns));
	}
	ma_fault_point(THREADS_STOPPED);
	size_t stopped = 0;
	for (size_t i = 0; i < t->count; i++) {
		MA_TRY(read_regs(t, &t->threads[i]));
		stopped += t->threads[i].stopped && !t->threads[i].gone;
	}
	ma_fault_point(REGISTERS_SAVED);
	if (!stopped)
		return ma_errorf(MA_ERR_TARGET_GONE, "the process exited");
	return ma_tracee_verify(t);
}

struct ma_error *ma_tracee_stop_all(struct ma_tracee *t, uint64_t timeout_ns)
{
	t->interrupted_ns = 0;
	struct ma_error *err = stop_all(t, ma_now_ns() + timeout_ns);
	if (err)
		ma_error_free(ma_tracee_release(t));
	return ma_tracee_explain(t, err);
}

struct ma_error *ma_tracee_stop_one(struct ma_tracee *t, uint64_t timeout_ns, struct ma_thread **ret)
{
	uint64_t deadline_ns = ma_now_ns() + timeout_ns;
	struct ma_error *last = NULL;
	_cleanup_free_ pid_t *tids = NULL;
	size_t n = 0;
	t->interrupted_ns = 0;
	MA_TRY(ma_tasks_read(t->dir, &tids, &n));
	/* First the threads whose system call does not mind being broken off, then the rest. */
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < n; i++) {
			struct ma_thread probe = { .tid = tids[i], .of = t, .blocked_nr = -1 };
			ma_repair_observe(t->dir, &probe);
			if (ma_repair_disturbs(probe.blocked_nr) != (pass == 1) || io_worker(t, tids[i]))
				continue;
			ma_error_free(ma_tracee_release(t));
			struct ma_thread *th = NULL;
			ma_error_free(last);
			last = add(t, tids[i], &th);
			if (last)
				return last;
			*th = probe;
			last = seize(t, th);
			if (last)
				return last;
			if (!th->seized)
				continue;
			t->interrupted_ns = ma_now_ns();
			uint64_t slice = ma_now_ns() + timeout_ns / 4;
			if (!ptrace(PTRACE_INTERRUPT, th->tid, 0, 0))
				last = wait_stopped(th, 1, slice < deadline_ns ? slice : deadline_ns);
			if (!last && th->stopped)
				last = read_regs(t, th);
			/* It may have run another program since the caller looked at it. */
			if (!last && th->stopped)
				last = ma_tracee_verify(t);
			if (last && last->code == MA_ERR_TARGET_GONE) {
				ma_error_free(ma_tracee_release(t));
				return last;
			}
			if (!last && th->stopped && !th->gone) {
				*ret = th;
				return NULL;
			}
			if (ma_now_ns() > deadline_ns)
				break;
		}
	}
	ma_error_free(ma_tracee_release(t));
	return last ? last : ma_errorf(MA_ERR_TARGET_GONE, "the process exited");
}

struct ma_error *ma_thread_restore(struct ma_thread *th)
{
	struct ma_error *err = NULL;
	if (th->mask_changed && ptrace(PTRACE_SETSIGMASK, th->tid, sizeof(th->mask), &th->mask) && errno != ESRCH)
		err = ma_error_os(errno, "cannot give thread %d its signal mask back", th->tid);
	else
		th->mask_changed = false;
	if (th->regs_changed && th->have_regs) {
		struct ma_error *e = ma_regs_set(th->tid, &th->saved);
		if (!e)
			th->regs_changed = false;
		if (e && e->code != MA_ERR_TARGET_GONE && !err)
			return e;
		ma_error_free(e);
	}
	return err;
}

static void release_thread(struct ma_thread *th, struct ma_error **err)
{
	if (!th->seized || th->gone)
		return;
	if (!th->stopped)
		return; /* can not be detached; the kernel lets go of it when the tracer ends */
	struct ma_error *e = ma_thread_restore(th);
	if (*err)
		ma_error_free(e);
	else
		*err = e;
	/* Directly from whatever stop it is in: a thread continued from a syscall-exit-stop shows the program
	 * errno 512..516, one detached does not (facts/ptrace.md 2a row 1). */
	if (ptrace(PTRACE_DETACH, th->tid, 0, th->pending_signal) && errno != ESRCH && !*err)
		*err = ma_error_os(errno, "cannot detach from thread %d", th->tid);
	th->seized = th->stopped = false;
	ma_fault_point(THREAD_DETACHED);
}

struct ma_error *ma_tracee_release(struct ma_tracee *t)
{
	struct ma_error *err = NULL;
	for (size_t i = 0; i < t->count; i++)
		release_thread(&t->threads[i], &err);
	t->count = 0;
	if (t->undo.masked)
		ma_tracee_tell(t, (struct ma_undo){ .twin = t->undo.twin });
	ma_series_store(&t->series); /* after the last detach: it costs the target nothing */
	return err;
}

void ma_tracee_tell(struct ma_tracee *t, struct ma_undo undo)
{
	t->undo = undo;
	if (t->told)
		t->told(t->told_arg, &undo);
}

/* Still as ma_thread_block_signals() left it? SIGKILL and SIGSTOP can not be blocked. */
static bool all_blocked(pid_t tid)
{
	uint64_t mask = 0, never = 1ull << (SIGKILL - 1) | 1ull << (SIGSTOP - 1);
	return !ptrace(PTRACE_GETSIGMASK, tid, sizeof(mask), &mask) && (mask | never) == ~0ull;
}

struct ma_error *ma_tracee_unmask(struct ma_tracee *t, uint64_t timeout_ns)
{
	struct ma_thread *th;
	if (!t->undo.masked)
		return NULL;
	MA_TRY(add(t, t->undo.masked, &th));
	struct ma_error *err = seize(t, th);
	if (!err && th->seized && !ptrace(PTRACE_INTERRUPT, th->tid, 0, 0))
		err = wait_stopped(th, 1, ma_now_ns() + timeout_ns);
	if (!err)
		err = read_regs(t, th);
	if (!err && th->stopped && !th->gone && all_blocked(th->tid)) {
		th->mask = t->undo.mask;
		th->mask_changed = true;
	}
	struct ma_error *undo = ma_tracee_release(t);
	if (err)
		ma_error_free(undo);
	return err ? err : undo;
}

struct ma_thread *ma_tracee_find_tls(struct ma_tracee *t, uint64_t tls)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->threads[i].have_regs && !t->threads[i].gone && t->threads[i].tls == tls)
			return &t->threads[i];
	return NULL;
}

struct ma_thread *ma_tracee_pick(struct ma_tracee *t)
{
	struct ma_thread *running = NULL;
	for (size_t i = 0; i < t->count; i++) {
		struct ma_thread *th = &t->threads[i];
		uint64_t args[6];
		if (!th->have_regs || th->gone || !th->stopped)
			continue;
		if (ma_regs_syscall(&th->saved, args) >= 0)
			return th;
		if (!running)
			running = th;
	}
	return running;
}
