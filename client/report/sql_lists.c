// SPDX-License-Identifier: Apache-2.0
/* The tables that are lists in memory: types, modules, waste, duplicates, frames, memory,
 * buffers, native_words, roots. */
#include "sql.h"

#include "edge_name.h"
#include "memory.h"
#include "native_held.h"

#include <stdlib.h>
#include <string.h>

#define TYPES_RETAINED 3 /* the column */

struct list_vtab {
	sqlite3_vtab base;
	struct ma_sql *sql;
	const struct list_kind *kind;
};

struct list_cursor {
	sqlite3_vtab_cursor base;
	size_t row, rows;
	bool want_retained; /* of types */
	size_t thread;      /* of frames: position of the thread whose frame is next */
	size_t frame;
	struct ma_memory memory;
};

struct list_kind {
	const char *name, *schema;
	/* Sets rows and what else the cursor needs; SQLITE_OK or an error code. */
	int (*begin)(struct ma_sql *sql, struct list_cursor *c);
	void (*column)(const struct ma_sql *sql, const struct list_cursor *c, sqlite3_context *ctx, int column);
};

static void result_str(sqlite3_context *ctx, struct ma_str s)
{
	sqlite3_result_text(ctx, s.p, (int)s.len, SQLITE_TRANSIENT);
}

static int need_totals(struct ma_sql *sql)
{
	if (sql->have_totals)
		return SQLITE_OK;
	struct ma_error *err = ma_totals_compute(sql->snap, &sql->totals);
	if (err)
		return ma_sql_fail(sql, err);
	sql->have_totals = true;
	return SQLITE_OK;
}

static int types_begin(struct ma_sql *sql, struct list_cursor *c)
{
	int rc = need_totals(sql);
	if (rc == SQLITE_OK && c->want_retained) {
		struct ma_error *err = ma_sql_retained_make(&sql->retained, sql->snap);
		if (err)
			return ma_sql_fail(sql, err);
	}
	c->rows = sql->totals.types_count;
	return rc;
}

static void types_column(const struct ma_sql *sql, const struct list_cursor *c, sqlite3_context *ctx, int column)
{
	const struct ma_type_total *t = &sql->totals.types[c->row];
	if (column == TYPES_RETAINED) /* made from the same records in the same order: the same list */
		t = sql->retained.graph ? &sql->retained.graph->totals.types[c->row] : t;
	if (column == 0)
		sqlite3_result_text(ctx, t->name, -1, SQLITE_STATIC);
	else
		sqlite3_result_int64(ctx, (sqlite3_int64)(column == 1   ? t->count
							  : column == 2 ? t->bytes
									: t->retained));
}

static int modules_begin(struct ma_sql *sql, struct list_cursor *c)
{
	if (!sql->have_modules) {
		_cleanup_trees_ struct ma_trees t = { 0 };
		struct ma_error *err = ma_trees_create(sql->snap, &t);
		if (!err)
			err = ma_modules_create(&t, &sql->modules);
		for (size_t i = 0; i < sql->modules.count && !err; i++) { /* nodes go with the trees */
			struct ma_module *m = &sql->modules.rows[i];
			m->addr = m->node == MA_NO_INDEX ? 0 : ma_addr_index_addr(&t.graph->index, m->node);
		}
		if (err)
			return ma_sql_fail(sql, err);
		sql->have_modules = true;
	}
	c->rows = sql->modules.count;
	return SQLITE_OK;
}

static void modules_column(const struct ma_sql *sql, const struct list_cursor *c, sqlite3_context *ctx, int column)
{
	const struct ma_module *m = &sql->modules.rows[c->row];
	if (column < 2)
		sqlite3_result_text(ctx, m->name, column ? (int)m->package : -1, SQLITE_STATIC);
	else if (column > 2 || m->addr)
		sqlite3_result_int64(ctx, (sqlite3_int64)(column == 2   ? m->addr
							  : column == 3 ? m->retained
							  : column == 4 ? m->count
									: m->bytes));
}

static int need_waste(struct ma_sql *sql)
{
	struct ma_graph *g;
	if (sql->have_waste)
		return SQLITE_OK;
	struct ma_error *err = ma_graph_create(sql->snap, false, &g);
	if (err)
		return ma_sql_fail(sql, err);
	err = ma_waste_create(g, &sql->waste);
	for (size_t i = 0; i < sql->waste.duplicates_count; i++)
		sql->example_addr[i] = ma_addr_index_addr(&g->index, sql->waste.duplicates[i].example);
	ma_graph_destroy(g); /* names of types belong to the snapshot */
	if (err)
		return ma_sql_fail(sql, err);
	sql->have_waste = true;
	return SQLITE_OK;
}

static int waste_begin(struct ma_sql *sql, struct list_cursor *c)
{
	int rc = need_waste(sql);
	c->rows = sql->waste.count;
	return rc;
}

static void waste_column(const struct ma_sql *sql, const struct list_cursor *c, sqlite3_context *ctx, int column)
{
	const struct ma_waste_row *r = &sql->waste.rows[c->row];
	if (column < 2)
		sqlite3_result_text(ctx, column ? r->type : ma_waste_name(r->kind), -1, SQLITE_STATIC);
	else
		sqlite3_result_int64(ctx, (sqlite3_int64)(column == 2 ? r->count : r->bytes));
}

static int duplicates_begin(struct ma_sql *sql, struct list_cursor *c)
{
	int rc = need_waste(sql);
	c->rows = sql->waste.duplicates_count;
	return rc;
}

static void duplicates_column(const struct ma_sql *sql, const struct list_cursor *c, sqlite3_context *ctx, int column)
{
	const struct ma_duplicate *d = &sql->waste.duplicates[c->row];
	if (!column)
		sqlite3_result_text(ctx, ma_type_name(sql->snap, d->type_id), -1, SQLITE_STATIC);
	else
		sqlite3_result_int64(ctx, (sqlite3_int64)(column == 1   ? d->size
							  : column == 2 ? d->count
							  : column == 3 ? d->bytes
									: sql->example_addr[c->row]));
}

static int memory_begin(struct ma_sql *sql, struct list_cursor *c)
{
	int rc = need_totals(sql);
	c->rows = 0;
	if (rc != SQLITE_OK)
		return rc;
	struct ma_buffers buffers = { 0 };
	struct ma_error *err = ma_buffers_compute(sql->snap, &buffers);
	if (!err)
		err = ma_memory_compute(sql->snap, &sql->totals, &buffers, &c->memory);
	ma_buffers_deinit(&buffers);
	if (err)
		return ma_sql_fail(sql, err);
	c->rows = MA_MEM_COUNT;
	return SQLITE_OK;
}

static void memory_column(const struct ma_sql *sql, const struct list_cursor *c, sqlite3_context *ctx, int column)
{
	(void)sql;
	if (column == 0)
		sqlite3_result_text(ctx, ma_memory_name((enum ma_memory_row)c->row), -1, SQLITE_STATIC);
	else
		sqlite3_result_int64(ctx, (sqlite3_int64)c->memory.rows[c->row]);
}

static size_t frames_of(const struct ma_snap_tables *tab, size_t thread)
{
	return tab->threads[thread].frames_end - tab->threads[thread].frames_begin;
}

/* Goes on to the next thread that has a frame left. */
static void frames_settle(const struct ma_snap_tables *tab, struct list_cursor *c)
{
	while (c->thread < tab->threads_count && c->frame >= frames_of(tab, c->thread)) {
		c->thread++;
		c->frame = 0;
	}
}

static int frames_begin(struct ma_sql *sql, struct list_cursor *c)
{
	const struct ma_snap_tables *tab = ma_snap_tables(sql->snap);
	c->rows = 0;
	for (size_t i = 0; i < tab->threads_count; i++)
		c->rows += frames_of(tab, i);
	c->thread = c->frame = 0;
	frames_settle(tab, c);
	return SQLITE_OK;
}

static void frames_column(const struct ma_sql *sql, const struct list_cursor *c, sqlite3_context *ctx, int column)
{
	const struct ma_snap_tables *tab = ma_snap_tables(sql->snap);
	const struct ma_snap_thread *t = &tab->threads[c->thread];
	const struct ma_snap_frame *f = &tab->frames[t->frames_begin + c->frame];
	switch (column) {
	case 0:
		sqlite3_result_int64(ctx, (sqlite3_int64)t->tid);
		break;
	case 1:
		sqlite3_result_int64(ctx, (sqlite3_int64)c->frame);
		break;
	case 2:
		result_str(ctx, ma_snap_name(sql->snap, f->file_id));
		break;
	case 3:
		result_str(ctx, ma_snap_name(sql->snap, f->function_id));
		break;
	default:
		sqlite3_result_int64(ctx, f->line);
		break;
	}
}

static int buffers_begin(struct ma_sql *sql, struct list_cursor *c)
{
	c->rows = 0;
	if (!sql->have_buffers) {
		struct ma_error *err = ma_buffers_compute(sql->snap, &sql->buffers);
		if (err)
			return ma_sql_fail(sql, err);
		sql->have_buffers = true;
	}
	c->rows = sql->buffers.count;
	return SQLITE_OK;
}

static void buffers_column(const struct ma_sql *sql, const struct list_cursor *c, sqlite3_context *ctx, int column)
{
	const struct ma_buffer *b = &sql->buffers.list[c->row];
	if (column == 3)
		sqlite3_result_text(ctx, ma_buffer_name(b->row), -1, SQLITE_STATIC);
	else
		sqlite3_result_int64(ctx, (sqlite3_int64)(column == 0   ? b->addr
							  : column == 1 ? b->bytes
							  : column == 2 ? b->counted
									: b->owner));
}

static int words_begin(struct ma_sql *sql, struct list_cursor *c)
{
	c->rows = ma_snap_tables(sql->snap)->words_count;
	return SQLITE_OK;
}

static void words_column(const struct ma_sql *sql, const struct list_cursor *c, sqlite3_context *ctx, int column)
{
	const struct ma_snap_word *w = &ma_snap_tables(sql->snap)->words[c->row];
	const char *library = column == 2 ? ma_library_of(sql->snap, w->addr, true) : NULL;
	if (column == 2 && library)
		sqlite3_result_text(ctx, library, -1, SQLITE_STATIC);
	else if (column < 2)
		sqlite3_result_int64(ctx, (sqlite3_int64)(column ? w->object : w->addr));
}

static int roots_begin(struct ma_sql *sql, struct list_cursor *c)
{
	c->rows = 0;
	if (!sql->have_roots) {
		_cleanup_graph_ struct ma_graph *g = NULL;
		struct ma_error *err = ma_graph_create(sql->snap, false, &g);
		if (!err)
			err = ma_roots_compute(g, &sql->roots);
		if (err)
			return ma_sql_fail(sql, err);
		sql->have_roots = true;
	}
	c->rows = sql->roots.count;
	return SQLITE_OK;
}

static void roots_column(const struct ma_sql *sql, const struct list_cursor *c, sqlite3_context *ctx, int column)
{
	const struct ma_root_row *r = &sql->roots.rows[c->row];
	const uint64_t numbers[] = { [1] = r->addr, [4] = r->size, [5] = r->refcnt, [6] = r->found, [7] = r->excess };
	if (column == 0)
		sqlite3_result_text(ctx, ma_root_kind_name(r->kind), -1, SQLITE_STATIC);
	else if (column == 2)
		result_str(ctx, ma_snap_name(sql->snap, r->name_id));
	else if (column == 3)
		sqlite3_result_text(ctx, ma_type_name(sql->snap, r->type_id), -1, SQLITE_STATIC);
	else
		sqlite3_result_int64(ctx, (sqlite3_int64)numbers[column]);
}

static int heaps_begin(struct ma_sql *sql, struct list_cursor *c)
{
	c->rows = ma_snap_tables(sql->snap)->heaps_count;
	return SQLITE_OK;
}

static void heaps_column(const struct ma_sql *sql, const struct list_cursor *c, sqlite3_context *ctx, int column)
{
	const struct ma_snap_heap *h = &ma_snap_tables(sql->snap)->heaps[c->row];
	const uint64_t v[] = { h->arena,         h->main,         h->start,      h->end - h->start, h->used.chunks,
			       h->used.bytes,    h->cached.bytes, h->free.bytes, h->top.bytes,      h->used.resident,
			       h->free.resident, h->top.resident, h->trimmable };
	sqlite3_result_int64(ctx, (sqlite3_int64)v[column]);
}

static int arenas_begin(struct ma_sql *sql, struct list_cursor *c)
{
	c->rows = ma_snap_tables(sql->snap)->fills_count;
	return SQLITE_OK;
}

static void arenas_column(const struct ma_sql *sql, const struct list_cursor *c, sqlite3_context *ctx, int column)
{
	const struct ma_snap_fill *f = &ma_snap_tables(sql->snap)->fills[c->row];
	const uint64_t v[] = { f->addr, f->carved, f->used, f->free, f->used_pools };
	sqlite3_result_int64(ctx, (sqlite3_int64)v[column]);
}

static const struct list_kind kinds[] = {
	{ "heaps",
	  "CREATE TABLE x(arena INTEGER, main INTEGER, start INTEGER, bytes INTEGER, used_chunks INTEGER, used "
	  "INTEGER, "
	  "cached INTEGER, free INTEGER, top INTEGER, used_resident INTEGER, free_resident INTEGER, "
	  "top_resident INTEGER, trimmable INTEGER)",
	  heaps_begin, heaps_column },
	{ "arenas", "CREATE TABLE x(addr INTEGER, touched INTEGER, used INTEGER, free INTEGER, pools INTEGER)",
	  arenas_begin, arenas_column },
	{ "types", "CREATE TABLE x(type TEXT, count INTEGER, bytes INTEGER, retained INTEGER HIDDEN)", types_begin,
	  types_column },
	{ "modules",
	  "CREATE TABLE x(module TEXT, package TEXT, addr INTEGER, retained INTEGER, instances INTEGER, bytes INTEGER)",
	  modules_begin, modules_column },
	{ "waste", "CREATE TABLE x(kind TEXT, type TEXT, count INTEGER, bytes INTEGER)", waste_begin, waste_column },
	{ "duplicates", "CREATE TABLE x(type TEXT, size INTEGER, count INTEGER, bytes INTEGER, example INTEGER)",
	  duplicates_begin, duplicates_column },
	{ "frames", "CREATE TABLE x(tid INTEGER, depth INTEGER, file TEXT, function TEXT, line INTEGER)", frames_begin,
	  frames_column },
	{ "memory", "CREATE TABLE x(name TEXT, bytes INTEGER)", memory_begin, memory_column },
	{ "buffers", "CREATE TABLE x(addr INTEGER, bytes INTEGER, counted INTEGER, kind TEXT, owner INTEGER)",
	  buffers_begin, buffers_column },
	{ "roots",
	  "CREATE TABLE x(kind TEXT, addr INTEGER, name TEXT, type TEXT, size INTEGER, refcnt INTEGER, found INTEGER, "
	  "excess INTEGER)",
	  roots_begin, roots_column },
	{ "native_words", "CREATE TABLE x(addr INTEGER, object INTEGER, library TEXT)", words_begin, words_column },
};

static int list_connect(sqlite3 *db, void *arg, int argc, const char *const *argv, sqlite3_vtab **ret, char **err)
{
	(void)err;
	const struct list_kind *kind = NULL;
	for (size_t i = 0; argc > 0 && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(argv[0], kinds[i].name))
			kind = &kinds[i];
	if (!kind)
		return SQLITE_ERROR;
	int rc = sqlite3_declare_vtab(db, kind->schema);
	if (rc != SQLITE_OK)
		return rc;
	struct list_vtab *v = calloc(1, sizeof(*v));
	if (!v)
		return SQLITE_NOMEM;
	v->sql = arg;
	v->kind = kind;
	*ret = &v->base;
	return SQLITE_OK;
}

static int list_disconnect(sqlite3_vtab *v)
{
	free(v);
	return SQLITE_OK;
}

static int list_best(sqlite3_vtab *v, sqlite3_index_info *info)
{
	const struct list_vtab *list = (struct list_vtab *)v;
	info->idxNum = list->kind->begin == types_begin && info->colUsed & (1u << TYPES_RETAINED);
	info->estimatedCost = 1000;
	info->estimatedRows = 1000;
	return SQLITE_OK;
}

static int list_open(sqlite3_vtab *v, sqlite3_vtab_cursor **ret)
{
	(void)v;
	struct list_cursor *c = calloc(1, sizeof(*c));
	if (!c)
		return SQLITE_NOMEM;
	*ret = &c->base;
	return SQLITE_OK;
}

static int list_close(sqlite3_vtab_cursor *c)
{
	free(c);
	return SQLITE_OK;
}

static int list_filter(sqlite3_vtab_cursor *cur, int num, const char *str, int argc, sqlite3_value **argv)
{
	(void)str;
	(void)argc;
	(void)argv;
	struct list_cursor *c = (struct list_cursor *)cur;
	struct list_vtab *v = (struct list_vtab *)cur->pVtab;
	c->row = 0;
	c->want_retained = num;
	return v->kind->begin(v->sql, c);
}

static int list_next(sqlite3_vtab_cursor *cur)
{
	struct list_cursor *c = (struct list_cursor *)cur;
	struct list_vtab *v = (struct list_vtab *)cur->pVtab;
	c->row++;
	if (v->kind->begin == frames_begin) {
		c->frame++;
		frames_settle(ma_snap_tables(v->sql->snap), c);
	}
	return SQLITE_OK;
}

static int list_eof(sqlite3_vtab_cursor *cur)
{
	struct list_cursor *c = (struct list_cursor *)cur;
	return c->row >= c->rows;
}

static int list_column(sqlite3_vtab_cursor *cur, sqlite3_context *ctx, int column)
{
	struct list_vtab *v = (struct list_vtab *)cur->pVtab;
	v->kind->column(v->sql, (struct list_cursor *)cur, ctx, column);
	return SQLITE_OK;
}

static int list_rowid(sqlite3_vtab_cursor *cur, sqlite3_int64 *ret)
{
	*ret = (sqlite3_int64)((struct list_cursor *)cur)->row;
	return SQLITE_OK;
}

/* No xCreate: the table is there under the module's name, and there only. */
static const sqlite3_module list_module = {
	.xConnect = list_connect,
	.xBestIndex = list_best,
	.xDisconnect = list_disconnect,
	.xOpen = list_open,
	.xClose = list_close,
	.xFilter = list_filter,
	.xNext = list_next,
	.xEof = list_eof,
	.xColumn = list_column,
	.xRowid = list_rowid,
};

int ma_sql_register_lists(struct ma_sql *sql)
{
	int rc = SQLITE_OK;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && rc == SQLITE_OK; i++)
		rc = sqlite3_create_module_v2(sql->db, kinds[i].name, &list_module, sql, NULL);
	return rc;
}
