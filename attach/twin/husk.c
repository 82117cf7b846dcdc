// SPDX-License-Identifier: Apache-2.0
#include "husk.h"

#include "cleanup.h"
#include "mem.h"
#include "wait.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define PAGE MA_CORE_PAGE
#define OURS (2 * PAGE)           /* one page of code with a system call instruction, one for arguments */
#define LOWEST UINT64_C(0x200000) /* above any vm.mmap_min_addr */
#define CHUNK (256u << 10)        /* of a piece that is looked through or copied */
#ifndef PTRACE_GET_RSEQ_CONFIGURATION
#define PTRACE_GET_RSEQ_CONFIGURATION 0x420f
#endif
#define RSEQ_UNREGISTER 1u
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

/* What the child does until it is taken over: nothing. It may not outlive us. */
static void wait_for_tracer(pid_t parent)
{
	static const struct rlimit none = { 0, 0 };
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, MA_HUSK_NAME);
	setrlimit(RLIMIT_CORE, &none);
	setpriority(PRIO_PROCESS, 0, 19);
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC); /* not that of the tracer */
	if (fd >= 0) {
		if (write(fd, "1000", 4) < 0) {
		}
		close(fd);
	}
	if (getppid() != parent)
		_exit(1);
	for (;;)
		pause();
}

static struct ma_error *take_over(struct ma_twin *w)
{
	struct ma_stop stop;
	if (ptrace(PTRACE_SEIZE, w->pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) ||
	    ptrace(PTRACE_INTERRUPT, w->pid, 0, 0))
		return ma_error_os(
			errno,
			"cannot trace a child of our own (is memattach traced itself, or kernel.yama.ptrace_scope 3?)");
	w->th = (struct ma_thread){ .tid = w->pid, .seized = true, .blocked_nr = -1 };
	do {
		if (ma_wait_tid(w->pid, UINT64_MAX, &stop) < 0 || stop.kind == MA_STOP_EXITED ||
		    stop.kind == MA_STOP_KILLED)
			return ma_errorf(MA_ERR_OS, "the process for the frozen memory was killed (out of memory?)");
	} while (stop.kind != MA_STOP_INTERRUPT && stop.kind != MA_STOP_GROUP);
	w->th.stopped = true;
	MA_TRY(ma_regs_get(w->pid, &w->th.saved));
	w->th.have_regs = true;
	return NULL;
}

/* A place where neither the frozen memory nor the child as it was born has anything. Both lists are sorted. */
static bool find_place(const struct ma_piece *p, size_t count, const struct ma_maps *born, ma_raddr *ret)
{
	ma_raddr at = LOWEST;
	for (bool moved = true; moved;) {
		moved = false;
		for (size_t i = 0; i < count && p[i].start < at + OURS; i++)
			if (p[i].end > at) {
				at = p[i].end;
				moved = true;
			}
		for (size_t i = 0; i < born->count && born->v[i].start < at + OURS; i++)
			if (born->v[i].end > at && born->v[i].end < MA_CORE_USER_END) {
				at = born->v[i].end;
				moved = true;
			}
	}
	*ret = at;
	return at < MA_CORE_USER_END - OURS;
}

/* The kernel writes to the area of restartable sequences at each way back from it: it must not be missing. */
static struct ma_error *leave_rseq(struct ma_twin *w)
{
	struct {
		uint64_t area;
		uint32_t size, signature, flags, pad;
	} conf = { 0 };
	if (ptrace((enum __ptrace_request)PTRACE_GET_RSEQ_CONFIGURATION, w->pid, sizeof(conf), &conf) <
		    (long)sizeof(conf) ||
	    !conf.area)
		return NULL;
	return ma_twin_call(w, "rseq", NULL, SYS_rseq, conf.area, conf.size, RSEQ_UNREGISTER, conf.signature, 0, 0);
}

/* Pages of ours first, then everything else goes. */
static struct ma_error *empty(struct ma_twin *w, const struct ma_piece *pieces, size_t count)
{
	char path[32];
	struct ma_maps born = { 0 };
	ma_raddr at = 0;
	snprintf(path, sizeof(path), "/proc/%d", w->pid);
	_cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return ma_error_os(errno, "cannot open %s", path);
	MA_TRY(ma_maps_read(dir, "maps", &born));
	struct ma_error *err = ma_gadget_find(w->pid, &born, &w->gadget);
	if (!err && !find_place(pieces, count, &born, &at))
		err = ma_errorf(MA_ERR_BAD_DATA, "the frozen memory leaves no room for the agent");
	ma_maps_deinit(&born);
	if (err)
		return err;
	MA_TRY(leave_rseq(w));
	MA_TRY(ma_twin_call(w, "mmap", NULL, SYS_mmap, at, OURS, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, (uint64_t)-1, 0));
	MA_TRY(ma_mem_write(w->pid, at, ma_gadget_bytes, ma_gadget_len));
	MA_TRY(ma_twin_call(w, "mprotect", NULL, SYS_mprotect, at, PAGE, PROT_READ | PROT_EXEC, 0, 0, 0));
	w->gadget = at;
	w->page = at + PAGE;
	MA_TRY(ma_twin_call(w, "munmap", NULL, SYS_munmap, 0, at, 0, 0, 0, 0));
	return ma_twin_call(w, "munmap", NULL, SYS_munmap, at + OURS, MA_CORE_USER_END - at - OURS, 0, 0, 0, 0);
}

static struct ma_error *map_piece(struct ma_twin *w, const struct ma_piece *p)
{
	bool file = p->fd >= 0 && !p->copied;
	uint64_t prot = p->fd < 0 ? PROT_NONE : PROT_READ | (p->write || p->copied ? PROT_WRITE : 0);
	struct ma_error *err =
		ma_twin_call(w, "mmap of the frozen memory", NULL, SYS_mmap, p->start, p->end - p->start, prot,
			     MAP_PRIVATE | MAP_FIXED_NOREPLACE | MAP_NORESERVE | (file ? 0 : MAP_ANONYMOUS),
			     file ? (uint64_t)p->fd : (uint64_t)-1, file ? p->offset : 0);
	if (err && err->errnum == ENOMEM) {
		ma_error_free(err);
		return ma_errorf(MA_ERR_LIMIT, "the frozen memory has more mappings than this machine allows a process "
					       "(vm.max_map_count), or more memory (RLIMIT_AS, overcommit)");
	}
	return err;
}

static bool is_zero(const char *p, size_t n)
{
	return !p[0] && !memcmp(p, p + 1, n - 1);
}

/* Goes through what the process wrote: pages that hold something are its own, and where the piece is a copy they are
 * written. Others were mostly never touched. */
static struct ma_error *fill_piece(struct ma_twin *w, const struct ma_piece *p, char *buf, struct ma_runs *runs,
				   ma_watch watch, void *arg)
{
	for (uint64_t done = 0; done < p->bytes;) {
		size_t want = p->bytes - done < CHUNK ? (size_t)(p->bytes - done) : CHUNK;
		ssize_t n = pread(p->fd, buf, want, (off_t)(p->offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? ma_error_os(errno, "cannot read the frozen memory")
				 : ma_errorf(MA_ERR_BAD_DATA, "the file of the frozen memory became shorter");
		n = n == (ssize_t)want ? n : n - n % PAGE;
		if (!n)
			return ma_errorf(MA_ERR_BAD_DATA, "the file of the frozen memory became shorter");
		for (size_t at = 0; at < (size_t)n; at += PAGE) {
			size_t bytes = (size_t)n - at < PAGE ? (size_t)n - at : PAGE;
			ma_raddr to = p->start + done + at;
			if (is_zero(buf + at, bytes))
				continue;
			if (p->ours && !ma_runs_add(runs, to, to + PAGE))
				return ma_errorf(MA_ERR_LIMIT, "its pages lie in too many pieces");
			if (p->copied)
				MA_TRY(ma_mem_write(w->pid, to, buf + at, bytes));
		}
		done += (size_t)n;
		MA_TRY(watch(arg));
	}
	return NULL;
}

static struct ma_error *give(struct ma_twin *w, const struct ma_piece *pieces, size_t count, ma_watch watch, void *arg,
			     struct ma_runs *runs)
{
	long r;
	_cleanup_free_ char *buf = malloc(CHUNK);
	if (!buf)
		return &ma_enomem;
	for (size_t i = 0; i < count; i++) {
		MA_TRY(map_piece(w, &pieces[i]));
		if (!(i & 255))
			MA_TRY(watch(arg));
	}
	MA_TRY(ma_twin_call(w, "close_range", &r, SYS_close_range, 0, ~0u, 0, 0, 0, 0));
	for (size_t i = 0; i < count; i++)
		if (pieces[i].fd >= 0 && (pieces[i].copied || pieces[i].ours))
			MA_TRY(fill_piece(w, &pieces[i], buf, runs, watch, arg));
	return NULL;
}

struct ma_error *ma_husk_create(const struct ma_piece *pieces, size_t count, ma_watch watch, void *arg,
				struct ma_runs *runs, struct ma_twin *ret)
{
	struct ma_twin w = { .moved = true };
	pid_t parent = getpid();
	w.pid = fork();
	if (w.pid < 0)
		return ma_error_os(errno, "cannot start a process for the frozen memory");
	if (w.pid == 0)
		wait_for_tracer(parent);
	w.pid_inside = w.pid;
	w.born_ns = ma_now_ns();
	struct ma_error *err = take_over(&w);
	if (!err)
		err = empty(&w, pieces, count);
	if (!err)
		err = give(&w, pieces, count, watch, arg, runs);
	if (err) {
		ma_twin_end(&w);
		return err;
	}
	*ret = w;
	return NULL;
}
