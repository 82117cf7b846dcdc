// SPDX-License-Identifier: Apache-2.0
#include "load.h"

#include "cleanup.h"
#include "fault_point.h"
#include "mem.h"
#include "wait.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <time.h>

#define STACK_BYTES (1u << 20) /* a tp_traverse of an extension may be greedy */
#define STACK_GUARD 65536u     /* below it is our own memory */
#define SCRATCH_MIN (64ull << 20)
#define STANDSTILL_NS 2000000000u
#define SLICE_NS 50000000u
#define PACE_RUN_NS 2000000u
#define MAX_FAULTS 100000u
#define MEMFD_FLAGS 1u /* MFD_CLOEXEC */

#define ROUND_UP(n, to) (((n) + (to)-1) / (to) * (to))

static struct ma_error *map(struct ma_twin *w, struct ma_loaded *l, const char *what, uint64_t bytes, uint64_t flags,
			    ma_raddr *ret)
{
	long at;
	MA_TRY(ma_twin_call(w, what, &at, SYS_mmap, 0, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | flags, (uint64_t)-1, 0));
	l->own[l->own_count].start = (ma_raddr)at;
	l->own[l->own_count++].end = (ma_raddr)at + bytes;
	*ret = (ma_raddr)at;
	return NULL;
}

static struct ma_error *map_ring(struct ma_twin *w, struct ma_loaded *l)
{
	static const char name[] = "memattach-ring";
	long fd, at, r;
	MA_TRY(ma_mem_write(w->pid, w->page, name, sizeof(name)));
	MA_TRY(ma_twin_call(w, "memfd_create", &fd, SYS_memfd_create, w->page, MEMFD_FLAGS, 0, 0, 0, 0));
	MA_TRY(ma_twin_call(w, "ftruncate", &r, SYS_ftruncate, (uint64_t)fd, MA_RING_BYTES, 0, 0, 0, 0));
	MA_TRY(ma_twin_call(w, "mmap of the ring", &at, SYS_mmap, 0, MA_RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
			    (uint64_t)fd, 0));
	_cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, w->pid, 0);
	if (pidfd < 0)
		return ma_error_os(errno, "cannot open a pidfd of the twin");
	l->ring_fd = (int)syscall(SYS_pidfd_getfd, pidfd, (int)fd, 0);
	if (l->ring_fd < 0)
		return ma_error_os(errno, "cannot take the ring from the twin (pidfd_getfd, Linux 5.6)");
	MA_TRY(ma_twin_call(w, "close", &r, SYS_close, (uint64_t)fd, 0, 0, 0, 0, 0));
	l->ring = (ma_raddr)at;
	l->own[l->own_count].start = l->ring;
	l->own[l->own_count++].end = l->ring + MA_RING_BYTES;
	struct ma_ring head = { .magic = MA_RING_MAGIC, .abi = MA_WIRE_VERSION };
	return ma_mem_write(w->pid, l->ring, &head, sizeof(head));
}

/* Files whose pages hold static objects: whatever of a file is mapped writable or executable, and the anonymous memory
 * that follows a file's data (its .bss). */
static uint32_t map_flags(const struct ma_maps *maps, size_t i)
{
	const struct ma_map *m = &maps->v[i];
	uint32_t f = 0;
	f |= (m->prot & 1) ? MAA_MAP_READ : 0;
	f |= (m->prot & 2) ? MAA_MAP_WRITE : 0;
	f |= (m->prot & 4) ? MAA_MAP_EXEC : 0;
	f |= !strncmp(m->path, "[stack", 6) ? MAA_MAP_STACK : 0;
	bool bss = !m->path[0] && i && maps->v[i - 1].end == m->start && maps->v[i - 1].path[0] == '/' &&
		   (maps->v[i - 1].prot & 2);
	f |= m->path[0] == '/' || bss ? MAA_MAP_FILE : 0;
	return f;
}

static struct ma_error *write_args(struct ma_twin *w, const struct ma_python *py, const struct ma_gil *gil,
				   uint32_t flags, const struct ma_values_wish *values, struct ma_loaded *l)
{
	size_t n = 0;
	_cleanup_free_ struct maa_map *maps = calloc(w->maps.count + 1, sizeof(*maps));
	if (!maps)
		return &ma_enomem;
	for (size_t i = 0; i < w->maps.count; i++) {
		const struct ma_map *m = &w->maps.v[i];
		/* what is shared is unmapped by now; the kernel's own pages can fault */
		if ((m->prot & 8) || !(m->prot & 1) || !strncmp(m->path, "[v", 2))
			continue;
		maps[n++] = (struct maa_map){ m->start, m->end, map_flags(&w->maps, i), 0 };
	}
	uint64_t bytes = ROUND_UP(sizeof(struct maa_args), 64) + n * sizeof(*maps);
	MA_TRY(map(w, l, "mmap of the arguments", ROUND_UP(bytes, 4096), 0, &l->args));
	struct maa_args args = {
		.abi = MA_WIRE_VERSION,
		.flags = flags,
		.runtime = py->runtime,
		.arenas = py->arenas,
		.maxarenas = py->maxarenas,
		.ring = l->ring,
		.scratch = l->scratch,
		.scratch_bytes = l->scratch_bytes,
		.maps = l->args + ROUND_UP(sizeof(args), 64),
		.maps_count = n,
		.gil_holder = gil->holder,
		.layout = py->layout,
		.values = *values,
	};
	for (size_t i = 0; i < MA_KNOWN_COUNT; i++)
		args.known[i] = py->known[i];
	MA_TRY(ma_mem_write(w->pid, l->args, &args, sizeof(args)));
	return ma_mem_write(w->pid, args.maps, maps, n * sizeof(*maps));
}

static struct ma_error *map_scratch(struct ma_twin *w, struct ma_loaded *l)
{
	uint64_t private_bytes = 0;
	for (size_t i = 0; i < w->maps.count; i++)
		if (!(w->maps.v[i].prot & 8))
			private_bytes += w->maps.v[i].end - w->maps.v[i].start;
	/* Address space only: what is touched costs (design: 1.5 % of the heap). With overcommit off the kernel may
	 * refuse so much; then less is asked for. */
	for (uint64_t bytes = ROUND_UP(private_bytes / 4 + (1ull << 30), 4096);; bytes = ROUND_UP(bytes / 2, 4096)) {
		struct ma_error *err = map(w, l, "mmap of scratch memory", bytes, MAP_NORESERVE, &l->scratch);
		if (!err) {
			l->scratch_bytes = bytes;
			return NULL;
		}
		if (bytes / 2 < SCRATCH_MIN)
			return err;
		ma_error_free(err);
	}
}

struct ma_error *ma_agent_load(struct ma_twin *w, const struct ma_python *py, const struct ma_gil *gil, uint32_t flags,
			       const struct ma_values_wish *values, struct ma_loaded *ret)
{
	const struct ma_agent_blob *blob = ma_agent_blob_get();
	struct ma_loaded l = { .ring_fd = -1 };
	ma_raddr code, stack;
	uint64_t bytes = ROUND_UP((uint64_t)blob->bytes, 4096);
	struct ma_error *err = map(w, &l, "mmap of the agent", bytes, 0, &code);
	if (!err)
		err = ma_mem_write(w->pid, code, blob->data, blob->bytes);
	ma_fault_point(AGENT_MAPPED);
	/* never writable and executable at once */
	if (!err)
		err = ma_twin_call(w, "mprotect of the agent", NULL, SYS_mprotect, code, bytes, PROT_READ | PROT_EXEC,
				   0, 0, 0);
	if (!err)
		err = map(w, &l, "mmap of the agent's stack", STACK_GUARD + STACK_BYTES, 0, &stack);
	if (!err)
		err = ma_twin_call(w, "mprotect below the agent's stack", NULL, SYS_mprotect, stack, STACK_GUARD,
				   PROT_NONE, 0, 0, 0);
	if (!err)
		err = map_scratch(w, &l);
	if (!err)
		err = map_ring(w, &l);
	if (!err)
		err = write_args(w, py, gil, flags, values, &l);
	if (err) {
		if (l.ring_fd >= 0)
			close(l.ring_fd);
		return err;
	}
	ma_fault_point(AGENT_LOADED);
	l.entry = code + blob->entry;
	l.stack_end = stack + STACK_GUARD + STACK_BYTES;
	*ret = l;
	return NULL;
}

/* Back to the agent's own recovery point. *can: it had one. */
static struct ma_error *recover(struct ma_twin *w, const struct ma_loaded *l, bool standstill, bool *can)
{
	struct maa_args args;
	struct ma_regs regs;
	MA_TRY(ma_mem_read(w->pid, l->args, &args, sizeof(args)));
	*can = args.recover_pc != 0;
	if (!*can)
		return NULL;
	if (standstill) {
		args.standstills++;
		MA_TRY(ma_mem_write(w->pid, l->args + offsetof(struct maa_args, standstills), &args.standstills,
				    sizeof(args.standstills)));
	}
	MA_TRY(ma_regs_get(w->pid, &regs));
	ma_regs_call(&regs, args.recover_pc, args.recover_sp, l->args);
	return ma_regs_set(w->pid, &regs);
}

static struct ma_error *lost(struct ma_twin *w, const struct ma_loaded *l, int sig)
{
	struct maa_args args = { 0 };
	struct ma_regs regs;
	ma_error_free(ma_mem_read(w->pid, l->args, &args, sizeof(args)));
	struct ma_error *err = ma_regs_get(w->pid, &regs);
	uint64_t pc = err ? 0 : ma_regs_pc(&regs);
	ma_error_free(err);
	return ma_errorf(MA_ERR_OS, "the walk ended with signal %d at agent+0x%" PRIx64 ", object 0x%" PRIx64, sig,
			 pc - (l->entry - ma_agent_blob_get()->entry), args.current);
}

struct progress {
	uint32_t heartbeat, head, tail, done;
};

static struct ma_error *read_progress(struct ma_twin *w, const struct ma_loaded *l, struct progress *ret)
{
	struct ma_ring ring;
	MA_TRY(ma_mem_read(w->pid, l->ring, &ring, sizeof(ring)));
	*ret = (struct progress){ ring.heartbeat, ring.head, ring.tail, ring.done };
	return NULL;
}

/* A stop that we asked for, and why. */
enum asked { NOT_ASKED, FOR_STANDSTILL, FOR_PACE };

/* The other part of a period in which the twin may run for PACE_RUN_NS only. */
static void rest(double pace)
{
	uint64_t ns = (uint64_t)((double)PACE_RUN_NS * (1 / pace - 1));
	struct timespec t = { (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };
	nanosleep(&t, NULL);
}

/* The twin stands: true when the walk is over. Otherwise its registers are ready for it to go on. */
static struct ma_error *on_stop(struct ma_twin *w, const struct ma_loaded *l, struct ma_stop stop, enum asked asked,
				uint64_t *faults, bool *over)
{
	bool fault = stop.kind == MA_STOP_SIGNAL &&
		     (stop.value == SIGSEGV || stop.value == SIGBUS || stop.value == SIGFPE || stop.value == SIGILL);
	*over = false;
	if (stop.kind == MA_STOP_SIGNAL && stop.value == SIGTRAP) {
		struct progress now = { 0 };
		MA_TRY(read_progress(w, l, &now));
		*over = now.done != 0;
		if (*over)
			return NULL;
		fault = true;
	}
	if (fault) {
		bool filled;
		MA_TRY(ma_fill_fault(w, stop.value, &filled));
		if (filled)
			return NULL;
	}
	/* Any other signal was meant for the target, not for its twin. */
	if (!fault && !(stop.kind == MA_STOP_INTERRUPT && asked == FOR_STANDSTILL))
		return NULL;
	bool can;
	MA_TRY(recover(w, l, !fault, &can));
	if (can && *faults < MAX_FAULTS)
		++*faults;
	else if (fault)
		return lost(w, l, stop.value);
	return NULL;
}

/* "The process is gone", of the twin, is not what its target is. */
static struct ma_error *of_twin(struct ma_twin *w, struct ma_error *err)
{
	if (!err || err->code != MA_ERR_TARGET_GONE)
		return err;
	ma_error_free(err);
	w->th.gone = true;
	return ma_errorf(MA_ERR_OS, "the twin was killed during the walk (out of memory?)");
}

struct ma_error *ma_agent_run(struct ma_twin *w, const struct ma_loaded *l, uint64_t timeout_ns, double pace,
			      ma_watch watch, void *arg, uint64_t *faults_ret)
{
	struct ma_regs regs = w->th.saved;
	uint64_t faults = 0, deadline = ma_now_ns() + timeout_ns, moved = ma_now_ns();
	struct progress last = { 0 };
	enum asked asked = NOT_ASKED;
	bool resume = true, paced = pace > 0 && pace < 1;

	ma_regs_call(&regs, l->entry, l->stack_end, l->args);
	MA_TRY(ma_regs_set(w->pid, &regs));
	for (;;) {
		struct ma_stop stop;
		if (resume && ptrace(PTRACE_CONT, w->pid, 0, 0))
			return errno == ESRCH ? of_twin(w, ma_errorf(MA_ERR_TARGET_GONE, "gone"))
					      : ma_error_os(errno, "cannot continue the twin");
		ma_fault_point(WALK_STARTED);
		int n = ma_wait_tid(w->pid, ma_now_ns() + (paced ? PACE_RUN_NS : SLICE_NS), &stop);
		resume = n > 0;
		MA_TRY(watch(arg));
		if (n < 0 || (n > 0 && (stop.kind == MA_STOP_EXITED || stop.kind == MA_STOP_KILLED))) {
			return of_twin(w, ma_errorf(MA_ERR_TARGET_GONE, "gone"));
		}
		if (n > 0) {
			bool over;
			MA_TRY(of_twin(w, on_stop(w, l, stop, asked, &faults, &over)));
			if (over) {
				*faults_ret = faults;
				return NULL;
			}
			if (asked == FOR_PACE)
				rest(pace);
			asked = NOT_ASKED;
			continue;
		}
		struct progress now = { 0 };
		uint64_t t = ma_now_ns();
		MA_TRY(of_twin(w, read_progress(w, l, &now)));
		if (now.heartbeat != last.heartbeat || now.head - now.tail >= MA_RING_SLOTS)
			moved = t;
		last = now;
		if (t > deadline)
			return ma_errorf(MA_ERR_TIMEOUT, "the walk took longer than %" PRIu64 " s",
					 timeout_ns / 1000000000u);
		if (t - moved > STANDSTILL_NS) {
			/* A loop in foreign code (a tp_traverse): handled like a fault. */
			moved = t;
			asked = FOR_STANDSTILL;
		} else if (paced) {
			asked = FOR_PACE;
		}
		if (asked != NOT_ASKED)
			ptrace(PTRACE_INTERRUPT, w->pid, 0, 0);
	}
}
