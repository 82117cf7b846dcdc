// SPDX-License-Identifier: Apache-2.0
/* far.h - the target of a command: a process here, or one behind ssh://. */
#ifndef MA_FAR_H
#define MA_FAR_H

#include "cli.h"

#include <memattach/session.h>

struct ma_far;

struct ma_target {
	pid_t pid;          /* there, if it is far */
	struct ma_far *far; /* NULL: here */
	char *label;        /* "pid 4242" or "host: pid 4242": what messages begin with */
};

/* Of a far target: connects, and starts what answers there. */
MA_CHECK struct ma_error *ma_target_open(const struct ma_cli *cli, const char *text, struct ma_target *ret);
void ma_target_close(struct ma_target *t);
/* ma_session_snapshot() and ma_session_doctor(), wherever the target is. */
MA_CHECK struct ma_error *ma_target_snapshot(const struct ma_cli *cli, struct ma_target *t,
					     const struct ma_session_options *options, struct ma_session_result *ret);
MA_CHECK struct ma_error *ma_target_doctor(struct ma_target *t, struct ma_doctor *ret);

#define _cleanup_target_ __attribute__((__cleanup__(ma_target_close)))

#endif
