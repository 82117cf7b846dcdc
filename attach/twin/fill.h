// SPDX-License-Identifier: Apache-2.0
/* fill.h - raw data that was kept out of the clone (raw.h), in the twin: nothing stands there at first, and nothing may
 * be read there. What the twin does read, page by page, the tracer reads from the live process and puts there: a little
 * of each array, as a rule. So these values are of a later moment than the rest. */
#ifndef MA_FILL_H
#define MA_FILL_H

#include "raw.h"
#include "runs.h"

struct ma_twin;

struct ma_kept_out {
	ma_raddr start, end;
	uint64_t resident, huge; /* bytes, of the live process after the stop */
	bool wiped;              /* it is zero in every child of the program, and so in the twin */
	uint64_t *filled;        /* a bit for each page that the twin has by now; NULL = none */
};

struct ma_fill {
	struct ma_kept_out v[MA_RAW_RANGES_MAX]; /* sorted, apart from each other */
	size_t count;
	pid_t live;     /* a thread of the target */
	int live_dir;   /* its folder in /proc, borrowed */
	uint64_t bytes; /* that were read from it */
	unsigned fills;
	bool lost; /* more was asked for than is given, or the twin changed the ranges: take another one, of everything
		    */
	ma_raddr next; /* behind the last page that was put there, and how much that was */
	uint64_t step;
};

/* In the twin, before it maps anything: takes the place of what was kept out, so that nothing else comes there. */
MA_CHECK struct ma_error *ma_fill_reserve(struct ma_twin *w, const struct ma_raw *raw, pid_t live, int live_dir);
/* When w->maps was read: makes one mapping of what is one in the target. What the program itself wipes in its children
 * is zero in the twin, too. */
MA_CHECK struct ma_error *ma_fill_settle(struct ma_twin *w);
void ma_fill_deinit(struct ma_fill *f);

/* The twin stands at a fault: *ours when a page was put there, and the instruction can be made again. */
MA_CHECK struct ma_error *ma_fill_fault(struct ma_twin *w, int sig, bool *ours);
/* Does [start, start + bytes) meet a range? */
bool ma_fill_meets(const struct ma_fill *f, uint64_t start, uint64_t bytes);

/* Makes one entry of `maps` of the pieces of what was one in the target. With sizes (smaps): the range counts as
 * private pages that two processes share, as those of the twin do. */
void ma_fill_join_maps(struct ma_maps *maps, const struct ma_kept_out *v, size_t count);
/* Adds the resident pages of the ranges, of the live process, to those of the twin; counts them in f->v. */
MA_CHECK struct ma_error *ma_fill_runs(struct ma_fill *f, struct ma_runs *runs, struct ma_runs *huge);

#endif
