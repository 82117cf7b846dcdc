// SPDX-License-Identifier: Apache-2.0
/* taking.h - takes a snapshot for a person: Ctrl-C undoes it, progress shows when it takes long. */
#ifndef MA_TAKING_H
#define MA_TAKING_H

#include "cli.h"

#include <memattach/session.h>

/* Messages of errors begin with the pid. */
MA_CHECK struct ma_error *ma_take_snapshot(const struct ma_cli *cli, pid_t pid, const char *path, bool threads_only,
					   struct ma_session_result *ret);

#endif
