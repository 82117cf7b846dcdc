// SPDX-License-Identifier: Apache-2.0
/* paths.h - memory by path (path_groups.h) in the formats of profilers. */
#ifndef MA_EXPORT_PATHS_H
#define MA_EXPORT_PATHS_H

#include "path_groups.h"

#include <stdio.h>

/* A path of which less than this part of all bytes is below is not shown by itself. */
#define MA_EXPORT_PATHS_LEAST 100000

/* The groups of a snapshot, for the functions below. */
MA_CHECK struct ma_error *ma_export_path_groups(const struct ma_snap *s, struct ma_path_groups *ret);
/* One line for each path: "root;a;b bytes". */
MA_CHECK struct ma_error *ma_export_collapsed(FILE *out, const struct ma_path_groups *p);
/* JSON of speedscope.app; `name` is shown as the title. */
MA_CHECK struct ma_error *ma_export_speedscope(FILE *out, const struct ma_path_groups *p, const char *name);
/* profile.proto of pprof, in gzip; `realtime_ns`: when the snapshot was taken. */
MA_CHECK struct ma_error *ma_export_pprof(FILE *out, const struct ma_path_groups *p, uint64_t realtime_ns);

/* The group and those above it, itself first; returns how many. */
uint32_t ma_export_way(const struct ma_path_groups *p, uint32_t group, uint32_t way[MA_GROUP_DEPTH_MAX]);

struct ma_export_frames { /* different texts of groups */
	const char **texts;
	uint32_t *of_group; /* position in texts */
	uint32_t count;
};
MA_CHECK struct ma_error *ma_export_frames(const struct ma_path_groups *p, struct ma_export_frames *ret);
void ma_export_frames_deinit(struct ma_export_frames *f);

#endif
