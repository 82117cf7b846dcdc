// SPDX-License-Identifier: Apache-2.0
/* taking.h - takes a snapshot for a person: Ctrl-C undoes it, progress shows when it takes long. */
#ifndef MA_TAKING_H
#define MA_TAKING_H

#include "cli.h"
#include "far.h"

/* What snapshots that are taken together share. Zero to begin with. */
struct ma_taking {
	bool threads_only;       /* the stacks alone */
	struct ma_target target; /* its url, if they are far, says where all are taken */
	bool keyed;
	uint8_t key[MA_SIPHASH_KEY_BYTES]; /* of the hashes of values */
	char *note;                        /* becomes a note of each snapshot, or NULL */
};
void ma_taking_deinit(struct ma_taking *t);
#define _cleanup_taking_ __attribute__((__cleanup__(ma_taking_deinit)))

/* Of process `pid`, here or where t->target is. Messages of errors begin with the target. */
MA_CHECK struct ma_error *ma_take_snapshot(const struct ma_cli *cli, struct ma_taking *t, pid_t pid, const char *path,
					   struct ma_session_result *ret);

#endif
