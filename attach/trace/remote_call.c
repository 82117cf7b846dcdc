// SPDX-License-Identifier: Apache-2.0
#include "remote_call.h"

#include "cleanup.h"
#include "fault_point.h"
#include "mem.h"
#include "wait.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>

#define GADGET_SCAN_MAX (4u << 20) /* bytes of one mapping that are searched */
#define LOOK_NS 50000000u
#define RESTART_TRIES 100

static bool scan(pid_t pid, const struct ma_map *m, ma_raddr *ret)
{
	size_t bytes = m->end - m->start < GADGET_SCAN_MAX ? (size_t)(m->end - m->start) : GADGET_SCAN_MAX;
	_cleanup_free_ unsigned char *code = malloc(bytes);
	if (!code)
		return false;
	bytes = ma_mem_read_some(pid, m->start, code, bytes);
	for (size_t i = 0; i + ma_gadget_len <= bytes; i += ma_gadget_align)
		if (!memcmp(code + i, ma_gadget_bytes, ma_gadget_len)) {
			*ret = m->start + i;
			return true;
		}
	return false;
}

struct ma_error *ma_gadget_find(pid_t pid, const struct ma_maps *maps, ma_raddr *ret)
{
	static const char *const places[] = { "[vdso]", "libc", "ld-", "ld.so" };
	for (size_t k = 0; k < MA_ARRAY_SIZE(places); k++)
		for (size_t i = 0; i < maps->count; i++)
			if ((maps->v[i].prot & 4) && strstr(maps->v[i].path, places[k]) && scan(pid, &maps->v[i], ret))
				return NULL;
	/* A static executable has its libc inside. */
	for (size_t i = 0; i < maps->count; i++)
		if ((maps->v[i].prot & 4) && maps->v[i].path[0] == '/' && scan(pid, &maps->v[i], ret))
			return NULL;
	if (!maps->count)
		return ma_errorf(MA_ERR_TARGET_GONE, "the process exited");
	return ma_errorf(MA_ERR_UNSUPPORTED, "no system call instruction found in its vdso or libc");
}

struct ma_error *ma_thread_block_signals(struct ma_thread *th)
{
	uint64_t all = ~0ull;
	if (th->mask_changed)
		return NULL;
	if (ptrace(PTRACE_GETSIGMASK, th->tid, sizeof(th->mask), &th->mask))
		return ma_error_os(errno, "cannot read the signal mask of thread %d", th->tid);
	if (th->of)
		ma_tracee_tell(th->of,
			       (struct ma_undo){ .mask = th->mask, .masked = th->tid, .twin = th->of->undo.twin });
	if (ptrace(PTRACE_SETSIGMASK, th->tid, sizeof(all), &all))
		return ma_error_os(errno, "cannot set the signal mask of thread %d", th->tid);
	th->mask_changed = true;
	return NULL;
}

#ifndef PTRACE_GET_RSEQ_CONFIGURATION
#define PTRACE_GET_RSEQ_CONFIGURATION 0x420f
#endif

struct ma_error *ma_thread_abort_rseq(pid_t pid, struct ma_thread *th)
{
	/* struct ptrace_rseq_configuration, struct rseq and struct rseq_cs: linux/ptrace.h, linux/rseq.h */
	struct {
		uint64_t rseq_abi_pointer;
		uint32_t size, signature, flags, pad;
	} conf;
	struct {
		uint32_t version, flags;
		uint64_t start_ip, post_commit_offset, abort_ip;
	} cs;
	uint64_t section, pc = ma_regs_pc(&th->saved);
	uint64_t args[6];
	if (ma_regs_syscall(&th->saved, args) >= 0)
		return NULL; /* a system call inside a section is an error of the program: it is in none */
	if (ptrace((enum __ptrace_request)PTRACE_GET_RSEQ_CONFIGURATION, th->tid, sizeof(conf), &conf) <
		    (long)sizeof(conf) ||
	    !conf.rseq_abi_pointer)
		return NULL; /* kernels before 5.13, or none registered */
	if (ma_mem_read_some(pid, conf.rseq_abi_pointer + 8, &section, sizeof(section)) != sizeof(section) || !section)
		return NULL;
	MA_TRY(ma_mem_read(pid, section, &cs, sizeof(cs)));
	if (pc - cs.start_ip < cs.post_commit_offset) {
		ma_regs_set_pc(&th->saved, cs.abort_ip);
		th->regs_changed = true;
	}
	return NULL;
}

static struct ma_error *gone(struct ma_thread *th)
{
	th->gone = true;
	th->seized = th->stopped = false;
	return ma_errorf(MA_ERR_TARGET_GONE, "the process was killed or exited");
}

/* A leader that was killed is not reported before its other threads, whom nobody waits for now. */
static bool dead(pid_t tid)
{
	char path[32];
	struct ma_stat st;
	snprintf(path, sizeof(path), "/proc/%d", tid);
	_cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct ma_error *err = dir >= 0 ? ma_stat_read(dir, &st) : ma_errorf(MA_ERR_TARGET_GONE, "gone");
	bool is = err || st.state == 'Z' || st.state == 'X';
	ma_error_free(err);
	return is;
}

/* PTRACE_SYSCALL to the next syscall stop. Stops of any other kind are passed through. */
static struct ma_error *step(struct ma_thread *th, pid_t *child_ret)
{
	int sig = 0;
	for (;;) {
		struct ma_stop stop;
		if (ptrace(PTRACE_SYSCALL, th->tid, 0, sig))
			return errno == ESRCH ? gone(th) : ma_error_os(errno, "cannot continue thread %d", th->tid);
		int n;
		while (!(n = ma_wait_tid(th->tid, ma_now_ns() + LOOK_NS, &stop)))
			if (dead(th->tid))
				return gone(th);
		if (n < 0)
			return gone(th);
		sig = 0;
		switch (stop.kind) {
		case MA_STOP_SYSCALL:
			return NULL;
		case MA_STOP_EXITED:
		case MA_STOP_KILLED:
			return gone(th);
		case MA_STOP_CLONE: {
			unsigned long msg = 0;
			if (child_ret && !ptrace(PTRACE_GETEVENTMSG, th->tid, 0, &msg))
				*child_ret = (pid_t)msg;
			break;
		}
		case MA_STOP_SIGNAL:
			/* All is blocked but SIGSTOP: hand it on, the group stop is passed through and stays. */
			sig = stop.value;
			break;
		case MA_STOP_GROUP: /* a stopped process: an extra event comes before the call (facts/ptrace.md 2a row
				       7) */
		case MA_STOP_INTERRUPT:
		case MA_STOP_EXEC:
		case MA_STOP_EVENT:
		case MA_STOP_OTHER:
			break;
		}
	}
}

struct ma_error *ma_remote_call(struct ma_thread *th, ma_raddr gadget, const struct ma_syscall *call, long *result,
				pid_t *child_ret)
{
	for (int tries = 0;; tries++) {
		struct ma_regs regs = th->saved;
		ma_regs_prepare(&regs, gadget, call);
		ma_regs_no_return(&regs);
		th->regs_changed = true;
		MA_TRY(ma_regs_set(th->tid, &regs));
		ma_fault_point_call(call->nr, SET_UP);
		MA_TRY(step(th, child_ret)); /* to the entry */
		ma_fault_point_call(call->nr, ENTERED);
		MA_TRY(step(th, child_ret)); /* to the exit */
		ma_fault_point_call(call->nr, RETURNED);
		MA_TRY(ma_regs_get(th->tid, &regs));
		long value = ma_regs_result(&regs);
		/* clone gives -ERESTARTNOINTR when something waits for the thread; ask again. */
		if (value <= -512 && value >= -516 && tries < RESTART_TRIES)
			continue;
		*result = value;
		return NULL;
	}
}

struct ma_error *ma_remote_call_ok(struct ma_thread *th, ma_raddr gadget, const char *what,
				   const struct ma_syscall *call, long *result)
{
	long value;
	MA_TRY(ma_remote_call(th, gadget, call, &value, NULL));
	if (value < 0 && value > -4096)
		return ma_error_os((int)-value, "%s failed in the process", what);
	if (result)
		*result = value;
	return NULL;
}
