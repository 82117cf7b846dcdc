// SPDX-License-Identifier: Apache-2.0
#include "fill.h"

#include "cleanup.h"
#include "mem.h"
#include "twin.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#define PAGE UINT64_C(4096)
#define STEP_MAX (UINT64_C(1) << 20)
#define FILLS_MAX 20000u                /* each may make two mappings more: vm.max_map_count is 65530 */
#define BYTES_MAX (UINT64_C(512) << 20) /* memory that the copy costs on top */
#define SLICE (UINT64_C(16) << 20)      /* of one look at the live process's pages */

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

static struct ma_error *call(struct ma_twin *w, long *result, long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	const struct ma_syscall sc = { nr, { a, b, c, d, (uint64_t)-1, 0 } };
	return ma_remote_call(&w->th, w->gadget, &sc, result, NULL);
}

struct ma_error *ma_fill_reserve(struct ma_twin *w, const struct ma_raw *raw, pid_t live, int live_dir)
{
	struct ma_fill *f = w->fill;
	f->live = live;
	f->live_dir = live_dir;
	for (size_t i = 0; i < raw->count; i++) {
		uint64_t start = raw->v[i].start, bytes = raw->v[i].end - start;
		long at;
		MA_TRY(call(w, &at, SYS_mmap, start, bytes, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE));
		if (at != (long)start)
			return ma_errorf(MA_ERR_OS, "the place of what was kept out of the copy is taken");
		f->v[f->count++] = (struct ma_kept_out){ .start = start, .end = start + bytes };
	}
	return NULL;
}

void ma_fill_deinit(struct ma_fill *f)
{
	for (size_t i = 0; i < f->count; i++)
		free(f->v[i].filled);
	*f = (struct ma_fill){ .live_dir = -1 };
}

static void join(struct ma_map *m, const struct ma_map *more)
{
	m->end = more->end;
	m->rss += more->rss;
	m->pss += more->pss;
	m->private_dirty += more->private_dirty;
	m->private_clean += more->private_clean;
	m->shared_clean += more->shared_clean;
	m->shared_dirty += more->shared_dirty;
	m->anonymous += more->anonymous;
	m->huge += more->huge;
	m->swap += more->swap;
	m->locked += more->locked;
}

void ma_fill_join_maps(struct ma_maps *maps, const struct ma_kept_out *v, size_t count)
{
	size_t kept = 0, k = 0;
	bool behind = false; /* the next one continues the last one that was kept */
	for (size_t i = 0; i < maps->count; i++) {
		struct ma_map m = maps->v[i];
		while (k < count && v[k].end <= m.start)
			k++;
		bool in = k < count && m.start >= v[k].start && m.end <= v[k].end;
		struct ma_map *last = kept ? &maps->v[kept - 1] : NULL;
		if (in && last && last->end == m.start) {
			if (m.start == v[k].start) {
				m.rss = m.anonymous = m.shared_dirty = v[k].resident;
				m.pss = v[k].resident / 2;
				m.huge = v[k].huge;
			}
			join(last, &m);
			behind = m.end == v[k].end;
			continue;
		}
		if (behind && last && last->end == m.start && last->prot == m.prot && !strcmp(last->path, m.path))
			join(last, &m);
		else
			maps->v[kept++] = m;
		behind = false;
	}
	maps->count = kept;
}

static int pagemap_of(pid_t pid)
{
	char path[48];
	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static bool present(int pagemap, uint64_t addr)
{
	uint64_t entry;
	return pread(pagemap, &entry, sizeof(entry), (off_t)(addr / PAGE * sizeof(entry))) == sizeof(entry) &&
	       entry >> 63;
}

/* MADV_WIPEONFORK: the page before the range, which the target has, is not in the twin. */
static bool is_wiped(const struct ma_fill *f, pid_t twin, const struct ma_kept_out *r)
{
	_cleanup_close_ int here = pagemap_of(twin);
	_cleanup_close_ int there = openat(f->live_dir, "pagemap", O_RDONLY | O_CLOEXEC);
	const uint64_t around[] = { r->start - PAGE, r->end };
	bool some = false;
	for (unsigned i = 0; i < MA_ARRAY_SIZE(around); i++) {
		if (!present(there, around[i]))
			continue;
		if (present(here, around[i]))
			return false;
		some = true;
	}
	return some;
}

struct ma_error *ma_fill_settle(struct ma_twin *w)
{
	struct ma_fill *f = w->fill;
	for (size_t i = 0; i < f->count; i++) {
		struct ma_kept_out *r = &f->v[i];
		long result;
		if (!is_wiped(f, w->pid, r))
			continue;
		MA_TRY(call(w, &result, SYS_mprotect, r->start, r->end - r->start, PROT_READ | PROT_WRITE, 0));
		if (result)
			return ma_error_os((int)-result, "mprotect failed in the twin");
		r->wiped = true;
	}
	ma_fill_join_maps(&w->maps, f->v, f->count);
	return NULL;
}

static struct ma_kept_out *range_at(struct ma_fill *f, uint64_t addr)
{
	size_t low = 0, high = f->count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (f->v[mid].end <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low < f->count && f->v[low].start <= addr ? &f->v[low] : NULL;
}

bool ma_fill_meets(const struct ma_fill *f, uint64_t start, uint64_t bytes)
{
	uint64_t end = start + bytes < start ? UINT64_MAX : start + bytes;
	for (size_t i = 0; f && i < f->count; i++)
		if (f->v[i].start < end && start < f->v[i].end)
			return true;
	return false;
}

static bool has(const struct ma_kept_out *r, uint64_t page)
{
	uint64_t i = (page - r->start) / PAGE;
	return r->filled[i / 64] >> (i % 64) & 1;
}

/* Puts [start, end) there, of which the twin has nothing. False: the live process does not have the first page any
 * more, or the twin can not take it. */
static struct ma_error *put(struct ma_twin *w, struct ma_kept_out *r, uint64_t start, uint64_t end, bool *done)
{
	struct ma_fill *f = w->fill;
	long result;
	_cleanup_free_ uint8_t *data = malloc(end - start);
	if (!data)
		return &ma_enomem;
	uint64_t n = ma_mem_read_some(f->live, start, data, end - start) & ~(PAGE - 1);
	if (!n)
		return NULL;
	MA_TRY(call(w, &result, SYS_mprotect, start, n, PROT_READ | PROT_WRITE, 0));
	if (result)
		return NULL;
	MA_TRY(ma_mem_write(w->pid, start, data, n));
	for (uint64_t at = start; at < start + n; at += PAGE)
		r->filled[(at - r->start) / PAGE / 64] |= UINT64_C(1) << ((at - r->start) / PAGE % 64);
	f->bytes += n;
	f->fills++;
	f->next = start + n;
	*done = true;
	return NULL;
}

static struct ma_error *fill(struct ma_twin *w, uint64_t addr, bool *ours)
{
	struct ma_fill *f = w->fill;
	struct ma_kept_out *r = range_at(f, addr);
	uint64_t page = addr & ~(PAGE - 1);
	if (!r)
		return NULL;
	if (!r->filled)
		r->filled = calloc(((r->end - r->start) / PAGE + 63) / 64, sizeof(*r->filled));
	if (!r->filled)
		return &ma_enomem;
	if (has(r, page))
		return NULL;
	if (f->fills >= FILLS_MAX || f->bytes >= BYTES_MAX) {
		f->lost = true;
		return NULL;
	}
	/* One after the other: more each time. */
	f->step = page == f->next && f->step < STEP_MAX ? f->step * 2 : page == f->next ? f->step : PAGE;
	uint64_t end = page + PAGE;
	while (end < r->end && end - page < f->step && !has(r, end))
		end += PAGE;
	return put(w, r, page, end, ours);
}

struct ma_error *ma_fill_fault(struct ma_twin *w, int sig, bool *ours)
{
	siginfo_t info;
	struct ma_regs at_fault, base = w->th.saved;
	*ours = false;
	if (!w->fill || !w->fill->count || sig != SIGSEGV || ptrace(PTRACE_GETSIGINFO, w->pid, 0, &info))
		return NULL;
	MA_TRY(ma_regs_get(w->pid, &at_fault));
	w->th.saved = at_fault; /* injected calls start here, in no system call */
	struct ma_error *err = fill(w, (uint64_t)(uintptr_t)info.si_addr, ours);
	w->th.saved = base;
	return err ? err : ma_regs_set(w->pid, &at_fault);
}

/* Both are sorted; the runs of `more` lie where `to` has none. */
static struct ma_error *merge(struct ma_runs *to, const struct ma_runs *more)
{
	struct ma_runs all = { 0 };
	size_t i = 0, k = 0;
	bool ok = true;
	while (ok && (i < to->count || k < more->count)) {
		bool first = k == more->count || (i < to->count && to->v[i].start < more->v[k].start);
		const struct ma_run *r = first ? &to->v[i++] : &more->v[k++];
		ok = ma_runs_add(&all, r->start, r->end);
	}
	if (!ok) {
		ma_runs_deinit(&all);
		return ma_errorf(MA_ERR_LIMIT, "its pages lie in too many pieces");
	}
	ma_runs_deinit(to);
	*to = all;
	return NULL;
}

struct ma_error *ma_fill_runs(struct ma_fill *f, struct ma_runs *runs, struct ma_runs *huge)
{
	_cleanup_(ma_runs_deinit) struct ma_runs more = { 0 };
	_cleanup_(ma_runs_deinit) struct ma_runs more_huge = { 0 };
	size_t hint = 0, huge_hint = 0;
	for (size_t i = 0; i < f->count; i++) {
		struct ma_kept_out *r = &f->v[i];
		for (uint64_t at = r->start; !r->wiped && at < r->end; at += SLICE) {
			struct ma_map slice = {
				.start = at, .end = r->end - at < SLICE ? r->end : at + SLICE, .prot = 3, .path = ""
			};
			const struct ma_maps one = { .v = &slice, .count = 1 };
			MA_TRY(ma_runs_read(f->live_dir, &one, &more, &more_huge));
		}
		r->resident = ma_runs_bytes(&more, r->start, r->end, &hint);
		r->huge = ma_runs_bytes(&more_huge, r->start, r->end, &huge_hint);
	}
	MA_TRY(merge(runs, &more));
	return merge(huge, &more_huge);
}
