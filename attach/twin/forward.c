// SPDX-License-Identifier: Apache-2.0
#include "forward.h"

#include "cleanup.h"
#include "mem.h"
#include "wait.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <time.h>

#define COPY_CHUNK (2u << 20)
#define WAIT_SLICE_NS 10000000u
#define MOST_WALL 5u /* times as much as the twin may run */

#define MAX_LOCKS 16
#define HELD_AND_WAITED_FOR 2u /* sysdeps/nptl/lowlevellock.h */
#define MAX_ANSWERS 64         /* errors given to system calls in one run; more means that it does not get anywhere */

/* What becomes of a system call: it is made, or it is not made and returns `answer`, or the run ends before it. */
enum verdict { PASS, ANSWER, LOCK_OF_ABSENT, END_OF_RUN };

static bool shares(const struct ma_twin *w, uint64_t start, uint64_t bytes)
{
	uint64_t end = start + bytes < start ? UINT64_MAX : start + bytes;
	for (size_t i = 0; i < w->maps.count; i++) {
		const struct ma_map *m = &w->maps.v[i];
		if ((m->prot & 8) && m->start < end && start < m->end)
			return true;
	}
	return false;
}

/* What a call on memory that was kept out of the twin would do to it can not be seen there. */
static bool kept_out(const struct ma_twin *w, uint64_t start, uint64_t bytes)
{
	bool meets = ma_fill_meets(w->fill, start, bytes);
	if (meets)
		w->fill->lost = true;
	return meets;
}

/* Memory calls pass on private ranges only; calls that tell and change nothing pass; a wake-up has nobody to wake. A
 * call that could be seen outside is never made. Where Python makes it with the GIL held as a matter of course (fork,
 * descriptors, paths) it fails instead: the exception is raised in the copy alone, and the eval loop is reached a few
 * instructions later. Ending the run there would leave the heap in the middle of that C function. The twin has no
 * descriptor, so EBADF is the truth. Whatever else comes ends the run. */
static enum verdict judge(const struct ma_twin *w, long nr, const uint64_t a[6], bool locked, long *answer)
{
	*answer = 0;
	switch (nr) {
	case SYS_mmap:
		if ((a[3] & MAP_FIXED) && kept_out(w, a[0], a[1]))
			return END_OF_RUN;
		return (a[3] & MAP_ANONYMOUS) && (a[3] & MAP_PRIVATE) && !((a[3] & MAP_FIXED) && shares(w, a[0], a[1]))
			       ? PASS
			       : END_OF_RUN;
	case SYS_munmap:
	case SYS_mprotect:
		if (nr == SYS_mprotect && kept_out(w, a[0], a[1]))
			return END_OF_RUN;
		return shares(w, a[0], a[1]) ? END_OF_RUN : PASS;
	case SYS_mremap:
		if (kept_out(w, a[0], a[1]) || kept_out(w, a[4], (a[3] & MREMAP_FIXED) ? a[2] : 0))
			return END_OF_RUN;
		return shares(w, a[0], a[1]) || shares(w, a[4], (a[3] & MREMAP_FIXED) ? a[2] : 0) ? END_OF_RUN : PASS;
	case SYS_madvise:
		return kept_out(w, a[0], a[1]) || a[2] == MADV_REMOVE || shares(w, a[0], a[1]) ? END_OF_RUN : PASS;
	case SYS_brk:
	case SYS_getpid:
	case SYS_gettid:
	case SYS_getppid:
	case SYS_getuid:
	case SYS_geteuid:
	case SYS_getgid:
	case SYS_getegid:
	case SYS_clock_gettime:
	case SYS_clock_getres:
	case SYS_gettimeofday:
	case SYS_times:
	case SYS_getrusage:
	case SYS_getcpu:
	case SYS_getrandom:
	case SYS_uname:
	case SYS_sysinfo:
	case SYS_sched_yield:
	case SYS_sched_getaffinity:
	case SYS_rt_sigprocmask:
	case SYS_rt_sigaction: /* the twin's own table: made without CLONE_SIGHAND */
	case SYS_sigaltstack:
	case SYS_rt_sigreturn: /* from the frame of a handler that was running: registers and mask of the twin */
#ifdef SYS_time
	case SYS_time:
#endif
		return PASS;
	case SYS_futex: {
		unsigned op = (unsigned)a[1] & FUTEX_CMD_MASK;
		if (op == FUTEX_WAKE || op == FUTEX_WAKE_BITSET)
			return ANSWER;
		if ((op == FUTEX_WAIT || op == FUTEX_WAIT_BITSET || op == FUTEX_LOCK_PI) && locked)
			return LOCK_OF_ABSENT;
		return END_OF_RUN;
	}
	case SYS_clone:
	case SYS_clone3:
#ifdef SYS_fork
	case SYS_fork:
	case SYS_vfork:
#endif
		*answer = -EAGAIN;
		return ANSWER;
	case SYS_read:
	case SYS_write:
	case SYS_readv:
	case SYS_writev:
	case SYS_pread64:
	case SYS_pwrite64:
	case SYS_lseek:
	case SYS_close:
	case SYS_fstat:
	case SYS_ioctl:
	case SYS_fcntl:
	case SYS_fsync:
	case SYS_ftruncate:
	case SYS_dup:
	case SYS_dup3:
	case SYS_getdents64:
	case SYS_sendto:
	case SYS_recvfrom:
	case SYS_sendmsg:
	case SYS_recvmsg:
	case SYS_getsockopt:
	case SYS_setsockopt:
	case SYS_getsockname:
	case SYS_getpeername:
	case SYS_epoll_ctl:
		*answer = -EBADF;
		return ANSWER;
	case SYS_pipe2:
	case SYS_socket:
	case SYS_eventfd2:
	case SYS_epoll_create1:
	case SYS_memfd_create:
	case SYS_timerfd_create:
		*answer = -EMFILE;
		return ANSWER;
	case SYS_openat:
	case SYS_newfstatat:
	case SYS_statx:
	case SYS_readlinkat:
	case SYS_faccessat:
	case SYS_getcwd:
	case SYS_chdir:
	case SYS_unlinkat:
	case SYS_mkdirat:
	case SYS_renameat2:
#ifdef SYS_open
	case SYS_open:
	case SYS_stat:
	case SYS_lstat:
	case SYS_access:
	case SYS_readlink:
	case SYS_unlink:
	case SYS_mkdir:
	case SYS_rmdir:
	case SYS_rename:
#endif
		*answer = -EACCES;
		return ANSWER;
	default:
		return END_OF_RUN;
	}
}

/* A write fault on shared memory: a private copy takes the place of 2 MB around it. False: not ours. */
static struct ma_error *copy_shared(struct ma_twin *w, uint64_t addr, bool *ours)
{
	*ours = false;
	const struct ma_map *m = ma_maps_find(&w->maps, addr);
	if (!m || (m->prot & (8 | 2)) != (8 | 2))
		return NULL;
	uint64_t start = addr & ~(uint64_t)(COPY_CHUNK - 1), end = start + COPY_CHUNK;
	start = start < m->start ? m->start : start;
	end = end > m->end ? m->end : end;
	_cleanup_free_ char *copy = calloc(1, end - start);
	if (!copy)
		return &ma_enomem;
	/* Pages behind the end of a truncated file can not be read: they stay zero. */
	for (uint64_t at = start; at < end; at += 4096)
		ma_mem_read_some(w->pid, at, copy + (at - start), end - at < 4096 ? (size_t)(end - at) : 4096);
	MA_TRY(ma_twin_call(w, "mmap", NULL, SYS_mmap, start, end - start,
			    PROT_READ | PROT_WRITE | ((m->prot & 4) ? PROT_EXEC : 0),
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, (uint64_t)-1, 0));
	MA_TRY(ma_mem_write(w->pid, start, copy, end - start));
	*ours = true;
	return NULL;
}

/* At the exit of a FUTEX_WAIT that was not made: the word says "held, and somebody waits" (2 in glibc's low level locks
 * and mutexes). Its owner is not in the twin and never comes back, so the word becomes "free" here, and the call
 * returns as if woken. What the lock protects may be half-done: nothing of Python's, which the GIL protects. */
static bool take_lock(struct ma_twin *w, const uint64_t args[6])
{
	static const uint32_t free_lock = 0;
	uint32_t value;
	struct ma_regs regs;
	if ((uint32_t)args[2] != HELD_AND_WAITED_FOR)
		return false;
	struct ma_error *err = ma_mem_read_u32(w->pid, args[0], &value);
	if (!err && value == HELD_AND_WAITED_FOR)
		err = ma_mem_write(w->pid, args[0], &free_lock, sizeof(free_lock));
	if (!err)
		err = ma_regs_get(w->pid, &regs);
	if (!err) {
		ma_regs_set_result(&regs, 0);
		err = ma_regs_set(w->pid, &regs);
	}
	bool ok = !err;
	ma_error_free(err);
	return ok;
}

/* From a fault stop: injected calls, then the faulting instruction again. */
static struct ma_error *handle_fault(struct ma_twin *w, int sig, bool *ours)
{
	siginfo_t info;
	struct ma_regs at_fault, base = w->th.saved;
	*ours = false;
	if ((sig != SIGSEGV && sig != SIGBUS) || ptrace(PTRACE_GETSIGINFO, w->pid, 0, &info))
		return NULL;
	MA_TRY(ma_regs_get(w->pid, &at_fault));
	w->th.saved = at_fault; /* injected calls start here, in no system call */
	struct ma_error *err = copy_shared(w, (uint64_t)(uintptr_t)info.si_addr, ours);
	w->th.saved = base;
	if (!err)
		err = ma_regs_set(w->pid, &at_fault);
	return err;
}

/* What the twin has run, whoever else wants the processor: it is at the lowest priority. */
static uint64_t cpu_ns(pid_t twin)
{
	clockid_t clock;
	struct timespec t;
	if (clock_getcpuclockid(twin, &clock) || clock_gettime(clock, &t))
		return UINT64_MAX;
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* A thread that was just taking the GIL has undone the first request (take_gil() resets gil_drop_request when it has
 * it), and in the twin nobody else waits for the GIL and asks again. *n and *stop as ma_wait_tid() has them. */
static struct ma_error *ask_again(struct ma_twin *w, const struct ma_python *py, const struct ma_gil *gil,
				  struct ma_stop *stop, int *n)
{
	bool locked;
	ptrace(PTRACE_INTERRUPT, w->pid, 0, 0);
	*n = ma_wait_tid(w->pid, ma_now_ns() + 5000000000u, stop);
	if (*n == 0)
		return ma_errorf(MA_ERR_OS, "the twin does not stop");
	if (*n < 0 || stop->kind == MA_STOP_EXITED || stop->kind == MA_STOP_KILLED)
		return NULL;
	MA_TRY(ma_gil_locked(w->pid, py, gil, &locked));
	return locked ? ma_gil_request(w->pid, py, gil) : NULL;
}

static struct ma_error *run(struct ma_twin *w, const struct ma_python *py, const struct ma_gil *gil,
			    uint64_t timeout_ns, bool take_locks, ma_watch watch, void *arg,
			    struct ma_forward_result *ret)
{
	unsigned answers = 0;
	uint64_t before = cpu_ns(w->pid); /* of threads that it ran for earlier */
	uint64_t deadline = ma_now_ns() + timeout_ns, last = ma_now_ns() + MOST_WALL * timeout_ns;
	for (;;) {
		struct ma_stop stop;
		int n;
		if (ptrace(PTRACE_SYSCALL, w->pid, 0, 0))
			return ma_error_os(errno, "cannot continue the twin");
		uint64_t slice = ma_now_ns() + WAIT_SLICE_NS;
		n = ma_wait_tid(w->pid, slice < deadline ? slice : deadline, &stop);
		if (n == 0)
			MA_TRY(watch(arg));
		if (n == 0 && ma_now_ns() >= deadline && cpu_ns(w->pid) - before < timeout_ns && ma_now_ns() < last)
			deadline = ma_now_ns() + WAIT_SLICE_NS;
		if (n == 0 && ma_now_ns() < deadline)
			MA_TRY(ask_again(w, py, gil, &stop, &n));
		if (n == 0) {
			ptrace(PTRACE_INTERRUPT, w->pid, 0, 0);
			n = ma_wait_tid(w->pid, ma_now_ns() + 5000000000u, &stop);
			if (n <= 0)
				return ma_errorf(MA_ERR_OS, "the twin does not stop");
			ret->end = MA_FWD_TIMEOUT;
			if (stop.kind != MA_STOP_EXITED && stop.kind != MA_STOP_KILLED)
				return NULL;
		}
		if (n < 0 || stop.kind == MA_STOP_EXITED || stop.kind == MA_STOP_KILLED) {
			w->th.gone = true;
			return ma_errorf(MA_ERR_OS,
					 "the twin was killed on its way to the safe point (out of memory?)");
		}
		if (stop.kind == MA_STOP_SIGNAL) {
			bool ours;
			MA_TRY(handle_fault(w, stop.value, &ours));
			if (!ours)
				MA_TRY(ma_fill_fault(w, stop.value, &ours));
			else
				ret->copied++;
			if (ours)
				continue;
			if (stop.value == SIGSEGV || stop.value == SIGBUS || stop.value == SIGILL ||
			    stop.value == SIGFPE || stop.value == SIGTRAP) {
				ret->end = MA_FWD_FAULT;
				ret->signal = stop.value;
				return NULL;
			}
			continue; /* a signal of the target is not for its twin */
		}
		if (stop.kind != MA_STOP_SYSCALL)
			continue;
		/* At the entry of a system call. */
		struct ma_regs regs;
		uint64_t args[6];
		bool locked;
		MA_TRY(ma_regs_get(w->pid, &regs));
		MA_TRY(ma_gil_locked(w->pid, py, gil, &locked));
		long nr = ma_regs_syscall(&regs, args);
		long answer = 0;
		enum verdict v = locked ? judge(w, nr, args, locked, &answer) : END_OF_RUN;
		if (v == ANSWER && answer && ++answers > MAX_ANSWERS)
			v = END_OF_RUN;
		if (v != PASS)
			MA_TRY(ma_regs_skip(w->pid, &regs));
		if (ptrace(PTRACE_SYSCALL, w->pid, 0, 0))
			return ma_error_os(errno, "cannot continue the twin");
		do
			n = ma_wait_tid(w->pid, UINT64_MAX, &stop);
		while (n > 0 && stop.kind != MA_STOP_SYSCALL && stop.kind != MA_STOP_EXITED &&
		       stop.kind != MA_STOP_KILLED && !ptrace(PTRACE_SYSCALL, w->pid, 0, 0));
		if (n < 0 || stop.kind != MA_STOP_SYSCALL) {
			w->th.gone = true;
			return ma_errorf(MA_ERR_OS,
					 "the twin was killed on its way to the safe point (out of memory?)");
		}
		if (v == ANSWER) {
			MA_TRY(ma_regs_get(w->pid, &regs));
			ma_regs_set_result(&regs, answer);
			MA_TRY(ma_regs_set(w->pid, &regs));
		}
		if (v == LOCK_OF_ABSENT && take_locks && ret->locks_taken < MAX_LOCKS && take_lock(w, args)) {
			ret->locks_taken++;
			continue;
		}
		if (v == LOCK_OF_ABSENT || v == END_OF_RUN) {
			ret->nr = nr;
			memcpy(ret->args, args, sizeof(args));
			ret->end = !locked ? MA_FWD_SAFE : v == LOCK_OF_ABSENT ? MA_FWD_LOCK : MA_FWD_SYSCALL;
			return NULL;
		}
	}
}

struct ma_error *ma_twin_forward(struct ma_twin *w, const struct ma_python *py, const struct ma_gil *gil,
				 const struct ma_regs *start, uint64_t timeout_ns, bool take_locks, ma_watch watch,
				 void *arg, struct ma_forward_result *ret)
{
	struct ma_forward_result result = { 0 };
	uint64_t began = ma_now_ns();
	MA_TRY(ma_gil_request(w->pid, py, gil));
	MA_TRY(ma_regs_set(w->pid, start));
	struct ma_error *err = run(w, py, gil, timeout_ns, take_locks, watch, arg, &result);
	if (err)
		return err;
	result.ns = ma_now_ns() - began;
	/* Injected calls start from where it stands now, in no system call. */
	MA_TRY(ma_regs_get(w->pid, &w->th.saved));
	*ret = result;
	return NULL;
}
