// SPDX-License-Identifier: Apache-2.0
#include "twin.h"

#include "cleanup.h"
#include "fault_point.h"
#include "mem.h"
#include "wait.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#define CLOSE_RANGE_UNSHARE_FLAG 2u /* linux/close_range.h */
#ifndef PTRACE_O_SUSPEND_SECCOMP
#define PTRACE_O_SUSPEND_SECCOMP (1 << 21)
#endif

static struct ma_error *call(struct ma_twin *w, long *result, long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
			     uint64_t e, uint64_t f)
{
	struct ma_syscall sc = { nr, { a, b, c, d, e, f } };
	return ma_remote_call(&w->th, w->gadget, &sc, result, NULL);
}

struct ma_error *ma_twin_call(struct ma_twin *w, const char *what, long *result, long nr, uint64_t a, uint64_t b,
			      uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
	long value;
	MA_TRY(call(w, &value, nr, a, b, c, d, e, f));
	if (value < 0 && value > -4096)
		return ma_error_os((int)-value, "%s failed in the twin", what);
	if (result)
		*result = value;
	return NULL;
}

static struct ma_error *refused(long result)
{
	switch (-result) {
	case EAGAIN:
		return ma_errorf(MA_ERR_UNSUPPORTED, "it can not fork now: a limit on processes is reached (pids "
						     "cgroup or RLIMIT_NPROC); raise it" MA_STOP_HINT);
	case ENOMEM:
		return ma_errorf(MA_ERR_UNSUPPORTED,
				 "it can not fork now: not enough memory for the page tables of a copy" MA_STOP_HINT);
	case EPERM:
	case ENOSYS:
	case EACCES:
		return ma_errorf(MA_ERR_UNSUPPORTED,
				 "it may not fork: clone is refused, by seccomp or a security module (%s)" MA_STOP_HINT,
				 strerror((int)-result));
	default:
		return ma_error_os((int)-result, "clone failed in the target");
	}
}

/* No second copy of a descriptor may ever exist (a held pipe or port would be visible outside), and the target's table
 * must stay whole: close_range with CLOSE_RANGE_UNSHARE does both in one call. When it is refused nothing is closed. */
static struct ma_error *leave_descriptors(struct ma_twin *w)
{
	long result;
	MA_TRY(call(w, &result, SYS_close_range, 0, ~0u, CLOSE_RANGE_UNSHARE_FLAG, 0, 0, 0));
	if (result >= 0)
		return NULL;
	int e = (int)-result;
	MA_TRY(call(w, &result, SYS_unshare, CLONE_FILES, 0, 0, 0, 0, 0));
	if (result >= 0)
		return NULL;
	return ma_errorf(MA_ERR_UNSUPPORTED,
			 "its copy can not leave the shared descriptors: close_range and unshare are refused (%s, %s)",
			 strerror(e), strerror((int)-result));
}

/* With equal scores the kernel killed the target, not the twin (facts/ptrace.md 2c row 27). Best effort: /proc may not
 * be mounted there. */
static struct ma_error *offer_to_oom_killer(struct ma_twin *w)
{
	static const char path[] = "/proc/self/oom_score_adj", score[] = "1000";
	long fd, n;
	MA_TRY(ma_mem_write(w->pid, w->page, path, sizeof(path)));
	MA_TRY(ma_mem_write(w->pid, w->page + 128, score, sizeof(score)));
	MA_TRY(call(w, &fd, SYS_openat, (uint64_t)AT_FDCWD, w->page, O_WRONLY | O_CLOEXEC, 0, 0, 0));
	if (fd < 0)
		return NULL;
	MA_TRY(call(w, &n, SYS_write, (uint64_t)fd, w->page + 128, sizeof(score) - 1, 0, 0, 0));
	return call(w, &n, SYS_close, (uint64_t)fd, 0, 0, 0, 0, 0);
}

static struct ma_error *prepare(struct ma_twin *w, const struct ma_tracee *t, const struct ma_raw *raw)
{
	static const char name[] = MA_TWIN_NAME;
	long page;
	/* From here on our death is the twin's death; never the target's. */
	long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL | (t->suspend_seccomp ? PTRACE_O_SUSPEND_SECCOMP : 0);
	if (ptrace(PTRACE_SETOPTIONS, w->pid, 0, options))
		return ma_error_os(errno, "cannot set the options of the twin");
	ma_fault_point(TWIN_BOUND);
	MA_TRY(ma_regs_get(w->pid, &w->th.saved));
	w->th.have_regs = true;
	MA_TRY(leave_descriptors(w));
	ma_fault_point(TWIN_LEFT_DESCRIPTORS);
	MA_TRY(ma_fill_reserve(w, raw, t->live, t->live_dir));
	MA_TRY(ma_twin_call(w, "mmap", &page, SYS_mmap, 0, MA_TWIN_PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1, 0));
	w->page = (ma_raddr)page;
	/* Its name first: if the tracer is killed from here on, the next run finds the zombie by it. */
	MA_TRY(ma_mem_write(w->pid, w->page, name, sizeof(name)));
	MA_TRY(call(w, &page, SYS_prctl, PR_SET_NAME, w->page, 0, 0, 0, 0));
	ma_fault_point(TWIN_NAMED);
	return offer_to_oom_killer(w);
}

/* From the first changed register to the last one given back. *child stays 0 when there is none. */
static struct ma_error *clone_thread(struct ma_tracee *t, struct ma_thread *th, ma_raddr gadget, long *result,
				     pid_t *child)
{
	long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
		       (t->suspend_seccomp ? PTRACE_O_SUSPEND_SECCOMP : 0);
	struct ma_syscall clone_call = { SYS_clone, { CLONE_FILES, MA_NO_STACK, 0, 0, 0, 0 } };

	MA_TRY(ma_thread_block_signals(th));
	ma_fault_point(SIGNALS_BLOCKED);
	if (ptrace(PTRACE_SETOPTIONS, th->tid, 0, options))
		return ma_error_os(errno, "cannot set the options of thread %d", th->tid);
	MA_TRY(ma_remote_call(th, gadget, &clone_call, result, child));
	/* before it is given back what was told of: a twin that nobody knows of would stay as a zombie */
	ma_tracee_tell(t, (struct ma_undo){ .mask = th->mask, .masked = th->tid, .twin = *child });
	/* At once: from here on the death of the tracer leaves the target as it was, whatever is still to be done. */
	struct ma_error *undo = ma_thread_restore(th);
	ma_fault_point(REGISTERS_RESTORED);
	ma_error_free(undo); /* the release tries again, and says so */
	return NULL;
}

/* The clone, with raw data kept out of it. What can not be kept out is copied. */
static struct ma_error *clone_without(struct ma_tracee *t, struct ma_thread *th, ma_raddr gadget, struct ma_raw *raw,
				      long *result, pid_t *child)
{
	struct ma_error *failed = ma_raw_keep_out(t, th, gadget, raw);
	if (failed) {
		ma_error_free(failed);
		failed = ma_raw_give_back(th, gadget, raw);
		if (failed)
			return failed;
		raw->count = 0;
	}
	ma_fault_point(RAW_KEPT_OUT);
	struct ma_error *err = clone_thread(t, th, gadget, result, child);
	ma_error_free(ma_raw_give_back(th, gadget, raw)); /* the caller sees what is still set */
	ma_fault_point(RAW_GIVEN_BACK);
	return err;
}

struct ma_error *ma_twin_create(struct ma_tracee *t, struct ma_thread *th, ma_raddr gadget, struct ma_raw *raw,
				struct ma_fill *fill, struct ma_twin *ret)
{
	struct ma_twin w = { .gadget = gadget, .fill = fill };
	long result = 0;
	pid_t child = 0;
	MA_TRY(ma_thread_abort_rseq(t->live, th));
	uint64_t began = ma_now_ns();
	MA_TRY(clone_without(t, th, gadget, raw, &result, &child));
	w.origin = th->saved;
	w.call_ns = ma_now_ns() - began;
	if (result < 0)
		return refused(result);
	if (child <= 0)
		return ma_errorf(MA_ERR_OS, "the kernel reported no child for clone");
	w.pid = child;
	w.pid_inside = (pid_t)result;
	w.born_ns = ma_now_ns();
	w.th = (struct ma_thread){ .tid = child, .seized = true, .blocked_nr = -1 };
	struct ma_stop stop;
	do {
		if (ma_wait_tid(child, UINT64_MAX, &stop) < 0 || stop.kind == MA_STOP_EXITED ||
		    stop.kind == MA_STOP_KILLED)
			return ma_errorf(MA_ERR_OS, "the twin was killed at its birth (out of memory?)");
	} while (stop.kind != MA_STOP_INTERRUPT && stop.kind != MA_STOP_GROUP);
	w.th.stopped = true;
	ma_fault_point(TWIN_BORN);
	struct ma_error *err = prepare(&w, t, raw);
	if (err) {
		ma_twin_end(&w);
		return err;
	}
	ma_fault_point(TWIN_PREPARED);
	*ret = w;
	return NULL;
}

struct ma_error *ma_twin_isolate(struct ma_twin *w, const char *cgroups, char **why_ret)
{
	static const struct rlimit none = { 0, 0 };
	char path[32];
	long r;

	ma_cgroup_move_to_own(w->pid, cgroups, &w->moved, why_ret);
	ma_fault_point(TWIN_MOVED);
	MA_TRY(call(w, &r, SYS_setsid, 0, 0, 0, 0, 0, 0));
	MA_TRY(ma_mem_write(w->pid, w->page, &none, sizeof(none)));
	MA_TRY(call(w, &r, SYS_prlimit64, 0, RLIMIT_CORE, w->page, 0, 0, 0));
	MA_TRY(call(w, &r, SYS_setpriority, PRIO_PROCESS, 0, 19, 0, 0, 0));

	snprintf(path, sizeof(path), "/proc/%d", w->pid);
	_cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return ma_error_os(errno, "cannot open %s", path);
	MA_TRY(ma_maps_read(dir, "maps", &w->maps));
	if (w->fill)
		MA_TRY(ma_fill_settle(w));
	for (size_t i = 0; i < w->maps.count; i++) {
		const struct ma_map *m = &w->maps.v[i];
		if ((m->prot & 8) && (m->prot & 2))
			MA_TRY(ma_twin_call(w, "mprotect of shared memory", NULL, SYS_mprotect, m->start,
					    m->end - m->start, PROT_READ | ((m->prot & 4) ? PROT_EXEC : 0), 0, 0, 0));
	}
	return NULL;
}

struct ma_error *ma_twin_unshare_memory(struct ma_twin *w)
{
	for (size_t i = 0; i < w->maps.count; i++) {
		const struct ma_map *m = &w->maps.v[i];
		if (m->prot & 8)
			MA_TRY(ma_twin_call(w, "munmap of shared memory", NULL, SYS_munmap, m->start, m->end - m->start,
					    0, 0, 0, 0));
	}
	return NULL;
}

void ma_twin_end(struct ma_twin *w)
{
	struct ma_stop stop;
	if (w->pid <= 0)
		return;
	/* kill() needs the right uid or CAP_KILL, which a tracer with CAP_SYS_PTRACE alone lacks: then the twin exits
	 * by itself, from whatever stop it is in. */
	if (kill(w->pid, SIGKILL)) {
		struct ma_syscall leave = { SYS_exit_group, { 0 } };
		struct ma_regs regs = w->th.saved;
		unsigned long message;
		/* of one that has stopped already and was seen to, no second stop would come */
		if (ptrace(PTRACE_GETEVENTMSG, w->pid, 0, &message)) {
			ptrace(PTRACE_INTERRUPT, w->pid, 0, 0);
			ma_wait_tid(w->pid, ma_now_ns() + 1000000000u, &stop);
		}
		ma_regs_prepare(&regs, w->gadget, &leave);
		ma_error_free(ma_regs_set(w->pid, &regs));
		ptrace(PTRACE_CONT, w->pid, 0, 0);
	}
	uint64_t deadline = ma_now_ns() + 30000000000u; /* the page tables of a large twin take seconds */
	while (ma_wait_tid(w->pid, deadline, &stop) > 0)
		if (stop.kind == MA_STOP_EXITED || stop.kind == MA_STOP_KILLED)
			break;
		else
			ptrace(PTRACE_CONT, w->pid, 0, 0);
	ma_maps_deinit(&w->maps);
	*w = (struct ma_twin){ 0 };
}
