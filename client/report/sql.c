// SPDX-License-Identifier: Apache-2.0
#include "sql.h"

#include <stdlib.h>
#include <string.h>

/* A snapshot may come from anywhere and so may the SQL: reading is all that is allowed. */
static int authorize(void *arg, int action, const char *a, const char *b, const char *c, const char *d)
{
	(void)arg;
	(void)a;
	(void)c;
	(void)d;
	switch (action) {
	case SQLITE_SELECT:
	case SQLITE_READ:
	case SQLITE_RECURSIVE:
		return SQLITE_OK;
	case SQLITE_FUNCTION:
		return b && !sqlite3_stricmp(b, "load_extension") ? SQLITE_DENY : SQLITE_OK;
	default:
		return SQLITE_DENY;
	}
}

int ma_sql_fail(struct ma_sql *sql, struct ma_error *err)
{
	int rc = err->code == MA_ERR_NO_MEMORY ? SQLITE_NOMEM : SQLITE_ERROR;
	if (sql->err)
		ma_error_free(err);
	else
		sql->err = err;
	return rc;
}

struct ma_error *ma_sql_error(struct ma_sql *sql, int rc)
{
	if (sql->err) {
		struct ma_error *err = sql->err;
		sql->err = NULL;
		return err;
	}
	if (rc == SQLITE_NOMEM)
		return &ma_enomem;
	if (rc == SQLITE_AUTH)
		return ma_errorf(MA_ERR_USAGE, "SQL: only SELECT over the snapshot is allowed");
	return ma_errorf(MA_ERR_USAGE, "SQL: %s", sqlite3_errmsg(sql->db));
}

struct ma_error *ma_sql_open(const struct ma_snap *s, struct ma_sql **ret)
{
	struct ma_sql *sql = calloc(1, sizeof(*sql));
	if (!sql)
		return &ma_enomem;
	sql->snap = s;
	int rc = sqlite3_open_v2(":memory:", &sql->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY, NULL);
	if (rc == SQLITE_OK)
		rc = ma_sql_register_scans(sql);
	if (rc == SQLITE_OK)
		rc = ma_sql_register_lists(sql);
	if (rc == SQLITE_OK)
		rc = ma_sql_register_sites(sql);
	/* connects the tables, which declares their columns: later the authorizer would refuse that */
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(sql->db,
				  "SELECT 1 FROM objects, edges, types, modules, waste, duplicates, frames, memory, "
				  "buffers, native_words, roots, "
				  "heaps, arenas, allocations, sites LIMIT 0",
				  NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_set_authorizer(sql->db, authorize, NULL);
	if (rc != SQLITE_OK) {
		struct ma_error *err =
			rc == SQLITE_NOMEM ? &ma_enomem : ma_errorf(MA_ERR_OS, "SQLite: %s", sqlite3_errstr(rc));
		ma_sql_close(sql);
		return err;
	}
	*ret = sql;
	return NULL;
}

void ma_sql_close(struct ma_sql *sql)
{
	if (!sql)
		return;
	sqlite3_close(sql->db);
	ma_totals_deinit(&sql->totals);
	ma_buffers_deinit(&sql->buffers);
	ma_roots_deinit(&sql->roots);
	ma_sql_objects_deinit(&sql->objects);
	ma_sql_edges_deinit(&sql->edges);
	ma_modules_deinit(&sql->modules);
	ma_waste_deinit(&sql->waste);
	ma_sql_retained_deinit(&sql->retained);
	ma_error_free(sql->err);
	free(sql);
}
