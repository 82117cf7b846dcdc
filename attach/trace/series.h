// SPDX-License-Identifier: Apache-2.0
/* series.h - remembers from one snapshot of a process to the next which blocked calls were made again.
 *
 * A call with a relative timeout that is not in a register (recv with SO_RCVTIMEO, rt_sigtimedwait, semtimedop, ...)
 * starts its timeout anew when it is made again. Once is harmless; a series of snapshots would keep it from ever
 * ending. So such a call is made again in one run of ours only; when the next run finds the same thread in the same
 * call, EINTR is let through. The memory is one small file for a process, below $XDG_RUNTIME_DIR or /tmp, in a folder
 * of ours (0700).
 */
#ifndef MA_SERIES_H
#define MA_SERIES_H

#include <memattach/types.h>

#define MA_SERIES_MAX 256

struct ma_series_call {
	pid_t tid;
	long nr;
	uint64_t pc, sp, arg0;
	uint64_t at_ns; /* CLOCK_BOOTTIME of the last time it was made again */
	bool ours;      /* in this run */
};

struct ma_series {
	struct ma_series_call calls[MA_SERIES_MAX];
	unsigned count;
	bool changed;
	char path[128]; /* "" when there is no place to keep it */
};

/* Our folder, made if need be: below $XDG_RUNTIME_DIR or /tmp. False when it is somebody else's or can not be made. */
bool ma_private_folder(char *ret, size_t size);

/* Never fails: without a place, or with a damaged file, the series is empty. */
void ma_series_load(pid_t pid, uint64_t start_time, struct ma_series *ret);
/* Writes it if it changed; removes the file when nothing is left. */
void ma_series_store(struct ma_series *s);

/* May the call be made again? `blocked_ns`: how long the thread has been blocked, 0 = not known. True also remembers
 * it. */
bool ma_series_allow(struct ma_series *s, const struct ma_series_call *call, uint64_t blocked_ns);

#endif
