// SPDX-License-Identifier: Apache-2.0
/* far.h - the target of a command: a process here, or what is behind ssh:// or tls://. */
#ifndef MA_FAR_H
#define MA_FAR_H

#include "cli.h"
#include "remote.h"

#include <memattach/session.h>

struct ma_far;

struct ma_target {
	pid_t pid;                /* there, if it is far */
	const char *core;         /* in place of a process: a core file; pid is 0 */
	struct ma_remote_url url; /* host NULL: here */
	struct ma_far *far;       /* the link, while there is one */
	char *label;              /* "pid 4242" or "host: pid 4242": what messages begin with */
};

/* The one process that `text` means. Of a far target: connects, and starts what answers there. */
MA_CHECK struct ma_error *ma_target_open(const struct ma_cli *cli, const char *text, struct ma_target *ret);
bool ma_target_is_far(const struct ma_target *t);
/* Connects to the host of t->url unless that is done. Errors begin with its name. */
MA_CHECK struct ma_error *ma_target_link(const struct ma_cli *cli, struct ma_target *t);
/* Hangs up; ma_target_link() connects anew. */
void ma_target_unlink(struct ma_target *t);
void ma_target_close(struct ma_target *t);
/* ma_session_snapshot() and ma_session_doctor(), wherever the target is. A link that broke is hung up. */
MA_CHECK struct ma_error *ma_target_snapshot(const struct ma_cli *cli, struct ma_target *t,
					     const struct ma_session_options *options, struct ma_session_result *ret);
MA_CHECK struct ma_error *ma_target_doctor(struct ma_target *t, struct ma_doctor *ret);
/* The processes of t->url; with `tree` also those below it. */
MA_CHECK struct ma_error *ma_target_list(const struct ma_cli *cli, struct ma_target *t, bool tree, pid_t **ret,
					 size_t *count_ret);

#define _cleanup_target_ __attribute__((__cleanup__(ma_target_close)))

#endif
