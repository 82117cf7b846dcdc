// SPDX-License-Identifier: Apache-2.0
/* targets.h - which processes a command is about: PID..., --name, --tree, --cgroup, ssh:// and tls://,
 * core:FILE. */
#ifndef MA_TARGETS_H
#define MA_TARGETS_H

#include "far.h"

struct ma_targets {
	pid_t *pids;
	size_t count;
	bool together; /* a tree or a control group: what is there is looked up for each round */
	bool headed;   /* a tree: the first one is the one that was asked for */
};

void ma_targets_deinit(struct ma_targets *t);
#define _cleanup_targets_ __attribute__((__cleanup__(ma_targets_deinit)))

/* Those of the arguments, or the one Python process whose command line has the pattern of --name in it; with --tree
 * that one and all Python processes below it, it first (it may be no Python itself), parents before their children;
 * those of --cgroup. What started this command (sudo, a shell) is not meant by a name. MA_ERR_TARGET_GONE when there is
 * none, MA_ERR_USAGE, with a list, when a name means several. When they are far, `far` becomes the way there; it is
 * zero, or as a call before has left it. Of a core file the one number is 0, and `far` has its path. */
MA_CHECK struct ma_error *ma_targets_find(const struct ma_cli *cli, struct ma_target *far, struct ma_targets *ret);

#endif
