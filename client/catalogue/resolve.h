// SPDX-License-Identifier: Apache-2.0
/* resolve.h - which file a person means by SNAP: a file, an id of the catalogue, or @TIME. */
#ifndef MA_RESOLVE_H
#define MA_RESOLVE_H

#include "catalogue.h"

#include <time.h>

struct ma_resolved {
	char *path;
	char id[MA_ID_MAX]; /* "" for a file that was named itself */
	char *said;         /* one line for a person about what was taken where that is not plain; NULL else */
};

/* `word` is
 *	@TIME   the snapshot nearest to that time (when.h), at `now`, of those that `which` leaves, with their files
 *there; equally near: the later. `which` must have pid or name, unless all in the catalogue are of one process a file
 *when there is one of that name, or when it does not look like an id (ma_catalogue_is_id) an id   of the catalogue
 * Errors say what is wrong: MA_ERR_USAGE for no time, or the process is not said; MA_ERR_OS where there is no such
 * snapshot. */
MA_CHECK struct ma_error *ma_resolve(const char *word, const struct ma_catalogue_filter *which, time_t now,
				     struct ma_resolved *ret);
void ma_resolved_deinit(struct ma_resolved *r);

#endif
