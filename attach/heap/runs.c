// SPDX-License-Identifier: Apache-2.0
#include "runs.h"

#include "cleanup.h"
#include "pagemap_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define RUNS_MAX (4u << 20)
#define RESERVED_MAX (UINT64_C(4) << 30)

void ma_runs_deinit(struct ma_runs *r)
{
	free(r->v);
	*r = (struct ma_runs){ 0 };
}

bool ma_runs_add(struct ma_runs *r, uint64_t start, uint64_t end)
{
	struct ma_run *last = r->count ? &r->v[r->count - 1] : NULL;
	if (start >= end || (last && start < last->end))
		return false;
	if (last && start == last->end) {
		last->end = end;
		return true;
	}
	if (r->count == r->cap) {
		size_t cap = r->cap ? r->cap * 2 : 256;
		struct ma_run *v = cap <= RUNS_MAX ? realloc(r->v, cap * sizeof(*v)) : NULL;
		if (!v)
			return false;
		r->v = v;
		r->cap = cap;
	}
	r->v[r->count++] = (struct ma_run){ start, end };
	return true;
}

size_t ma_runs_find(const struct ma_runs *r, uint64_t addr)
{
	size_t low = 0, high = r->count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (r->v[mid].end <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

uint64_t ma_runs_bytes(const struct ma_runs *r, uint64_t start, uint64_t end, size_t *hint)
{
	size_t i = *hint;
	uint64_t bytes = 0;
	if (i >= r->count || start < r->v[i].start || start >= r->v[i].end)
		*hint = i = ma_runs_find(r, start);
	for (; i < r->count && r->v[i].start < end; i++) {
		uint64_t a = r->v[i].start > start ? r->v[i].start : start, b = r->v[i].end < end ? r->v[i].end : end;
		bytes += b > a ? b - a : 0;
	}
	return bytes;
}

#define SCAN_REGIONS 512

struct reading {
	int fd;
	bool plain; /* no PAGEMAP_SCAN: 8 bytes for each page */
	struct ma_runs *runs, *huge;
};

static struct ma_error *too_many(void)
{
	return ma_errorf(MA_ERR_LIMIT, "its pages lie in too many pieces");
}

/* *done_ret: false when the kernel has no such call. */
static struct ma_error *scan(struct reading *r, uint64_t start, uint64_t end, bool *done_ret)
{
	struct scan_region v[SCAN_REGIONS];
	*done_ret = false;
	while (start < end) {
		struct scan_arg arg = {
			.size = sizeof(arg),
			.start = start,
			.end = end,
			.vec = (uint64_t)(uintptr_t)v,
			.vec_len = SCAN_REGIONS,
			.category_inverted = SCAN_ZERO,
			.category_mask = SCAN_PRESENT | SCAN_ZERO,
			.return_mask = SCAN_PRESENT | SCAN_HUGE,
		};
		int n = ioctl(r->fd, SCAN_IOCTL, &arg);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || n > SCAN_REGIONS || arg.walk_end <= start || arg.walk_end > end)
			return NULL;
		for (int i = 0; i < n; i++) {
			if (!ma_runs_add(r->runs, v[i].start, v[i].end) ||
			    ((v[i].categories & SCAN_HUGE) && !ma_runs_add(r->huge, v[i].start, v[i].end)))
				return too_many();
		}
		start = arg.walk_end;
	}
	*done_ret = true;
	return NULL;
}

/* Documentation/admin-guide/mm/pagemap.rst: bit 63 present, bit 61 a page of a file or shared. The zero page looks like
 * any other here: only what was read and never written has it. */
static struct ma_error *plain(struct reading *r, uint64_t start, uint64_t end)
{
	uint64_t v[512], page = (uint64_t)sysconf(_SC_PAGESIZE);
	while (start < end) {
		uint64_t want = (end - start) / page;
		if (want > MA_ARRAY_SIZE(v))
			want = MA_ARRAY_SIZE(v);
		ssize_t n = pread(r->fd, v, want * 8, (off_t)(start / page * 8));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 8)
			return ma_error_os(n < 0 ? errno : EIO, "cannot read pagemap");
		for (uint64_t i = 0; i < (uint64_t)n / 8; i++)
			if ((v[i] >> 63) && !(v[i] >> 61 & 1) &&
			    !ma_runs_add(r->runs, start + i * page, start + (i + 1) * page))
				return too_many();
		start += (uint64_t)n / 8 * page;
	}
	return NULL;
}

struct ma_error *ma_runs_read(int dir, const struct ma_maps *maps, struct ma_runs *ret, struct ma_runs *huge_ret)
{
	_cleanup_close_ int fd = openat(dir, "pagemap", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return ma_error_os(errno, "cannot read pagemap");
	struct reading r = { .fd = fd, .runs = ret, .huge = huge_ret };
	for (size_t i = 0; i < maps->count; i++) {
		const struct ma_map *m = &maps->v[i];
		bool done = false;
		if ((m->prot & 8) || m->path[0] == '/' || !strncmp(m->path, "[v", 2) || m->end >> 63)
			continue;
		if (!r.plain)
			MA_TRY(scan(&r, m->start, m->end, &done));
		if (!done && !r.plain) {
			if (ret->count && ret->v[ret->count - 1].end > m->start)
				continue; /* it ended in the middle: that never happens for want of the call */
			r.plain = true;
		}
		/* what is merely reserved can be terabytes, at 8 bytes a page */
		if (r.plain && ((m->prot & 7) || m->end - m->start <= RESERVED_MAX))
			MA_TRY(plain(&r, m->start, m->end));
	}
	return NULL;
}
