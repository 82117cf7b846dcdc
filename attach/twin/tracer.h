// SPDX-License-Identifier: Apache-2.0
/* tracer.h - the tracer: a small process in a session of its own that does all that touches the target. It survives the
 * command, undoes what it did when the command is gone, and ends. */
#ifndef MA_TRACER_H
#define MA_TRACER_H

#include "channel.h"
#include "proc.h"
#include "python.h"
#include "raw.h"

#include <memattach/attach.h>

/* The name of the tracer in /proc. */
#define MA_TRACER_NAME "memattach-trace"

struct ma_tracer_job {
	const struct ma_attach_options *options;
	const struct ma_python *python;
	const struct ma_preflight *preflight;
	const struct ma_raw *raw; /* what may be kept out of the copy */
	bool reap_only;           /* a tracer was killed: only clear away what it left */
	struct ma_undo undo;      /* and what it had told of that */
	uint64_t start_time;      /* of the process that was looked at: /proc/PID/stat 22 */
	uint64_t runtime_head; /* *(_PyRuntime + interpreters.head) as it was looked at; another value = another program
				*/
};

/* Starts the tracer. *end_ret is the command's end of the channel, *tracer_ret its pid, a child of the caller. */
MA_CHECK struct ma_error *ma_tracer_start(const struct ma_tracer_job *job, int *end_ret, pid_t *tracer_ret);

#endif
