// SPDX-License-Identifier: Apache-2.0
/* mapped_file.h - the file behind a mapping, for whoever reads images of a process. */
#ifndef MA_MAPPED_FILE_H
#define MA_MAPPED_FILE_H

#include "proc.h"

/* A descriptor of the file that is mapped at `m`, one of `maps`, in process `pid`: by /proc/PID/map_files, which gives
 * a deleted one and one of another mount namespace too, else by name below its root when it proves to be that file,
 * else a memfd with an image made from the memory (symbols, no DWARF). -1 when none can be had. The caller closes it.
 * `task_dir` is /proc/PID/task/TID. */
int ma_mapped_open(pid_t pid, int task_dir, const struct ma_maps *maps, const struct ma_map *m);

#endif
