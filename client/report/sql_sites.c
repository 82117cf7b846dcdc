// SPDX-License-Identifier: Apache-2.0
/* The tables of tracemalloc: allocations, a pass over the file, and sites, the tracebacks that they name. */
#include "sql.h"

#include "edge_name.h"
#include "sites.h"

#include <stdlib.h>
#include <string.h>

#define BY_ID 1       /* idxNum of sites */
#define WANT_OBJECT 1 /* of allocations */
#define OBJECT_COLUMN 6

struct sites_vtab {
	sqlite3_vtab base;
	struct ma_sql *sql;
	bool allocations;
};

struct sites_cursor {
	sqlite3_vtab_cursor base;
	struct ma_trace_cursor *pass; /* of allocations */
	struct ma_snap_trace trace;
	size_t site, last; /* of sites: those from `site` to before `last` are to come */
	uint32_t depth;
	bool end;
	sqlite3_int64 row;
};

static int sites_connect(sqlite3 *db, void *arg, int argc, const char *const *argv, sqlite3_vtab **ret, char **err)
{
	(void)err;
	bool allocations = argc > 0 && !strcmp(argv[0], "allocations");
	int rc = sqlite3_declare_vtab(
		db, allocations ? "CREATE TABLE x(addr INTEGER, bytes INTEGER, domain INTEGER, site INTEGER, "
				  "file TEXT, line INTEGER, object INTEGER HIDDEN)"
				: "CREATE TABLE x(id INTEGER, depth INTEGER, file TEXT, line INTEGER)");
	if (rc != SQLITE_OK)
		return rc;
	struct sites_vtab *v = calloc(1, sizeof(*v));
	if (!v)
		return SQLITE_NOMEM;
	v->sql = arg;
	v->allocations = allocations;
	*ret = &v->base;
	return SQLITE_OK;
}

static int sites_disconnect(sqlite3_vtab *v)
{
	free(v);
	return SQLITE_OK;
}

static int sites_best(sqlite3_vtab *vtab, sqlite3_index_info *info)
{
	const struct sites_vtab *v = (struct sites_vtab *)vtab;
	const struct ma_snap_tables *tab = ma_snap_tables(v->sql->snap);
	uint64_t all = v->allocations ? tab->stats[MA_STAT_TRACES] % (UINT64_C(1) << 40) : tab->sites_count;
	info->estimatedCost = (double)all + 1000;
	info->estimatedRows = (sqlite3_int64)all + 1000;
	if (v->allocations)
		info->idxNum = info->colUsed & (UINT64_C(1) << OBJECT_COLUMN) ? WANT_OBJECT : 0;
	for (int i = 0; !v->allocations && i < info->nConstraint; i++) {
		if (!info->aConstraint[i].usable || info->aConstraint[i].op != SQLITE_INDEX_CONSTRAINT_EQ ||
		    info->aConstraint[i].iColumn != 0)
			continue;
		info->idxNum = BY_ID;
		info->aConstraintUsage[i].argvIndex = 1; /* SQLite compares again: `omit` stays 0 */
		info->estimatedCost = 10;
		info->estimatedRows = 5;
		break;
	}
	return SQLITE_OK;
}

static int sites_open(sqlite3_vtab *v, sqlite3_vtab_cursor **ret)
{
	(void)v;
	struct sites_cursor *c = calloc(1, sizeof(*c));
	if (!c)
		return SQLITE_NOMEM;
	*ret = &c->base;
	return SQLITE_OK;
}

static int sites_close(sqlite3_vtab_cursor *cur)
{
	struct sites_cursor *c = (struct sites_cursor *)cur;
	ma_trace_cursor_destroy(c->pass);
	free(c);
	return SQLITE_OK;
}

/* The next row at or after the one at hand, or the end. */
static int settle(struct sites_vtab *v, struct sites_cursor *c)
{
	const struct ma_snap_tables *tab = ma_snap_tables(v->sql->snap);
	if (!v->allocations) {
		while (c->site < c->last &&
		       c->depth >= tab->sites[c->site].frames_end - tab->sites[c->site].frames_begin) {
			c->site++;
			c->depth = 0;
		}
		c->end = c->site >= c->last;
		return SQLITE_OK;
	}
	c->end = !ma_trace_next(c->pass, &c->trace);
	struct ma_error *err = c->end ? ma_trace_cursor_error(c->pass) : NULL;
	return err ? ma_sql_fail(v->sql, err) : SQLITE_OK;
}

static int sites_filter(sqlite3_vtab_cursor *cur, int num, const char *str, int argc, sqlite3_value **argv)
{
	(void)str;
	struct sites_cursor *c = (struct sites_cursor *)cur;
	struct sites_vtab *v = (struct sites_vtab *)cur->pVtab;
	ma_trace_cursor_destroy(c->pass);
	c->pass = NULL;
	c->row = 0;
	c->depth = 0;
	c->site = 0;
	c->last = ma_snap_tables(v->sql->snap)->sites_count;
	if (num == BY_ID && argc > 0 && sqlite3_value_type(argv[0]) == SQLITE_INTEGER) {
		sqlite3_int64 id = sqlite3_value_int64(argv[0]);
		c->site = id > 0 && (uint64_t)id <= c->last ? (size_t)id - 1 : c->last;
		c->last = c->site < c->last ? c->site + 1 : c->last;
	}
	struct ma_error *err = NULL;
	if (v->allocations && num == WANT_OBJECT)
		err = ma_sql_objects_make(&v->sql->objects, v->sql->snap);
	if (!err && v->allocations)
		err = ma_trace_cursor_create(v->sql->snap, &c->pass);
	return err ? ma_sql_fail(v->sql, err) : settle(v, c);
}

static int sites_next(sqlite3_vtab_cursor *cur)
{
	struct sites_cursor *c = (struct sites_cursor *)cur;
	c->row++;
	c->depth++;
	return settle((struct sites_vtab *)cur->pVtab, c);
}

static int sites_eof(sqlite3_vtab_cursor *cur)
{
	return ((struct sites_cursor *)cur)->end;
}

/* File, else line, of a frame; NULL where it is not known. */
static void frame_column(const struct ma_snap *s, uint32_t frame, bool file, sqlite3_context *ctx)
{
	const struct ma_snap_site_frame *f = &ma_snap_tables(s)->site_frames[frame];
	struct ma_str name = ma_snap_name(s, f->file_id);
	if (!file)
		sqlite3_result_int64(ctx, f->line);
	else if (f->file_id)
		sqlite3_result_text(ctx, name.p, (int)name.len, SQLITE_TRANSIENT);
}

static void object_column(struct ma_addr_index *x, const struct ma_snap_trace *t, sqlite3_context *ctx)
{
	uint32_t at = ma_sites_object(x, t);
	if (at != MA_NO_INDEX)
		sqlite3_result_int64(ctx, (sqlite3_int64)ma_addr_index_addr(x, at));
}

static void allocation_column(const struct ma_snap *s, const struct ma_snap_trace *t, sqlite3_context *ctx, int column)
{
	const struct ma_snap_tables *tab = ma_snap_tables(s);
	const struct ma_snap_site *site = t->site_id ? &tab->sites[t->site_id - 1] : NULL;
	if (column < 3)
		sqlite3_result_int64(ctx, (sqlite3_int64)(column == 0 ? t->addr : column == 1 ? t->bytes : t->domain));
	else if (column == 3 && site)
		sqlite3_result_int64(ctx, t->site_id);
	else if (column > 3 && site && site->frames_begin < site->frames_end)
		frame_column(s, site->frames_begin, column == 4, ctx);
}

static int sites_column(sqlite3_vtab_cursor *cur, sqlite3_context *ctx, int column)
{
	const struct sites_cursor *c = (struct sites_cursor *)cur;
	const struct sites_vtab *v = (struct sites_vtab *)cur->pVtab;
	if (v->allocations && column == OBJECT_COLUMN)
		object_column(&v->sql->objects.index, &c->trace, ctx);
	else if (v->allocations)
		allocation_column(v->sql->snap, &c->trace, ctx, column);
	else if (column < 2)
		sqlite3_result_int64(ctx, column ? (sqlite3_int64)c->depth : (sqlite3_int64)c->site + 1);
	else
		frame_column(v->sql->snap, ma_snap_tables(v->sql->snap)->sites[c->site].frames_begin + c->depth,
			     column == 2, ctx);
	return SQLITE_OK;
}

static int sites_rowid(sqlite3_vtab_cursor *cur, sqlite3_int64 *ret)
{
	*ret = ((struct sites_cursor *)cur)->row;
	return SQLITE_OK;
}

static const sqlite3_module sites_module = {
	.xConnect = sites_connect,
	.xBestIndex = sites_best,
	.xDisconnect = sites_disconnect,
	.xOpen = sites_open,
	.xClose = sites_close,
	.xFilter = sites_filter,
	.xNext = sites_next,
	.xEof = sites_eof,
	.xColumn = sites_column,
	.xRowid = sites_rowid,
};

int ma_sql_register_sites(struct ma_sql *sql)
{
	int rc = sqlite3_create_module_v2(sql->db, "allocations", &sites_module, sql, NULL);
	return rc == SQLITE_OK ? sqlite3_create_module_v2(sql->db, "sites", &sites_module, sql, NULL) : rc;
}
