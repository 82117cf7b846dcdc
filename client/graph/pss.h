// SPDX-License-Identifier: Apache-2.0
/* pss.h - resident memory of processes that were taken together, with what they share counted once. */
#ifndef MA_PSS_H
#define MA_PSS_H

#include <memattach/snapshot.h>

struct ma_pss_part {
	uint64_t rss, share; /* bytes: resident, and how many of them fall to this process */
};

struct ma_pss {
	const struct ma_snap_tables *tab; /* in: of the process */
	struct ma_pss_part anon, file, shmem;
};

/* Sets the shares of the `count` processes of v; they add up to what the processes have together. An estimate where
 * pages are shared by some of them only:
 * - Anonymous pages are shared by fork. The Pss of each mapping was read in the copy, where a page of one process alone
 *   counts half (for the process and its copy) and one of K processes as 1 / (K + 1). Each page is taken for one of
 * these two, K being the processes here that have anonymous pages at the same addresses.
 * - Files and shared memory have no page tables in the copy: what RssFile and RssShmem have beyond what was seen is
 * spread over the mappings by their size, and a file counts once, as large as where most of it is resident. */
MA_CHECK struct ma_error *ma_pss_compute(struct ma_pss *v, size_t count);

#endif
