// SPDX-License-Identifier: Apache-2.0
/* raw.h - large ranges of memory that hold no Python object (arrays of numpy, buffers, big bytes). The kernel copies a
 * page table entry for each of their pages at a clone, and that is most of the stop of a process that has many; nobody
 * needs them in the copy. So they are kept out of it: MADV_DONTFORK before the clone, MADV_DOFORK after it, before the
 * target runs again.
 *
 * This is the one thing that would harm a program if it stayed: its own children would not have the range either. So it
 * is written down on disk first (journal), and undone on every way out, by the process that started the tracer if that
 * was killed, and by every later run.
 */
#ifndef MA_RAW_H
#define MA_RAW_H

#include "python.h"
#include "tracee.h"

#define MA_RAW_STEP (UINT64_C(2) << 20) /* ranges begin and end at multiples: no huge page is split */
#define MA_RAW_MIN (2 * MA_RAW_STEP)
#define MA_RAW_RANGES_MAX 256

struct ma_raw_range {
	ma_raddr start, end;
	uint64_t small, huge; /* resident bytes when it was looked at, by the size of their pages */
	uint32_t blocks;      /* of malloc that begin in it */
	bool set;             /* it is MADV_DONTFORK now, and was not before us */
};

struct ma_raw {
	struct ma_raw_range v[MA_RAW_RANGES_MAX]; /* sorted, apart from each other */
	size_t count;                             /* 0: everything is copied */
	uint64_t bytes;                           /* resident, of all */
	uint64_t saved_ns;                        /* of the stop, estimated; the calls are taken off */
	uint64_t maps_max;                        /* vm.max_map_count */
	char journal[160];                        /* its file, "" = none is written */
	int journal_fd;                           /* locked as long as this tracer lives; -1 = none */
};

/* Looks for ranges in a process that runs: page sizes, and some words of every page in them. Takes at most four
 * seconds, and no time worth mentioning where it can not pay. All that speaks against it is no error: then ret->count
 * is 0. */
MA_CHECK struct ma_error *ma_raw_find(const struct ma_tracee *t, const struct ma_python *py, const struct ma_maps *maps,
				      uint64_t small_bytes, uint64_t huge_bytes, struct ma_raw *ret);

/* In the stopped target: drops every range that is not what it was any more. Only what is still as it should be may be
 * kept out. */
void ma_raw_confirm(const struct ma_tracee *t, const struct ma_python *py, struct ma_raw *raw);

/* The same thread, in the stopped target, before and after the clone; its registers are its own again when they return.
 * A range that the program itself keeps out of its children is left as it is, and dropped. ma_raw_give_back() may be
 * called at any time; an error means that a range is still kept out: the journal stays. */
MA_CHECK struct ma_error *ma_raw_keep_out(struct ma_tracee *t, struct ma_thread *th, ma_raddr gadget,
					  struct ma_raw *raw);
MA_CHECK struct ma_error *ma_raw_give_back(struct ma_thread *th, ma_raddr gadget, struct ma_raw *raw);

/* ---- the journal: pid, start time, boot, ranges; in a folder of ours (0700), 0600, on disk before it returns. */

/* Before the first call. Without a place for it there is nothing to keep out: raw->count becomes 0. */
void ma_raw_journal_write(const struct ma_tracee *t, struct ma_raw *raw);
/* After the last ma_raw_give_back(). False: a range is still kept out, and the journal stays, for ma_raw_undo_all(). */
bool ma_raw_journal_remove(struct ma_raw *raw);

/* Is there one that no living tracer holds, of a process that lives? `pid` 0: of any. Only looks. */
bool ma_raw_is_left(pid_t pid);
/* Gives back what dead tracers left, in every process that still lives. Only in a process with SIGCHLD blocked. Returns
 * what could not be given back; the journals of the others are gone. */
MA_CHECK struct ma_error *ma_raw_undo_all(void);

#endif
