// SPDX-License-Identifier: Apache-2.0
/* moved.h - snapshots whose files were moved or renamed are found again, and the catalogue told where.
 *
 * A file is the one that was taken when its size is the same, and host, process and time in it are. Whoever only looks
 * is not stopped by a catalogue that can not be written: what was found then holds for this command. */
#ifndef MA_MOVED_H
#define MA_MOVED_H

#include "catalogue.h"

/* Looks for each of `rows` whose file is missing, or another one, in the folders in which files of `rows` were, and in
 * the data folder; not below them. Those that are found get their path and state. */
MA_CHECK struct ma_error *ma_moved_find(struct ma_catalogue_rows *rows);
/* `path` is read by the user: is it a listed snapshot whose own file is missing? */
MA_CHECK struct ma_error *ma_moved_seen(const char *path);

#endif
