// SPDX-License-Identifier: Apache-2.0
/* memattach/attach.h - one snapshot of a running process: blocks of wire.h into a sink. */
#ifndef MEMATTACH_ATTACH_H
#define MEMATTACH_ATTACH_H

#include <memattach/error.h>
#include <memattach/types.h>
#include <memattach/values.h>
#include <memattach/wire.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where the blocks go, in order. `block` gets a header and its payload, valid during the call only; an
 * error it returns ends the snapshot, undoes everything, and is what ma_attach_snapshot() returns. */
struct ma_sink {
	void *arg;
	struct ma_error *(*block)(void *arg, const struct ma_block_hdr *hdr, const void *payload);
};

struct ma_attach_progress {
	const char *phase; /* "finding", "stopping", "unwinding", "running forward", "walking", "finishing" */
	uint64_t objects, edges, elapsed_ns;
	unsigned ring_percent;
};

struct ma_attach_options {
	pid_t pid;
	const char *core; /* in place of a process: a core file; NULL = none */
	bool stop; /* no clone: the process is stopped while its memory is copied */
	const int *core_out; /* where a core file of the copy is written, too; NULL = none */
	const char *exe;  /* of a core: the executable that ran, NULL = that of the path in it */
	bool threads_only;        /* `stacks`: no heap walk */
	bool native;              /* native stacks too; the frames are then as they were at the stop */
	struct ma_values_wish values;
	const char *note;         /* becomes a note of the snapshot; may be NULL */
	uint64_t stop_timeout_ns; /* longest time to wait for all threads to stop; 0 = 1 s */
	uint64_t safe_timeout_ns; /* longest run forward of the twin; 0 = 2 s */
	uint64_t walk_timeout_ns; /* the twin's life; 0 = 120 s */
	/* Large ranges that hold no Python object are kept out of the copy where that shortens the stop; what is looked at in
	 * them is read from the process later. */
	bool raw_live;
	uint64_t max_pause_ns;    /* refuse when the estimate of the stop is above it; 0 = no limit */
	void (*progress)(void *arg, const struct ma_attach_progress *p); /* may be NULL */
	void *progress_arg;
	const volatile int *cancel; /* set by a signal handler, or atomically by a thread: undone, MA_ERR_CANCELLED */
};

struct ma_attach_result {
	uint64_t pause_ns, safe_ns, twin_ns, walk_ns;
	unsigned attempts;
	enum ma_consistency consistency;
	uint64_t faults;
	char *left_behind; /* what could not be undone, one line; NULL as a rule. The caller frees it. */
};

/* Takes one snapshot of options->pid. META goes to the sink first, then what the agent writes, REGIONS,
 * STATS, and RESULT last. When it returns, with or without an error, the target runs as before and has no
 * trace of us. */
MA_CHECK struct ma_error *ma_attach_snapshot(const struct ma_attach_options *options, struct ma_sink *sink,
					     struct ma_attach_result *ret);

#ifdef __cplusplus
}
#endif

#endif
