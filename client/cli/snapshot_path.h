// SPDX-License-Identifier: Apache-2.0
/* snapshot_path.h - where a snapshot goes. */
#ifndef MA_SNAPSHOT_PATH_H
#define MA_SNAPSHOT_PATH_H

#include "cli.h"

/* <folder>/<YYYYmmddTHHMMSS>-<pid>.mem (local time; "core" in place of pid 0), with -2 and so on behind it while there
 * is such a file. `folder`: NULL for $XDG_DATA_HOME/memattach, else under ~/.local/share, which is made with mode 0700.
 * The caller frees *ret. */
MA_CHECK struct ma_error *ma_snapshot_path_default(const char *folder, pid_t pid, char **ret);

#endif
