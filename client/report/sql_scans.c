// SPDX-License-Identifier: Apache-2.0
/* The tables that are as large as the heap: objects and edges. Each is a pass over the file; rows asked for by address
 * again and again (a join) come from sql_index. */
#include "sql.h"

#include "edge_name.h"
#include "sql_groups.h"
#include "value_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_COLUMNS (UINT64_C(7) << 6)
#define RETAINED_COLUMN 9 /* and `dominator` */
#define RETAINED_COLUMNS (UINT64_C(3) << RETAINED_COLUMN)
#define SCANS_FIRST 2 /* look-ups by address that are passes before the index is made */

/* idxNum */
enum {
	BY_NOTHING = 0,
	BY_ADDR = 1, /* objects.addr, edges.src */
	BY_DST = 2,
	BY_TYPE = 3, /* objects.type */
	BY_MASK = 3,
	WANT_NAME = 4,      /* edges: the column `name` is used */
	WANT_VALUES = 8,    /* objects: `length`, `hash` or `value` is */
	WANT_RETAINED = 16, /* objects: `retained` or `dominator` is */
	WANT_GROUPS = 32,   /* objects: in the order of `type` */
	COLUMNS_SHIFT = 8,  /* with WANT_GROUPS: the columns that are used */
};

struct scan_vtab {
	sqlite3_vtab base;
	struct ma_sql *sql;
	bool edges;
	unsigned lookups;
};

struct scan_cursor {
	sqlite3_vtab_cursor base;
	struct ma_snap_cursor *pass; /* NULL with the index and with groups */
	struct ma_sql_groups *groups;
	int by;
	uint64_t wanted;
	bool *types; /* BY_TYPE: by type id, is it one that is wanted? */
	size_t at;   /* with the index, edges: position in by_src or by_dst */
	bool end;
	sqlite3_int64 row;
	struct ma_snap_object object;
	struct ma_snap_edge edge;
	bool has_value;
	struct ma_snap_value value;
};

static int scan_connect(sqlite3 *db, void *arg, int argc, const char *const *argv, sqlite3_vtab **ret, char **err)
{
	(void)err;
	bool edges = argc > 0 && !strcmp(argv[0], "edges");
	int rc = sqlite3_declare_vtab(db,
				      edges ? "CREATE TABLE x(src INTEGER, dst INTEGER, name TEXT)"
					    : "CREATE TABLE x(addr INTEGER, type TEXT, size INTEGER, refcnt INTEGER, "
					      "gc INTEGER, place TEXT, length INTEGER, hash TEXT, value, "
					      "retained INTEGER HIDDEN, dominator INTEGER HIDDEN)");
	if (rc != SQLITE_OK)
		return rc;
	struct scan_vtab *v = calloc(1, sizeof(*v));
	if (!v)
		return SQLITE_NOMEM;
	v->sql = arg;
	v->edges = edges;
	*ret = &v->base;
	return SQLITE_OK;
}

static int scan_disconnect(sqlite3_vtab *v)
{
	free(v);
	return SQLITE_OK;
}

/* GROUP BY type, ORDER BY type: of what a record says, sorting takes SQLite several times as long as reading. */
static bool wants_groups(const struct scan_vtab *v, const sqlite3_index_info *info)
{
	return !v->edges && info->nOrderBy == 1 && info->aOrderBy[0].iColumn == 1 && !info->aOrderBy[0].desc &&
	       !(info->colUsed & (VALUE_COLUMNS | RETAINED_COLUMNS));
}

static int scan_best(sqlite3_vtab *vtab, sqlite3_index_info *info)
{
	const struct scan_vtab *v = (struct scan_vtab *)vtab;
	const struct ma_snap_tables *tab = ma_snap_tables(v->sql->snap);
	uint64_t all = tab->stats[v->edges ? MA_STAT_EDGES : MA_STAT_OBJECTS] % (UINT64_C(1) << 40) + 1000;
	int by = BY_NOTHING, used = -1;
	for (int i = 0; i < info->nConstraint; i++) {
		if (!info->aConstraint[i].usable || info->aConstraint[i].op != SQLITE_INDEX_CONSTRAINT_EQ)
			continue;
		int column = info->aConstraint[i].iColumn;
		int could = column == 0 ? BY_ADDR : column != 1 ? BY_NOTHING : v->edges ? BY_DST : BY_TYPE;
		if (could == BY_TYPE && (strcmp(sqlite3_vtab_collation(info, i), "BINARY") != 0 ||
					 sqlite3_vtab_in(info, i, -1))) /* IN would be a pass for each value */
			continue;
		if (could && (!by || could == BY_ADDR)) {
			by = could;
			used = i;
		}
	}
	info->idxNum = by | (v->edges && info->colUsed & 4 ? WANT_NAME : 0) |
		       (!v->edges && info->colUsed & VALUE_COLUMNS ? WANT_VALUES : 0) |
		       (!v->edges && info->colUsed & RETAINED_COLUMNS ? WANT_RETAINED : 0);
	if (!by && wants_groups(v, info)) {
		info->idxNum |= WANT_GROUPS | (int)(info->colUsed & 0x3f) << COLUMNS_SHIFT;
		info->orderByConsumed = 1;
	}
	info->estimatedCost = by == BY_TYPE ? (double)all : by ? 30 : (double)all * 2;
	info->estimatedRows = by == BY_TYPE ? (sqlite3_int64)all / 20 : by ? (v->edges ? 4 : 1) : (sqlite3_int64)all;
	if (by)
		info->aConstraintUsage[used].argvIndex = 1; /* SQLite compares again: `omit` stays 0 */
	return SQLITE_OK;
}

static int scan_open(sqlite3_vtab *v, sqlite3_vtab_cursor **ret)
{
	(void)v;
	struct scan_cursor *c = calloc(1, sizeof(*c));
	if (!c)
		return SQLITE_NOMEM;
	*ret = &c->base;
	return SQLITE_OK;
}

static int scan_close(sqlite3_vtab_cursor *cur)
{
	struct scan_cursor *c = (struct scan_cursor *)cur;
	ma_snap_cursor_destroy(c->pass);
	ma_sql_groups_destroy(c->groups);
	free(c->types);
	free(c);
	return SQLITE_OK;
}

static bool is_wanted(const struct scan_cursor *c)
{
	const struct ma_snap_object *o = &c->object;
	switch (c->by) {
	case BY_NOTHING:
		return true;
	case BY_TYPE:
		return c->types[o->type_id];
	default:
		return c->wanted == o->addr;
	}
}

static int want_types(const struct ma_snap *s, struct scan_cursor *c, sqlite3_value *name)
{
	size_t count = ma_snap_tables(s)->types_count + 1;
	const char *wanted = (const char *)sqlite3_value_text(name);
	free(c->types);
	c->types = calloc(count, sizeof(*c->types));
	if (!c->types || !wanted)
		return SQLITE_NOMEM;
	for (size_t i = 0; i < count; i++)
		c->types[i] = !strcmp(ma_type_name(s, (uint32_t)i), wanted);
	return SQLITE_OK;
}

/* The next row of a pass, or the end. */
static int advance_pass(struct scan_vtab *v, struct scan_cursor *c)
{
	for (;;) {
		if (v->edges) {
			while (c->object.has_edges && ma_snap_next_edge(c->pass, &c->edge)) {
				if (c->by == BY_NOTHING || c->wanted == (c->by == BY_DST ? c->edge.dst : c->edge.src))
					return SQLITE_OK;
			}
		}
		if (!ma_snap_next_object(c->pass, &c->object))
			break;
		if (!v->edges && !(c->object.extra & MA_OX_CONT) && is_wanted(c)) {
			c->has_value = ma_snap_value(c->pass, &c->value);
			return SQLITE_OK;
		}
	}
	c->end = true;
	struct ma_error *err = ma_snap_cursor_error(c->pass);
	return err ? ma_sql_fail(v->sql, err) : SQLITE_OK;
}

/* The edge at c->at, or the end. */
static void settle_index(const struct scan_vtab *v, struct scan_cursor *c)
{
	const struct ma_sql_edges *x = &v->sql->edges;
	const struct ma_sql_edge *e =
		c->at < x->count ? &x->edges[(c->by == BY_DST ? x->by_dst : x->by_src)[c->at]] : NULL;
	c->end = !e || (c->by == BY_DST ? e->dst : e->src) != c->wanted;
	if (!c->end)
		c->edge = ma_sql_edge_unpack(e);
}

static struct ma_error *begin_index(struct scan_vtab *v, struct scan_cursor *c)
{
	if (!v->edges) {
		struct ma_error *err = ma_sql_objects_make(&v->sql->objects, v->sql->snap);
		if (!err)
			c->end = !ma_sql_objects_find(&v->sql->objects, c->wanted, &c->object);
		c->has_value = !err && ma_sql_objects_value(&v->sql->objects, c->wanted, &c->value);
		return err;
	}
	struct ma_error *err = ma_sql_edges_make(&v->sql->edges, v->sql->snap);
	if (err)
		return err;
	c->at = ma_sql_edges_find(&v->sql->edges, c->by == BY_DST, c->wanted);
	settle_index(v, c);
	return NULL;
}

static int begin_groups(struct scan_vtab *v, struct scan_cursor *c, unsigned columns)
{
	if (c->groups) { /* a plan is for one set of columns */
		ma_sql_groups_rewind(c->groups);
	} else {
		struct ma_error *err = ma_sql_groups_create(v->sql->snap, columns, &c->groups);
		if (err)
			return ma_sql_fail(v->sql, err);
	}
	c->end = !ma_sql_groups_next(c->groups, &c->object);
	return SQLITE_OK;
}

static int scan_filter(sqlite3_vtab_cursor *cur, int num, const char *str, int argc, sqlite3_value **argv)
{
	(void)str;
	struct scan_cursor *c = (struct scan_cursor *)cur;
	struct scan_vtab *v = (struct scan_vtab *)cur->pVtab;
	ma_snap_cursor_destroy(c->pass);
	c->pass = NULL;
	c->row = 0;
	c->end = false;
	c->by = num & BY_MASK;
	c->object.has_edges = false;
	if (argc < 1 || sqlite3_value_type(argv[0]) != (c->by == BY_TYPE ? SQLITE_TEXT : SQLITE_INTEGER))
		c->by = BY_NOTHING; /* then SQLite compares by its own rules, row by row */
	else if (c->by != BY_TYPE)
		c->wanted = (uint64_t)sqlite3_value_int64(argv[0]);
	else if (want_types(v->sql->snap, c, argv[0]) != SQLITE_OK)
		return SQLITE_NOMEM;
	if (argc > 0 && sqlite3_value_type(argv[0]) == SQLITE_NULL) { /* equal to nothing */
		c->end = true;
		return SQLITE_OK;
	}
	if (num & WANT_GROUPS)
		return begin_groups(v, c, (unsigned)num >> COLUMNS_SHIFT);
	struct ma_error *err = NULL;
	if (num & WANT_NAME) /* names of values have the type of their key */
		err = ma_sql_objects_make(&v->sql->objects, v->sql->snap);
	if (!err && num & WANT_RETAINED)
		err = ma_sql_retained_make(&v->sql->retained, v->sql->snap);
	if (!err && c->by != BY_NOTHING && c->by != BY_TYPE && ++v->lookups > SCANS_FIRST) {
		err = begin_index(v, c);
		return err ? ma_sql_fail(v->sql, err) : SQLITE_OK;
	}
	if (!err)
		err = ma_snap_cursor_create(v->sql->snap, &c->pass);
	if (!err && num & WANT_VALUES)
		err = ma_snap_cursor_values(c->pass);
	return err ? ma_sql_fail(v->sql, err) : advance_pass(v, c);
}

static int scan_next(sqlite3_vtab_cursor *cur)
{
	struct scan_cursor *c = (struct scan_cursor *)cur;
	struct scan_vtab *v = (struct scan_vtab *)cur->pVtab;
	c->row++;
	if (c->pass)
		return advance_pass(v, c);
	if (c->groups) {
		c->end = !ma_sql_groups_next(c->groups, &c->object);
		return SQLITE_OK;
	}
	if (!v->edges) {
		c->end = true;
		return SQLITE_OK;
	}
	c->at++;
	settle_index(v, c);
	return SQLITE_OK;
}

static int scan_eof(sqlite3_vtab_cursor *cur)
{
	return ((struct scan_cursor *)cur)->end;
}

static void object_column(const struct ma_sql *sql, const struct ma_snap_object *o, sqlite3_context *ctx, int column)
{
	static const char *const places[] = { "arena", "malloc", "static", "other" };
	switch (column) {
	case 0:
		sqlite3_result_int64(ctx, (sqlite3_int64)o->addr);
		break;
	case 1:
		sqlite3_result_text(ctx, ma_type_name(sql->snap, o->type_id), -1, SQLITE_STATIC);
		break;
	case 2:
		sqlite3_result_int64(ctx, (sqlite3_int64)o->size);
		break;
	case 3:
		sqlite3_result_int64(ctx, (sqlite3_int64)o->refcnt);
		break;
	case 4:
		sqlite3_result_int(ctx, o->gc);
		break;
	default:
		sqlite3_result_text(ctx, places[o->place & 3], -1, SQLITE_STATIC);
		break;
	}
}

static void text_result(sqlite3_context *ctx, const struct ma_buf *b)
{
	if (b->no_memory)
		sqlite3_result_error_nomem(ctx);
	else
		sqlite3_result_text(ctx, ma_buf_text(b), (int)b->len, SQLITE_TRANSIENT);
}

/* NULL where it is not known, or was not asked for when the snapshot was taken. */
static void value_column(const struct ma_snap_value *v, sqlite3_context *ctx, int column)
{
	bool hashed = v->kind == MA_VALUE_STR || v->kind == MA_VALUE_BYTES;
	char hash[16];
	int64_t n;
	double x;
	if (!v->known)
		return;
	if (column == 6 && hashed) {
		sqlite3_result_int64(ctx, (sqlite3_int64)v->length);
	} else if (column == 7 && hashed) {
		int len = snprintf(hash, sizeof(hash), "%010" PRIx64, v->hash);
		sqlite3_result_text(ctx, hash, len, SQLITE_TRANSIENT);
	} else if (column == 8 && ma_value_int64(v, &n)) {
		sqlite3_result_int64(ctx, n);
	} else if (column == 8 && ma_value_float(v, &x)) {
		sqlite3_result_double(ctx, x);
	} else if (column == 8 && v->has_text && (hashed || v->text_bytes)) {
		_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(4 * MA_VALUE_TEXT_MAX + 16);
		ma_value_content(&b, v);
		text_result(ctx, &b);
	}
}

static void edge_name(struct ma_sql *sql, const struct ma_snap_edge *e, sqlite3_context *ctx)
{
	struct ma_snap_object key;
	const char *key_type = NULL;
	if (e->kind == MA_EDGE_VALUE && ma_sql_objects_find(&sql->objects, e->key, &key))
		key_type = ma_type_name(sql->snap, key.type_id);
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(1 << 16);
	struct ma_snap_value value;
	bool has_value = key_type && ma_sql_objects_value(&sql->objects, e->key, &value);
	ma_edge_name(&b, sql->snap, e, key_type, has_value ? &value : NULL);
	text_result(ctx, &b);
}

static int scan_column(sqlite3_vtab_cursor *cur, sqlite3_context *ctx, int column)
{
	struct scan_cursor *c = (struct scan_cursor *)cur;
	struct scan_vtab *v = (struct scan_vtab *)cur->pVtab;
	if (!v->edges && column >= RETAINED_COLUMN) {
		uint64_t retained, dominator;
		if (!ma_sql_retained_find(&v->sql->retained, c->object.addr, &retained, &dominator))
			return SQLITE_OK;
		if (column == RETAINED_COLUMN)
			sqlite3_result_int64(ctx, (sqlite3_int64)retained);
		else if (dominator)
			sqlite3_result_int64(ctx, (sqlite3_int64)dominator);
	} else if (!v->edges && column >= 6) {
		if (c->has_value)
			value_column(&c->value, ctx, column);
	} else if (!v->edges)
		object_column(v->sql, &c->object, ctx, column);
	else if (column == 2)
		edge_name(v->sql, &c->edge, ctx);
	else
		sqlite3_result_int64(ctx, (sqlite3_int64)(column ? c->edge.dst : c->edge.src));
	return SQLITE_OK;
}

static int scan_rowid(sqlite3_vtab_cursor *cur, sqlite3_int64 *ret)
{
	*ret = ((struct scan_cursor *)cur)->row;
	return SQLITE_OK;
}

static const sqlite3_module scan_module = {
	.xConnect = scan_connect,
	.xBestIndex = scan_best,
	.xDisconnect = scan_disconnect,
	.xOpen = scan_open,
	.xClose = scan_close,
	.xFilter = scan_filter,
	.xNext = scan_next,
	.xEof = scan_eof,
	.xColumn = scan_column,
	.xRowid = scan_rowid,
};

int ma_sql_register_scans(struct ma_sql *sql)
{
	int rc = sqlite3_create_module_v2(sql->db, "objects", &scan_module, sql, NULL);
	return rc == SQLITE_OK ? sqlite3_create_module_v2(sql->db, "edges", &scan_module, sql, NULL) : rc;
}
