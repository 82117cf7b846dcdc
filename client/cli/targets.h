// SPDX-License-Identifier: Apache-2.0
/* targets.h - which processes a command is about: PID..., --name, --tree. */
#ifndef MA_TARGETS_H
#define MA_TARGETS_H

#include "cli.h"

struct ma_targets {
	pid_t *pids;
	size_t count;
};

void ma_targets_deinit(struct ma_targets *t);
#define _cleanup_targets_ __attribute__((__cleanup__(ma_targets_deinit)))

/* Those of the arguments, or the one Python process that --name means: its command line has the pattern in it.
 * MA_ERR_TARGET_GONE when there is none, MA_ERR_USAGE, with a list, when there are several. */
MA_CHECK struct ma_error *ma_targets_find(const struct ma_cli *cli, struct ma_targets *ret);

#endif
