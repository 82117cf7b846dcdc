// SPDX-License-Identifier: Apache-2.0
#include "catalogue.h"

#include "catalogue_db.h"
#include "cleanup.h"
#include "data_folder.h"

#include <errno.h>
#include <fnmatch.h>
#include <memattach/snapshot.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#define ID_DIGITS 4
#define ID_TRIES 32                  /* then ids get a digit more */
#define SAME_START_NS 3600000000000u /* started_ns follows the clock, which may be set */

struct ma_catalogue {
	sqlite3 *db;
	char *path;
};

static struct ma_error *catalogue_open(bool write, struct ma_catalogue **ret)
{
	_cleanup_free_ char *folder = NULL, *path = NULL;
	sqlite3 *db = NULL;
	MA_TRY(write ? ma_data_folder_make(&folder) : ma_data_folder(&folder));
	if (asprintf(&path, "%s/catalogue.db", folder) < 0)
		return &ma_enomem;
	MA_TRY(write ? ma_db_open(path, &db) : ma_db_open_read(path, &db));
	*ret = NULL;
	if (!db)
		return NULL;
	struct ma_catalogue *c = calloc(1, sizeof(*c));
	if (!c) {
		sqlite3_close(db);
		return &ma_enomem;
	}
	c->db = db;
	c->path = ma_take_ptr(path);
	*ret = c;
	return NULL;
}

struct ma_error *ma_catalogue_open(struct ma_catalogue **ret)
{
	return catalogue_open(true, ret);
}

struct ma_error *ma_catalogue_open_read(struct ma_catalogue **ret)
{
	return catalogue_open(false, ret);
}

void ma_catalogue_close(struct ma_catalogue *c)
{
	if (!c)
		return;
	sqlite3_close(c->db);
	free(c->path);
	free(c);
}

void ma_catalogue_close_p(struct ma_catalogue **c)
{
	ma_catalogue_close(*c);
}

void ma_catalogue_row_deinit(struct ma_catalogue_row *row)
{
	free(row->path);
	free(row->host);
	free(row->command);
	free(row->python);
	*row = (struct ma_catalogue_row){ 0 };
}

void ma_catalogue_rows_deinit(struct ma_catalogue_rows *rows)
{
	for (size_t i = 0; i < rows->count; i++)
		ma_catalogue_row_deinit(&rows->v[i]);
	free(rows->v);
	*rows = (struct ma_catalogue_rows){ 0 };
}

bool ma_catalogue_is_id(const char *text)
{
	size_t n = strlen(text);
	return n >= ID_DIGITS && n < MA_ID_MAX && strspn(text, "0123456789abcdef") == n &&
	       strcspn(text, "0123456789") < n && strcspn(text, "abcdef") < n;
}

bool ma_catalogue_name_matches(const char *name, const char *command)
{
	return strpbrk(name, "*?[") ? !fnmatch(name, command, 0) : strstr(command, name) != NULL;
}

bool ma_catalogue_same_process(const struct ma_catalogue_row *a, const struct ma_catalogue_row *b)
{
	uint64_t apart = a->started_ns > b->started_ns ? a->started_ns - b->started_ns : b->started_ns - a->started_ns;
	return a->pid == b->pid && a->start_time == b->start_time && !strcmp(a->host, b->host) && apart < SAME_START_NS;
}

static enum ma_file_state look_at_file(const struct ma_catalogue_row *row)
{
	struct stat st;
	if (stat(row->path, &st))
		return MA_FILE_MISSING;
	return S_ISREG(st.st_mode) && (uint64_t)st.st_size == row->file_bytes ? MA_FILE_THERE : MA_FILE_OTHER;
}

/* ------------------------------------------------------------------ adding */

/* When its process started, since 1970. */
static uint64_t started_ns(const struct ma_snap_meta *m)
{
	return m->taken_realtime_ns - (m->uptime_ns < m->taken_realtime_ns ? m->uptime_ns : 0);
}

struct ma_error *ma_catalogue_read(const char *path, struct ma_catalogue_row *ret)
{
	_cleanup_snap_ struct ma_snap *s = NULL;
	MA_TRY(ma_snap_open_head(path, &s));
	const struct ma_snap_tables *t = ma_snap_tables(s);
	const struct ma_snap_meta *m = &t->meta;
	struct ma_catalogue_row row = {
		.path = realpath(path, NULL),
		.host = strdup(m->host),
		.command = strdup(m->command),
		.python = strdup(m->python),
		.taken_ns = m->taken_realtime_ns,
		.start_time = m->start_time,
		.started_ns = started_ns(m),
		.pid = m->pid,
		.objects = t->stats[MA_STAT_OBJECTS],
		.bytes = t->stats[MA_STAT_BYTES],
		.rss_bytes = m->rss_anon + m->rss_file + m->rss_shmem,
		.file_bytes = t->file_bytes,
		.values_mode = m->values,
		.values_limit = m->values_limit,
		.complete = t->complete,
		.state = MA_FILE_THERE,
	};
	if (!row.path || !row.host || !row.command || !row.python) {
		struct ma_error *err = row.path ? &ma_enomem : ma_error_os(errno, "cannot find %s", path);
		ma_catalogue_row_deinit(&row);
		return err;
	}
	*ret = row;
	return NULL;
}

/* Random, so that an id that was removed does not come to mean another snapshot; of the form of ma_catalogue_is_id().
 */
static struct ma_error *new_id(size_t digits, char id[MA_ID_MAX])
{
	uint8_t bytes[MA_ID_MAX];
	do {
		if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
			return ma_error_os(errno, "cannot make an id");
		for (size_t i = 0; i < digits; i++)
			id[i] = "0123456789abcdef"[bytes[i] & 15];
		id[digits] = '\0';
	} while (!ma_catalogue_is_id(id));
	return NULL;
}

static int insert(sqlite3_stmt *st, const struct ma_catalogue_row *row)
{
	const char *const texts[] = { row->id, row->path, row->host, row->command, row->python };
	const uint64_t numbers[] = { row->taken_ns,     row->pid,        row->start_time, row->started_ns,
				     row->objects,      row->bytes,      row->rss_bytes,  row->values_mode,
				     row->values_limit, row->file_bytes, row->complete,   row->tree };
	int at = 0, code = SQLITE_OK;
	for (size_t i = 0; code == SQLITE_OK && i < MA_ARRAY_SIZE(texts); i++)
		code = sqlite3_bind_text(st, ++at, texts[i], -1, SQLITE_STATIC);
	for (size_t i = 0; code == SQLITE_OK && i < MA_ARRAY_SIZE(numbers); i++)
		code = sqlite3_bind_int64(st, ++at, (sqlite3_int64)numbers[i]);
	return code == SQLITE_OK ? sqlite3_step(st) : code;
}

/* A free id is found by trying: the key of the table is the judge. */
static struct ma_error *insert_new(struct ma_catalogue *c, sqlite3_stmt *st, struct ma_catalogue_row *row)
{
	for (size_t tries = 0; tries < ID_TRIES * (size_t)(MA_ID_MAX - ID_DIGITS); tries++) {
		MA_TRY(new_id(ID_DIGITS + tries / ID_TRIES, row->id));
		int code = insert(st, row);
		sqlite3_reset(st);
		if (code == SQLITE_DONE)
			return NULL;
		if (code != SQLITE_CONSTRAINT_PRIMARYKEY)
			return ma_db_error(c->db, code, c->path);
	}
	return ma_errorf(MA_ERR_LIMIT, "the catalogue %s has no ids left", c->path);
}

/* Runs `sql` with one text parameter, or two: the second may be NULL. */
static struct ma_error *run_with(struct ma_catalogue *c, const char *sql, const char *text, const char *second)
{
	sqlite3_stmt *st;
	int code = sqlite3_prepare_v2(c->db, sql, -1, &st, NULL);
	if (code == SQLITE_OK) {
		sqlite3_bind_text(st, 1, text, -1, SQLITE_STATIC);
		if (second)
			sqlite3_bind_text(st, 2, second, -1, SQLITE_STATIC);
		code = sqlite3_step(st);
		sqlite3_finalize(st);
	}
	return code == SQLITE_DONE ? NULL : ma_db_error(c->db, code, c->path);
}

static struct ma_error *replace(struct ma_catalogue *c, struct ma_catalogue_row *row)
{
	sqlite3_stmt *st;
	MA_TRY(run_with(c, "DELETE FROM snapshots WHERE path = ?", row->path, NULL));
	int code =
		sqlite3_prepare_v2(c->db,
				   "INSERT INTO snapshots(id, path, host, command, python, taken_ns, pid, start_time,"
				   " started_ns, objects, bytes, rss_bytes, values_mode, values_limit, file_bytes,"
				   " complete, tree) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
				   -1, &st, NULL);
	if (code != SQLITE_OK)
		return ma_db_error(c->db, code, c->path);
	struct ma_error *err = insert_new(c, st, row);
	sqlite3_finalize(st);
	return err;
}

/* Ends the transaction: by COMMIT unless there was an error. */
static struct ma_error *end_transaction(struct ma_catalogue *c, struct ma_error *err)
{
	if (!err)
		err = ma_db_exec(c->db, c->path, "COMMIT");
	if (err)
		sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
	return err;
}

struct ma_error *ma_catalogue_add(struct ma_catalogue *c, const char *path, uint64_t tree, struct ma_catalogue_row *ret)
{
	struct ma_catalogue_row row;
	MA_TRY(ma_catalogue_read(path, &row));
	row.tree = tree;
	struct ma_error *err = ma_db_exec(c->db, c->path, "BEGIN IMMEDIATE");
	if (!err)
		err = end_transaction(c, replace(c, &row));
	if (err) {
		ma_catalogue_row_deinit(&row);
		return err;
	}
	*ret = row;
	return NULL;
}

/* Two files may have changed places: first nobody has a path of those that were found. */
static struct ma_error *move_all(struct ma_catalogue *c, const struct ma_catalogue_rows *rows, const bool *found)
{
	for (size_t i = 0; i < rows->count; i++)
		if (found[i])
			MA_TRY(run_with(c, "UPDATE snapshots SET path = ?1 WHERE id = ?1", rows->v[i].id, NULL));
	for (size_t i = 0; i < rows->count; i++) {
		if (!found[i])
			continue;
		MA_TRY(run_with(c, "DELETE FROM snapshots WHERE path = ?", rows->v[i].path, NULL));
		MA_TRY(run_with(c, "UPDATE snapshots SET path = ? WHERE id = ?", rows->v[i].path, rows->v[i].id));
	}
	return NULL;
}

struct ma_error *ma_catalogue_move(struct ma_catalogue *c, const struct ma_catalogue_rows *rows, const bool *found)
{
	MA_TRY(ma_db_exec(c->db, c->path, "BEGIN IMMEDIATE"));
	return end_transaction(c, move_all(c, rows, found));
}

/* ------------------------------------------------------------------ listing */

static char *column_text(sqlite3_stmt *st, int i)
{
	const char *text = (const char *)sqlite3_column_text(st, i);
	return strdup(text ? text : "");
}

static uint64_t column_number(sqlite3_stmt *st, int i)
{
	return (uint64_t)sqlite3_column_int64(st, i);
}

static const char select_all[] =
	"SELECT id, path, host, command, python, taken_ns, pid, start_time, started_ns, objects,"
	" bytes, rss_bytes, values_mode, values_limit, file_bytes, complete, tree"
	" FROM snapshots ORDER BY taken_ns, rowid";

static struct ma_error *read_columns(sqlite3_stmt *st, struct ma_catalogue_row *ret)
{
	struct ma_catalogue_row row = {
		.path = column_text(st, 1),
		.host = column_text(st, 2),
		.command = column_text(st, 3),
		.python = column_text(st, 4),
		.taken_ns = column_number(st, 5),
		.pid = column_number(st, 6),
		.start_time = column_number(st, 7),
		.started_ns = column_number(st, 8),
		.objects = column_number(st, 9),
		.bytes = column_number(st, 10),
		.rss_bytes = column_number(st, 11),
		.values_mode = column_number(st, 12),
		.values_limit = column_number(st, 13),
		.file_bytes = column_number(st, 14),
		.complete = column_number(st, 15) != 0,
		.tree = column_number(st, 16),
	};
	const char *id = (const char *)sqlite3_column_text(st, 0);
	snprintf(row.id, sizeof(row.id), "%s", id ? id : "");
	if (!row.path || !row.host || !row.command || !row.python) {
		ma_catalogue_row_deinit(&row);
		return &ma_enomem;
	}
	*ret = row;
	return NULL;
}

static bool wanted(const struct ma_catalogue_row *row, const struct ma_catalogue_filter *f)
{
	return (!f->pid || row->pid == f->pid) && (!f->tree || row->tree == f->tree) &&
	       (!f->file_bytes || row->file_bytes == f->file_bytes) && (!f->id || !strcmp(row->id, f->id)) &&
	       (!f->name || ma_catalogue_name_matches(f->name, row->command));
}

static struct ma_error *add_row(struct ma_catalogue_rows *rows, struct ma_catalogue_row *row)
{
	/* grown at each power of two */
	if (!(rows->count & (rows->count - 1))) {
		struct ma_catalogue_row *v = reallocarray(rows->v, rows->count ? rows->count * 2 : 1, sizeof(*v));
		if (!v)
			return &ma_enomem;
		rows->v = v;
	}
	row->state = look_at_file(row);
	rows->v[rows->count++] = *row;
	*row = (struct ma_catalogue_row){ 0 };
	return NULL;
}

struct ma_error *ma_catalogue_list(struct ma_catalogue *c, const struct ma_catalogue_filter *which,
				   struct ma_catalogue_rows *ret)
{
	struct ma_catalogue_rows rows = { 0 };
	struct ma_error *err = NULL;
	sqlite3_stmt *st;
	*ret = rows;
	if (!c)
		return NULL;
	int code = sqlite3_prepare_v2(c->db, select_all, -1, &st, NULL);
	if (code != SQLITE_OK)
		return ma_db_error(c->db, code, c->path);
	while (!err && (code = sqlite3_step(st)) == SQLITE_ROW) {
		struct ma_catalogue_row row;
		err = read_columns(st, &row);
		if (err)
			break;
		if (wanted(&row, which))
			err = add_row(&rows, &row);
		ma_catalogue_row_deinit(&row);
	}
	sqlite3_finalize(st);
	if (!err && code != SQLITE_DONE)
		err = ma_db_error(c->db, code, c->path);
	if (err) {
		ma_catalogue_rows_deinit(&rows);
		return err;
	}
	*ret = rows;
	return NULL;
}

struct ma_error *ma_catalogue_series(struct ma_catalogue *c, const struct ma_snap *s, struct ma_catalogue_rows *ret)
{
	const struct ma_snap_meta *m = &ma_snap_tables(s)->meta;
	const struct ma_catalogue_row self = {
		.host = m->host, .pid = m->pid, .start_time = m->start_time, .started_ns = started_ns(m)
	};
	struct ma_catalogue_rows rows;
	size_t kept = 0;
	MA_TRY(ma_catalogue_list(c, &(struct ma_catalogue_filter){ .pid = m->pid }, &rows));
	for (size_t i = 0; i < rows.count; i++) {
		if (ma_catalogue_same_process(&self, &rows.v[i]))
			rows.v[kept++] = rows.v[i];
		else
			ma_catalogue_row_deinit(&rows.v[i]);
	}
	rows.count = kept;
	*ret = rows;
	return NULL;
}

/* ------------------------------------------------------------------ removing */

struct ma_error *ma_catalogue_forget(struct ma_catalogue *c, const char *id)
{
	return run_with(c, "DELETE FROM snapshots WHERE id = ?", id, NULL);
}

static struct ma_error *check_is_ours(const struct ma_catalogue_row *row)
{
	_cleanup_snap_ struct ma_snap *s = NULL;
	_cleanup_error_ struct ma_error *err = NULL;
	if (look_at_file(row) == MA_FILE_THERE) {
		err = ma_snap_open_head(row->path, &s);
		const struct ma_snap_meta *m = s ? &ma_snap_tables(s)->meta : NULL;
		if (m && m->pid == row->pid && m->taken_realtime_ns == row->taken_ns)
			return NULL;
	}
	if (err && err->code == MA_ERR_NO_MEMORY)
		return ma_take_ptr(err);
	return ma_errorf(MA_ERR_BAD_DATA, "snapshot %s: %s is not the file that was written then; it was left alone",
			 row->id, row->path);
}

struct ma_error *ma_catalogue_remove(struct ma_catalogue *c, const struct ma_catalogue_row *row)
{
	if (look_at_file(row) != MA_FILE_MISSING) {
		MA_TRY(check_is_ours(row));
		if (unlink(row->path) && errno != ENOENT)
			return ma_error_os(errno, "snapshot %s: cannot delete %s", row->id, row->path);
	}
	return ma_catalogue_forget(c, row->id);
}
