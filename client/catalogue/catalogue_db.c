// SPDX-License-Identifier: Apache-2.0
#include "catalogue_db.h"

#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#define BUSY_MS 3000 /* another command holds it for milliseconds */
#define SCHEMA_VERSION 1

static const char schema[] =
	"CREATE TABLE snapshots("
	"id TEXT PRIMARY KEY, path TEXT NOT NULL UNIQUE, taken_ns INTEGER NOT NULL, host TEXT NOT NULL,"
	"pid INTEGER NOT NULL, start_time INTEGER NOT NULL, started_ns INTEGER NOT NULL,"
	"command TEXT NOT NULL, python TEXT NOT NULL, objects INTEGER NOT NULL, bytes INTEGER NOT NULL,"
	"rss_bytes INTEGER NOT NULL, values_mode INTEGER NOT NULL, values_limit INTEGER NOT NULL,"
	"file_bytes INTEGER NOT NULL, complete INTEGER NOT NULL, tree INTEGER NOT NULL);"
	"PRAGMA user_version = 1;";

struct ma_error *ma_db_error(sqlite3 *db, int code, const char *path)
{
	switch (code & 0xff) {
	case SQLITE_NOMEM:
		return &ma_enomem;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return ma_errorf(MA_ERR_BAD_DATA,
				 "the catalogue %s is damaged: remove it, and the next snapshot begins a new one",
				 path);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ma_errorf(MA_ERR_TIMEOUT, "the catalogue %s is locked by another program", path);
	default:
		return ma_errorf(MA_ERR_OS, "the catalogue %s: %s", path,
				 db ? sqlite3_errmsg(db) : sqlite3_errstr(code));
	}
}

struct ma_error *ma_db_exec(sqlite3 *db, const char *path, const char *sql)
{
	int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
	return code == SQLITE_OK ? NULL : ma_db_error(db, code, path);
}

static struct ma_error *read_version(sqlite3 *db, const char *path, int *ret)
{
	sqlite3_stmt *st;
	int code = sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &st, NULL);
	if (code == SQLITE_OK) {
		code = sqlite3_step(st);
		*ret = sqlite3_column_int(st, 0);
		sqlite3_finalize(st);
	}
	if (code != SQLITE_ROW)
		return ma_db_error(db, code, path);
	if (*ret < 0 || *ret > SCHEMA_VERSION)
		return ma_errorf(MA_ERR_UNSUPPORTED, "the catalogue %s is of a later memattach (version %d)", path,
				 *ret);
	return NULL;
}

static struct ma_error *open_db(const char *path, int flags, sqlite3 **ret)
{
	sqlite3 *db = NULL;
	int code = sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_PRIVATECACHE, NULL);
	if (code != SQLITE_OK) {
		struct ma_error *err = ma_db_error(db, code, path);
		sqlite3_close(db);
		return err;
	}
	sqlite3_extended_result_codes(db, 1);
	sqlite3_busy_timeout(db, BUSY_MS);
	/* root may be given the home of another user: what stands in the file must not run */
	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	*ret = db;
	return NULL;
}

/* Of two commands that meet an empty file one makes the table; the other waits for the lock and finds it made. */
static struct ma_error *make_table(sqlite3 *db, const char *path)
{
	int version = 0;
	MA_TRY(ma_db_exec(db, path, "BEGIN IMMEDIATE"));
	struct ma_error *err = read_version(db, path, &version);
	if (!err && !version)
		err = ma_db_exec(db, path, schema);
	if (err) {
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
		return err;
	}
	return ma_db_exec(db, path, "COMMIT");
}

struct ma_error *ma_db_open(const char *path, sqlite3 **ret)
{
	/* SQLite would make it with the mode of umask; its journals take the mode of the file */
	struct stat st;
	int version = 0;
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
	if (fd < 0 || fstat(fd, &st))
		return ma_error_os(errno, "cannot write the catalogue %s", path);
	if (!S_ISREG(st.st_mode))
		return ma_errorf(MA_ERR_BAD_DATA, "the catalogue %s is not a regular file", path);
	sqlite3 *db;
	MA_TRY(open_db(path, SQLITE_OPEN_READWRITE, &db));
	struct ma_error *err = read_version(db, path, &version);
	if (!err && !version)
		err = make_table(db, path);
	if (err) {
		sqlite3_close(db);
		return err;
	}
	*ret = db;
	return NULL;
}

struct ma_error *ma_db_open_read(const char *path, sqlite3 **ret)
{
	struct stat st;
	sqlite3 *db;
	int version = 0;
	*ret = NULL;
	if (lstat(path, &st))
		return errno == ENOENT || errno == ENOTDIR ? NULL
							   : ma_error_os(errno, "cannot read the catalogue %s", path);
	if (!S_ISREG(st.st_mode))
		return ma_errorf(MA_ERR_BAD_DATA, "the catalogue %s is not a regular file", path);
	MA_TRY(open_db(path, SQLITE_OPEN_READONLY, &db));
	struct ma_error *err = read_version(db, path, &version);
	if (err || !version)
		sqlite3_close(db);
	else
		*ret = db;
	return err;
}
