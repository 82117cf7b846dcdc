// SPDX-License-Identifier: Apache-2.0
#include "repair.h"

#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

/* The calls that return EINTR by themselves although no signal came, and where their relative timeout is. Those for
 * files do so where a server in user space (FUSE) gives up what the kernel tells it to interrupt, which the kernel does
 * for a stop, too (request_wait_answer() of fs/fuse/dev.c); on the list are those that may be made twice. */
enum timeout_kind {
	NO_TIMEOUT,     /* has none, or ends by itself */
	IN_REGISTER_MS, /* argument `arg`, in milliseconds: what is left of it is put there */
	BEHIND_POINTER, /* argument `arg` points to it, NULL = none */
	OF_SOCKET,      /* SO_RCVTIMEO or SO_SNDTIMEO: without one these calls are restarted by the kernel */
	OF_FILE,        /* none; argument `arg` are the flags of an open: not to be made twice with O_EXCL */
};

static const struct {
	long nr;
	enum timeout_kind kind;
	unsigned arg;
} interrupted[] = {
#ifdef SYS_epoll_wait
	{ SYS_epoll_wait, IN_REGISTER_MS, 3 },
#endif
	{ SYS_epoll_pwait, IN_REGISTER_MS, 3 },
#ifdef SYS_epoll_pwait2
	{ SYS_epoll_pwait2, BEHIND_POINTER, 3 },
#endif
	{ SYS_recvfrom, OF_SOCKET, 0 },
	{ SYS_recvmsg, OF_SOCKET, 0 },
	{ SYS_recvmmsg, OF_SOCKET, 0 },
	{ SYS_sendto, OF_SOCKET, 0 },
	{ SYS_sendmsg, OF_SOCKET, 0 },
	{ SYS_read, OF_SOCKET, 0 },
	{ SYS_readv, OF_SOCKET, 0 },
	{ SYS_write, OF_SOCKET, 0 },
	{ SYS_writev, OF_SOCKET, 0 },
	{ SYS_accept, OF_SOCKET, 0 },
	{ SYS_accept4, OF_SOCKET, 0 },
	{ SYS_rt_sigtimedwait, BEHIND_POINTER, 2 },
	{ SYS_semop, NO_TIMEOUT, 0 },
	{ SYS_semtimedop, BEHIND_POINTER, 3 },
	{ SYS_io_getevents, BEHIND_POINTER, 4 },
#ifdef SYS_io_pgetevents
	{ SYS_io_pgetevents, BEHIND_POINTER, 4 },
#endif
#ifdef SYS_io_uring_enter
	{ SYS_io_uring_enter, NO_TIMEOUT, 0 },
#endif
#ifdef SYS_open
	{ SYS_open, OF_FILE, 1 },
	{ SYS_stat, NO_TIMEOUT, 0 },
	{ SYS_lstat, NO_TIMEOUT, 0 },
	{ SYS_access, NO_TIMEOUT, 0 },
	{ SYS_readlink, NO_TIMEOUT, 0 },
#endif
	{ SYS_openat, OF_FILE, 2 },
	{ SYS_fstat, NO_TIMEOUT, 0 },
	{ SYS_newfstatat, NO_TIMEOUT, 0 },
	{ SYS_statx, NO_TIMEOUT, 0 },
	{ SYS_faccessat, NO_TIMEOUT, 0 },
#ifdef SYS_faccessat2
	{ SYS_faccessat2, NO_TIMEOUT, 0 },
#endif
	{ SYS_readlinkat, NO_TIMEOUT, 0 },
	{ SYS_getdents64, NO_TIMEOUT, 0 },
	{ SYS_pread64, NO_TIMEOUT, 0 },
	{ SYS_preadv, NO_TIMEOUT, 0 },
	{ SYS_statfs, NO_TIMEOUT, 0 },
	{ SYS_getxattr, NO_TIMEOUT, 0 },
	{ SYS_fsync, NO_TIMEOUT, 0 },
	{ SYS_fdatasync, NO_TIMEOUT, 0 },
};

static int find(long nr)
{
	for (size_t i = 0; i < MA_ARRAY_SIZE(interrupted); i++)
		if (interrupted[i].nr == nr)
			return (int)i;
	return -1;
}

bool ma_repair_disturbs(long nr)
{
	/* read and write are on the list for sockets with a timeout; most of them mind nothing. */
	return nr >= 0 && find(nr) >= 0 && nr != SYS_read && nr != SYS_write && nr != SYS_readv && nr != SYS_writev;
}

#define TICK_NS 4000000u /* exec_start is brought up to date at least once a tick (CONFIG_HZ=250) */

static int open_task(int dir, pid_t tid)
{
	char path[48];
	snprintf(path, sizeof(path), "task/%d", tid);
	return openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* se.exec_start in nanoseconds: when the task ran last (its block began), or for the reader itself: now. */
static bool exec_start(int task, uint64_t *ret)
{
	_cleanup_free_ char *text = NULL;
	struct ma_error *err = ma_proc_read(task, "sched", 65536, &text, NULL);
	if (err) { /* kernels without CONFIG_SCHED_DEBUG */
		ma_error_free(err);
		return false;
	}
	const char *p = strstr(text, "se.exec_start");
	if (!p || !(p = strchr(p, ':')))
		return false;
	*ret = (uint64_t)(strtod(p + 1, NULL) * 1e6);
	return true;
}

/* Field 39 of /proc/PID/stat: the CPU the task ran on last; -1 if not known. */
static int cpu_of(int task)
{
	_cleanup_free_ char *text = NULL;
	struct ma_error *err = ma_proc_read(task, "stat", 4096, &text, NULL);
	if (err) {
		ma_error_free(err);
		return -1;
	}
	const char *p = strrchr(text, ')');
	for (int field = 2; p && field < 39; field++)
		p = strchr(p + 1, ' ');
	return p ? (int)strtol(p + 1, NULL, 10) : -1;
}

/* The scheduler's clocks of two CPUs differ by what interrupts and a hypervisor took ([X] 10 to 15 ms after an hour),
 * so the reader goes to the CPU of the task for a moment: there its own exec_start is the time now. */
static bool now_on_cpu_of(int task, uint64_t *ret)
{
	cpu_set_t before, there;
	int cpu = cpu_of(task);
	if (cpu < 0 || cpu >= CPU_SETSIZE || sched_getaffinity(0, sizeof(before), &before))
		return false;
	CPU_ZERO(&there);
	CPU_SET(cpu, &there);
	if (sched_setaffinity(0, sizeof(there), &there))
		return false;
	_cleanup_close_ int self = open("/proc/thread-self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = self >= 0 && exec_start(self, ret);
	sched_setaffinity(0, sizeof(before), &before);
	return ok;
}

void ma_repair_observe(int dir, struct ma_thread *th)
{
	_cleanup_close_ int task = open_task(dir, th->tid);
	_cleanup_free_ char *text = NULL;
	if (task < 0)
		return;
	struct ma_error *err = ma_proc_read(task, "syscall", 512, &text, NULL);
	if (err) {
		ma_error_free(err);
		return;
	}
	char *end;
	long nr = strtol(text, &end, 10); /* "running" gives no digits */
	if (end == text)
		return;
	th->blocked_nr = nr;
	int i = nr >= 0 ? find(nr) : -1;
	if (i < 0 || interrupted[i].kind == NO_TIMEOUT || interrupted[i].kind == OF_FILE)
		return;
	/* Too little is harmless, the call ends late; too much would end it early. */
	uint64_t began, now;
	if (exec_start(task, &began) && now_on_cpu_of(task, &now) && now > began + TICK_NS)
		th->blocked_ns = now - began - TICK_NS;
}

static bool signal_waits(int dir, pid_t tid)
{
	_cleanup_close_ int task = open_task(dir, tid);
	_cleanup_free_ char *text = NULL;
	uint64_t pending = 0, blocked = 0;
	if (task < 0)
		return true;
	struct ma_error *err = ma_proc_read(task, "status", 65536, &text, NULL);
	if (err) {
		ma_error_free(err);
		return true;
	}
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, "SigPnd:", 7) || !strncmp(line, "ShdPnd:", 7))
			pending |= strtoull(line + 7, NULL, 16);
		else if (!strncmp(line, "SigBlk:", 7))
			blocked = strtoull(line + 7, NULL, 16);
	}
	return (pending & ~blocked) != 0;
}

bool ma_repair_interrupted(int dir, struct ma_thread *th, struct ma_series *series)
{
	uint64_t args[6];
	long nr = ma_regs_syscall(&th->saved, args);
	if (nr < 0 || ma_regs_result(&th->saved) != -EINTR)
		return false;
	int i = find(nr);
	if (i < 0 || signal_waits(dir, th->tid))
		return false;
	unsigned arg = interrupted[i].arg;
	if (interrupted[i].kind == OF_FILE && (args[arg] & O_EXCL))
		return false;
	bool known = th->blocked_nr == nr;
	bool begins_anew = interrupted[i].kind == OF_SOCKET || (interrupted[i].kind == BEHIND_POINTER && args[arg]);
	if (begins_anew && series) {
		struct ma_series_call call = { .tid = th->tid,
					       .nr = nr,
					       .pc = ma_regs_pc(&th->saved),
					       .sp = ma_regs_sp(&th->saved),
					       .arg0 = args[0] };
		if (!ma_series_allow(series, &call, known ? th->blocked_ns : 0))
			return false;
	}
	ma_regs_rewind(&th->saved);
	if (interrupted[i].kind == IN_REGISTER_MS && known) {
		int timeout_ms = (int)args[arg];
		uint64_t spent_ms = th->blocked_ns / 1000000;
		if (timeout_ms > 0)
			ma_regs_set_arg(&th->saved, arg,
					spent_ms >= (uint64_t)timeout_ms ? 0 : (uint64_t)timeout_ms - spent_ms);
	}
	return true;
}
