// SPDX-License-Identifier: Apache-2.0
/* show_tree.h - the report of processes that were taken together. */
#ifndef MA_SHOW_TREE_H
#define MA_SHOW_TREE_H

#include "catalogue.h"
#include "cli.h"

/* `names`: as each is shown, its id or path. */
MA_CHECK struct ma_error *ma_show_tree(const struct ma_cli *cli, const char *const *paths, const char *const *names,
				       size_t count);
/* `memattach report --tree SNAP...`: all that were taken together with the one snapshot, or those that are named. */
MA_CHECK struct ma_error *ma_show_tree_of(const struct ma_cli *cli);

#endif
