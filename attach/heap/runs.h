// SPDX-License-Identifier: Apache-2.0
/* runs.h - which pages of a frozen process are resident: sorted ranges of addresses. RSS counts these pages and no
 * others, so what lies in a range of addresses counts only as far as its pages are there. */
#ifndef MA_RUNS_H
#define MA_RUNS_H

#include "proc.h"

struct ma_run {
	uint64_t start, end;
};

struct ma_runs {
	struct ma_run *v; /* sorted, apart from each other */
	size_t count, cap;
};

/* All zero is an empty list. */
void ma_runs_deinit(struct ma_runs *r);
/* Adds a run at or behind the end of the last. False when it is not, at the limit, or out of memory. */
bool ma_runs_add(struct ma_runs *r, uint64_t start, uint64_t end);
/* Bytes of [start, end) that are in runs. *hint: the position where the last question ended, 0 at first; questions in
 * the order of addresses then cost next to nothing. */
uint64_t ma_runs_bytes(const struct ma_runs *r, uint64_t start, uint64_t end, size_t *hint);
/* The first run that ends behind addr; r->count if none. */
size_t ma_runs_find(const struct ma_runs *r, uint64_t addr);

/* The resident anonymous pages of process `dir` (a descriptor of /proc/PID) in the mappings without a file: private,
 * not the shared zero page. *huge_ret: those of them in huge pages, as far as the kernel tells (Linux 6.7). An error
 * where pagemap may not be read; MA_ERR_LIMIT above some million runs. Only for a process that is frozen. */
MA_CHECK struct ma_error *ma_runs_read(int dir, const struct ma_maps *maps, struct ma_runs *ret,
				       struct ma_runs *huge_ret);

#endif
