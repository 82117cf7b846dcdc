// SPDX-License-Identifier: Apache-2.0
#include "sql_groups.h"

#include "buffer.h"
#include "cleanup.h"
#include "totals.h"
#include "varint.h"

#include <stdlib.h>
#include <string.h>

struct group { /* of one type id */
	struct ma_buf rows;
	uint64_t count, last; /* the address before */
};

struct ma_sql_groups {
	const struct ma_snap *snap;
	unsigned columns;
	struct group *groups; /* by type id */
	uint32_t *order;      /* type ids by name */
	size_t count;         /* of both */
	size_t at;            /* in order; SIZE_MAX before the first */
	struct ma_cursor cursor;
	uint64_t left, last;
};

static int by_name(const void *a, const void *b, void *arg)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	int c = strcmp(ma_type_name(arg, x), ma_type_name(arg, y)); /* as the collation BINARY compares */
	return c ? c : x < y ? -1 : x > y;
}

static void add(struct group *g, unsigned columns, const struct ma_snap_object *o)
{
	g->count++;
	if (columns & MA_SQL_ADDR) {
		ma_buf_varint(&g->rows, ma_zigzag((int64_t)(o->addr - g->last)));
		g->last = o->addr;
	}
	if (columns & MA_SQL_SIZE)
		ma_buf_varint(&g->rows, o->size);
	if (columns & MA_SQL_REFCNT)
		ma_buf_varint(&g->rows, o->refcnt);
	if (columns & (MA_SQL_GC | MA_SQL_PLACE))
		ma_buf_varint(&g->rows, (unsigned)o->place << 1 | o->gc);
}

static struct ma_error *collect(struct ma_sql_groups *g)
{
	struct ma_snap_cursor *c;
	struct ma_snap_object o;
	MA_TRY(ma_snap_cursor_create(g->snap, &c));
	while (ma_snap_next_object(c, &o))
		if (!(o.extra & MA_OX_CONT))
			add(&g->groups[o.type_id], g->columns, &o);
	struct ma_error *err = ma_snap_cursor_error(c);
	ma_snap_cursor_destroy(c);
	for (size_t i = 0; !err && i < g->count; i++)
		err = ma_buf_error(&g->groups[i].rows);
	return err;
}

struct ma_error *ma_sql_groups_create(const struct ma_snap *s, unsigned columns, struct ma_sql_groups **ret)
{
	struct ma_sql_groups *g = calloc(1, sizeof(*g));
	if (!g)
		return &ma_enomem;
	g->snap = s;
	g->columns = columns;
	g->count = ma_snap_tables(s)->types_count + 1;
	g->groups = calloc(g->count, sizeof(*g->groups));
	g->order = calloc(g->count, sizeof(*g->order));
	for (size_t i = 0; g->groups && g->order && i < g->count; i++) {
		g->groups[i].rows = (struct ma_buf)MA_BUF_INIT(SIZE_MAX);
		g->order[i] = (uint32_t)i;
	}
	struct ma_error *err = g->groups && g->order ? collect(g) : &ma_enomem;
	if (err) {
		ma_sql_groups_destroy(g);
		return err;
	}
	qsort_r(g->order, g->count, sizeof(*g->order), by_name, (void *)(uintptr_t)s);
	ma_sql_groups_rewind(g);
	*ret = g;
	return NULL;
}

void ma_sql_groups_destroy(struct ma_sql_groups *g)
{
	if (!g)
		return;
	for (size_t i = 0; g->groups && i < g->count; i++)
		ma_buf_deinit(&g->groups[i].rows);
	free(g->groups);
	free(g->order);
	free(g);
}

void ma_sql_groups_rewind(struct ma_sql_groups *g)
{
	g->at = SIZE_MAX;
	g->left = 0;
}

bool ma_sql_groups_next(struct ma_sql_groups *g, struct ma_snap_object *ret)
{
	while (!g->left) {
		if (g->at + 1 >= g->count && g->at != SIZE_MAX)
			return false;
		const struct group *group = &g->groups[g->order[++g->at]];
		ma_cursor_init(&g->cursor, ma_buf_text(&group->rows), group->rows.len);
		g->left = group->count;
		g->last = 0;
	}
	g->left--;
	*ret = (struct ma_snap_object){ .type_id = g->order[g->at] };
	if (g->columns & MA_SQL_ADDR)
		ret->addr = g->last += (uint64_t)ma_unzigzag(ma_cursor_varint(&g->cursor));
	if (g->columns & MA_SQL_SIZE)
		ret->size = ma_cursor_varint(&g->cursor);
	if (g->columns & MA_SQL_REFCNT)
		ret->refcnt = ma_cursor_varint(&g->cursor);
	if (g->columns & (MA_SQL_GC | MA_SQL_PLACE)) {
		uint64_t flags = ma_cursor_varint(&g->cursor);
		ret->gc = flags & 1;
		ret->place = (enum ma_place)(flags >> 1 & 3);
	}
	return true;
}
