// SPDX-License-Identifier: Apache-2.0
/* round.h - one snapshot of each process that is asked for: taken, listed, and said in a line. */
#ifndef MA_ROUND_H
#define MA_ROUND_H

#include "catalogue.h"
#include "taking.h"

struct ma_taken {
	char *path;
	struct ma_session_result result;
	struct ma_catalogue_row row; /* zero when it is not in the catalogue */
};
void ma_taken_deinit(struct ma_taken *t);
#define _cleanup_taken_ __attribute__((__cleanup__(ma_taken_deinit)))

/* `folder`: where the file goes under a name of its own; NULL: to -o FILE, or to the folder of snapshots. `tree` as in
 * ma_catalogue_add(). */
MA_CHECK struct ma_error *ma_take_listed(const struct ma_cli *cli, struct ma_taking *taking, pid_t pid,
					 const char *folder, uint64_t tree, struct ma_taken *ret);
/* The folder that -o names, or NULL for that of snapshots: where more than one snapshot goes. */
MA_CHECK struct ma_error *ma_folder_for_many(const struct ma_cli *cli, const char **ret);
/* A new number for processes that are taken together, never 0. */
MA_CHECK struct ma_error *ma_tree_number(uint64_t *ret);
/* The line of `memattach snap`: path, size, time, stop, id. */
void ma_taken_print(const struct ma_cli *cli, const struct ma_taken *t);

#endif
