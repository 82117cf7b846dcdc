// SPDX-License-Identifier: Apache-2.0
/* snapshot_arg.h - the argument SNAP of commands: a file, an id of the catalogue, or @TIME. */
#ifndef MA_SNAPSHOT_ARG_H
#define MA_SNAPSHOT_ARG_H

#include "cli.h"
#include "resolve.h"

#include <memattach/snapshot.h>

#define _cleanup_resolved_ __attribute__((__cleanup__(ma_resolved_deinit)))

/* ma_resolve() with --pid and --name; which snapshot a time stands for is said on stderr. */
MA_CHECK struct ma_error *ma_cli_snapshot(const struct ma_cli *cli, const char *word, struct ma_resolved *ret);
/* "memattach: TEXT" on stderr, whatever is in it. */
void ma_cli_say(const char *text);
/* On stderr, what a file lacks of which an answer goes to stdout; nothing when it is whole. */
void ma_cli_say_incomplete(const char *path, const struct ma_snap *s);

#endif
