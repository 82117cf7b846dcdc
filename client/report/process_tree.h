// SPDX-License-Identifier: Apache-2.0
/* process_tree.h - what a process and those below it have in memory together, for a person or as JSON. */
#ifndef MA_PROCESS_TREE_H
#define MA_PROCESS_TREE_H

#include "report.h"

struct ma_tree_member {
	const char *name; /* id or path: as the user would type it */
	const char *path;
	const struct ma_snap_tables *tab; /* of the whole file (ma_snap_open) */
};

/* `opt`: bytes, columns and colour count. Write errors show in ferror(out). */
MA_CHECK struct ma_error *ma_process_tree_text(FILE *out, const struct ma_tree_member *members, size_t count,
					       const struct ma_report_options *opt);
MA_CHECK struct ma_error *ma_process_tree_json(FILE *out, const struct ma_tree_member *members, size_t count);

#endif
