// SPDX-License-Identifier: Apache-2.0
/* catalogue_db.h - the SQLite side of the catalogue: opening it safely, and errors in words. */
#ifndef MA_CATALOGUE_DB_H
#define MA_CATALOGUE_DB_H

#include <memattach/error.h>
#include <memattach/types.h>
#include <sqlite3.h>

/* Opens `path`, which is made (0600) where it is not there. */
MA_CHECK struct ma_error *ma_db_open(const char *path, sqlite3 **ret);
/* To read. NULL in *ret when there is no file, or none that anything was ever written to. */
MA_CHECK struct ma_error *ma_db_open_read(const char *path, sqlite3 **ret);
/* What the result code means: MA_ERR_BAD_DATA for a damaged file, MA_ERR_TIMEOUT for one that stays locked. */
MA_CHECK struct ma_error *ma_db_error(sqlite3 *db, int code, const char *path);
/* Statements without parameters and without rows. */
MA_CHECK struct ma_error *ma_db_exec(sqlite3 *db, const char *path, const char *sql);

#endif
