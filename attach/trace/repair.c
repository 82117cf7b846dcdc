// SPDX-License-Identifier: Apache-2.0
#include "repair.h"

#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

/* The calls that return EINTR by themselves although no signal came. `timeout_arg`: the register with a relative
 * timeout in milliseconds, -1 if none. */
static const struct {
	long nr;
	int timeout_arg;
} interrupted[] = {
#ifdef SYS_epoll_wait
	{ SYS_epoll_wait, 3 },
#endif
	{ SYS_epoll_pwait, 3 },
#ifdef SYS_epoll_pwait2
	{ SYS_epoll_pwait2, -1 },
#endif
	{ SYS_recvfrom, -1 },       { SYS_recvmsg, -1 },    { SYS_recvmmsg, -1 },     { SYS_sendto, -1 },
	{ SYS_sendmsg, -1 },        { SYS_accept, -1 },     { SYS_accept4, -1 },      { SYS_rt_sigtimedwait, -1 },
	{ SYS_semop, -1 },          { SYS_semtimedop, -1 }, { SYS_io_getevents, -1 },
#ifdef SYS_io_pgetevents
	{ SYS_io_pgetevents, -1 },
#endif
#ifdef SYS_io_uring_enter
	{ SYS_io_uring_enter, -1 },
#endif
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
	return nr >= 0 && find(nr) >= 0;
}

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
	if (i < 0 || interrupted[i].timeout_arg < 0)
		return;
	_cleanup_close_ int self = open("/proc/thread-self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t began, now;
	if (self >= 0 && exec_start(task, &began) && exec_start(self, &now) && now > began)
		th->blocked_ns = now - began;
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

bool ma_repair_interrupted(int dir, struct ma_thread *th)
{
	uint64_t args[6];
	long nr = ma_regs_syscall(&th->saved, args);
	if (nr < 0 || ma_regs_result(&th->saved) != -EINTR)
		return false;
	int i = find(nr);
	if (i < 0 || signal_waits(dir, th->tid))
		return false;
	int arg = interrupted[i].timeout_arg;
	ma_regs_rewind(&th->saved);
	if (arg >= 0 && th->blocked_nr == nr) {
		int timeout_ms = (int)args[arg];
		uint64_t spent_ms = th->blocked_ns / 1000000;
		if (timeout_ms > 0)
			ma_regs_set_arg(&th->saved, (unsigned)arg,
					spent_ms >= (uint64_t)timeout_ms ? 0 : (uint64_t)timeout_ms - spent_ms);
	}
	return true;
}
