// SPDX-License-Identifier: Apache-2.0
/* listing.h - puts a snapshot that was taken into the catalogue. */
#ifndef MA_LISTING_H
#define MA_LISTING_H

#include "catalogue.h"
#include "cli.h"

/* Lists the file, and removes what --keep does not keep of its process. Whatever goes wrong is said in one line on
 * stderr, since the snapshot is taken all the same; without a home folder there is no catalogue, and nothing is said.
 * `tree` as in ma_catalogue_add(). *ret is zero when it is not listed; the caller owns it. */
void ma_list_snapshot(const struct ma_cli *cli, const char *path, uint64_t tree, struct ma_catalogue_row *ret);

/* Removes all but the newest `keep` of those in `rows` of the same process as rows->v[of]: file and row. Those whose
 * file is not there do not count. What was removed is added to *removed_ret and *bytes_ret. */
MA_CHECK struct ma_error *ma_listing_keep(struct ma_catalogue *c, const struct ma_catalogue_rows *rows, size_t of,
					  uint64_t keep, uint64_t *removed_ret, uint64_t *bytes_ret);

#endif
