// SPDX-License-Identifier: Apache-2.0
/* pages.c - page sizes of a live process and the stop they mean, without its smaps: that would hold its mmap lock for
 * 10 ms a GB. PAGEMAP_SCAN (Linux 6.7) holds it too, but for one short range at a time. */
#include "pagemap_scan.h"
#include "proc_preflight.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

/* One call ends after 512 pages found (2 MB) or this range, so the lock is free again within some 100 us. Reserved
 * regions without a page have no page tables: there the range grows. */
#define SCAN_RANGE ((uint64_t)64 << 20)
#define SCAN_RANGE_MAX ((uint64_t)1 << 30)
#define SCAN_PAGES 512
#define SCAN_REGIONS 64
/* Then what was seen so far stands for the rest. */
#define SCAN_BUDGET_NS 10000000

/* ms for each GB, as ns for each MiB: between the best (17 and 0.5) and the worst figure measured on a loaded machine
 * (74 and 4.5); design.md section 4. Pinned pages are copied inside fork, at some 4 GB/s. */
#define SMALL_NS_PER_MIB 29300
#define HUGE_NS_PER_MIB 1500
#define PINNED_NS_PER_MIB 250000
#define BASE_NS 800000     /* clone of the process itself and its descriptors, with the stop of few threads */
#define THREAD_NS 12000    /* seize, interrupt, wait, detach for each further thread */
#define DESCRIPTOR_NS 2000 /* ma_descriptors_check(): the link of each */

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

struct seen {
	uint64_t small, huge, deadline;
};

/* false when the kernel has no such call or the time is up. */
static bool scan_map(int fd, uint64_t start, uint64_t end, uint64_t page, struct seen *s)
{
	struct scan_region v[SCAN_REGIONS];
	uint64_t range = SCAN_RANGE;
	while (start < end) {
		struct scan_arg arg = {
			.size = sizeof(arg),
			.start = start,
			.end = end - start > range ? start + range : end,
			.vec = (uint64_t)(uintptr_t)v,
			.vec_len = SCAN_REGIONS,
			.max_pages = SCAN_PAGES,
			.category_inverted = SCAN_ZERO,
			.category_mask = SCAN_PRESENT | SCAN_ZERO,
			.return_mask = SCAN_PRESENT | SCAN_HUGE,
		};
		int n = ioctl(fd, SCAN_IOCTL, &arg);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || n > SCAN_REGIONS || arg.walk_end <= start || arg.walk_end > end)
			return false;
		for (int i = 0; i < n; i++) {
			uint64_t bytes = v[i].end - v[i].start;
			if (v[i].categories & SCAN_HUGE)
				s->huge += bytes;
			else
				s->small += bytes;
		}
		range = n ? SCAN_RANGE : range < SCAN_RANGE_MAX ? range * 2 : SCAN_RANGE_MAX;
		start = arg.walk_end & ~(page - 1);
		if (now_ns() > s->deadline)
			return false;
	}
	return true;
}

void ma_pages_read(int dir, const struct ma_status *status, const struct ma_maps *maps, uint64_t *small_ret,
		   uint64_t *huge_ret)
{
	struct seen s = { .deadline = now_ns() + SCAN_BUDGET_NS };
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	*small_ret = status->rss_anon;
	*huge_ret = 0;
	int fd = openat(dir, "pagemap", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	/* fork copies the entries of private memory only; pages of shared memory are faulted in later. */
	for (size_t i = 0; i < maps->count; i++) {
		const struct ma_map *m = &maps->v[i];
		if ((m->prot & 8) || !(m->prot & 2) || m->end >> 63)
			continue;
		if (!scan_map(fd, m->start, m->end, page, &s))
			break;
	}
	close(fd);
	uint64_t all = s.small + s.huge;
	if (!all)
		return;
	uint64_t huge = (uint64_t)((double)status->rss_anon * ((double)s.huge / (double)all));
	*huge_ret = huge < status->rss_anon ? huge : status->rss_anon;
	*small_ret = status->rss_anon - *huge_ret;
}

uint64_t ma_pages_cost_ns(uint64_t small_bytes, uint64_t huge_bytes)
{
	return (small_bytes >> 20) * SMALL_NS_PER_MIB + (huge_bytes >> 20) * HUGE_NS_PER_MIB;
}

uint64_t ma_pages_estimate_ns(uint64_t small_bytes, uint64_t huge_bytes, uint64_t pinned_bytes, unsigned threads,
			      uint64_t descriptors)
{
	if (descriptors > MA_DESCRIPTORS_MAX)
		descriptors = MA_DESCRIPTORS_MAX;
	return BASE_NS + (uint64_t)threads * THREAD_NS + descriptors * DESCRIPTOR_NS +
	       ma_pages_cost_ns(small_bytes, huge_bytes) + (pinned_bytes >> 20) * PINNED_NS_PER_MIB;
}
