// SPDX-License-Identifier: Apache-2.0
/* proc_preflight.h - the parts of the preflight; used inside attach/proc and by its tests. All of them only read. */
#ifndef MA_PROC_PREFLIGHT_H
#define MA_PROC_PREFLIGHT_H

#include "proc.h"
#include "proc_cgroup.h"

/* pages.c: how much of the private memory stands in 4 KiB and in huge pages, in bytes, scaled to RssAnon. Where the
 * kernel cannot tell (before 6.7) all of it counts as small: the upper bound. */
void ma_pages_read(int dir, const struct ma_status *status, const struct ma_maps *maps, uint64_t *small_ret,
		   uint64_t *huge_ret);
/* Nanoseconds of the stop for so many bytes: fork copies a page table entry for each page. */
uint64_t ma_pages_estimate_ns(uint64_t small_bytes, uint64_t huge_bytes, uint64_t pinned_bytes, unsigned threads,
			      uint64_t descriptors);

/* How many descriptors a process has, without a look at any of them; 0 where the kernel can not tell. */
uint64_t ma_descriptors_count(int dir);
/* A server with more is looked at up to here: some 40 ms. */
#define MA_DESCRIPTORS_MAX 20000u

/* descriptors.c: what the target's descriptors mean for a copy of it. */
struct ma_descriptors {
	bool userfaultfd_fork; /* a userfaultfd with EVENT_FORK: clone would wait for its reader, whom we stopped */
	bool direct;           /* a file opened with O_DIRECT */
};
void ma_descriptors_read(int dir, bool want_direct, struct ma_descriptors *ret);
/* fdinfo of a userfaultfd, "API:\taa:FEATURES:..."; true when bit UFFD_FEATURE_EVENT_FORK is on. */
bool ma_userfaultfd_text_has_fork(const char *fdinfo);
/* fdinfo's "flags:\t0140000"; true with O_DIRECT. */
bool ma_fdinfo_text_is_direct(const char *fdinfo);

/* limits.c: memory and process limits outside of cgroups. */
/* Soft "Max processes" of /proc/PID/limits; UINT64_MAX when unlimited or not found. */
uint64_t ma_limits_text_nproc(const char *limits);
/* Bytes that overcommit mode 2 has left (CommitLimit - Committed_AS), 0 when none. */
uint64_t ma_meminfo_text_commit_left(const char *meminfo);
/* Bytes of memory that the machine has, and that it can give without swapping; false where the text does not say. */
bool ma_meminfo_text_memory(const char *meminfo, uint64_t *total_ret, uint64_t *available_ret);
/* What a fork of this program adds to Committed_AS: its private writable regions. */
uint64_t ma_maps_commit_bytes(const struct ma_maps *maps);
/* hugetlb.c: private pages of hugetlbfs. An upper bound of what is mapped, by its shape. */
uint64_t ma_maps_hugetlb_bytes(const struct ma_maps *maps);
/* Bytes of such pages that are free and promised to nobody, of the size with the least; 0 where that can not be
 * read, UINT64_MAX without a pool. */
uint64_t ma_hugetlb_pool_left(void);

/* limits.c: the memory a twin may cost the target's cgroup. See the rule in limits.c. */
uint64_t ma_twin_need_bytes(const struct ma_status *status);

#endif
