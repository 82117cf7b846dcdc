// SPDX-License-Identifier: Apache-2.0
#include "sql_index.h"

#include "cleanup.h"

#include <stdlib.h>
#include <string.h>

#define FLAG_GC 4

static struct ma_error *each_object(const struct ma_snap *s,
				    struct ma_error *(*fn)(void *, const struct ma_snap_object *,
							   const struct ma_snap_value *),
				    bool values, void *arg)
{
	struct ma_snap_cursor *c;
	struct ma_snap_object o;
	struct ma_snap_value v;
	MA_TRY(ma_snap_cursor_create(s, &c));
	struct ma_error *err = values ? ma_snap_cursor_values(c) : NULL;
	while (!err && ma_snap_next_object(c, &o))
		if (!(o.extra & MA_OX_CONT))
			err = fn(arg, &o, ma_snap_value(c, &v) ? &v : NULL);
	if (!err)
		err = ma_snap_cursor_error(c);
	ma_snap_cursor_destroy(c);
	return err;
}

static struct ma_error *add_address(void *arg, const struct ma_snap_object *o, const struct ma_snap_value *v)
{
	(void)v;
	struct ma_sql_objects *x = arg;
	return ma_addr_index_add(&x->index, o->addr);
}

static struct ma_error *add_value(struct ma_sql_objects *x, uint32_t i, const struct ma_snap_value *v)
{
	if (x->values_count == x->values_cap) {
		size_t cap = x->values_cap ? x->values_cap + x->values_cap / 2 : 4096;
		struct ma_sql_value *values = reallocarray(x->values, cap, sizeof(*values));
		if (!values)
			return &ma_enomem;
		x->values = values;
		x->values_cap = cap;
	}
	x->values[x->values_count++] = (struct ma_sql_value){
		.length = v->length,
		.hash = v->hash,
		.text = x->texts.len,
		.text_bytes = v->text_bytes,
		.kind = (uint8_t)v->kind,
		.known = v->known,
		.has_text = v->has_text,
	};
	if (v->text_bytes)
		ma_buf_add(&x->texts, v->text, v->text_bytes);
	x->value[i] = (uint32_t)x->values_count;
	return ma_buf_error(&x->texts);
}

static struct ma_error *add_object(void *arg, const struct ma_snap_object *o, const struct ma_snap_value *v)
{
	struct ma_sql_objects *x = arg;
	uint32_t i = ma_addr_index_find(&x->index, o->addr);
	if (i == MA_NO_INDEX)
		return ma_errorf(MA_ERR_BAD_DATA, "changed while it was read");
	x->size[i] = o->size;
	x->type[i] = o->type_id;
	x->refcnt[i] = o->refcnt < UINT32_MAX ? (uint32_t)o->refcnt : UINT32_MAX;
	x->flags[i] = (uint8_t)((unsigned)o->place | (o->gc ? FLAG_GC : 0));
	return v ? add_value(x, i, v) : NULL;
}

static struct ma_error *make_objects(struct ma_sql_objects *x, const struct ma_snap *s)
{
	MA_TRY(each_object(s, add_address, false, x));
	MA_TRY(ma_addr_index_freeze(&x->index));
	size_t n = x->index.count ? x->index.count : 1;
	x->size = calloc(n, sizeof(*x->size));
	x->type = calloc(n, sizeof(*x->type));
	x->refcnt = calloc(n, sizeof(*x->refcnt));
	x->flags = calloc(n, sizeof(*x->flags));
	if (!x->size || !x->type || !x->refcnt || !x->flags)
		return &ma_enomem;
	bool values = ma_snap_tables(s)->meta.values != MA_VALUES_NONE;
	x->texts.limit = SIZE_MAX;
	x->value = values ? calloc(n, sizeof(*x->value)) : NULL;
	if (values && !x->value)
		return &ma_enomem;
	return each_object(s, add_object, values, x);
}

struct ma_error *ma_sql_objects_make(struct ma_sql_objects *x, const struct ma_snap *s)
{
	struct ma_error *err = x->made ? NULL : make_objects(x, s);
	if (err)
		ma_sql_objects_deinit(x); /* a statement that comes later begins anew */
	else
		x->made = true;
	return err;
}

void ma_sql_objects_deinit(struct ma_sql_objects *x)
{
	ma_addr_index_deinit(&x->index);
	free(x->size);
	free(x->type);
	free(x->refcnt);
	free(x->flags);
	free(x->value);
	free(x->values);
	ma_buf_deinit(&x->texts);
	memset(x, 0, sizeof(*x));
}

bool ma_sql_objects_find(struct ma_sql_objects *x, uint64_t addr, struct ma_snap_object *ret)
{
	uint32_t i = ma_addr_index_find(&x->index, addr);
	if (i == MA_NO_INDEX)
		return false;
	*ret = (struct ma_snap_object){
		.addr = addr,
		.size = x->size[i],
		.refcnt = x->refcnt[i],
		.type_id = x->type[i],
		.gc = x->flags[i] & FLAG_GC,
		.place = (enum ma_place)(x->flags[i] & 3),
	};
	return true;
}

bool ma_sql_objects_value(struct ma_sql_objects *x, uint64_t addr, struct ma_snap_value *ret)
{
	uint32_t i = x->value ? ma_addr_index_find(&x->index, addr) : MA_NO_INDEX;
	if (i == MA_NO_INDEX || !x->value[i])
		return false;
	const struct ma_sql_value *v = &x->values[x->value[i] - 1];
	*ret = (struct ma_snap_value){
		.kind = (enum ma_value_kind)v->kind,
		.known = v->known,
		.length = v->length,
		.hash = v->hash,
		.has_text = v->has_text,
		.text = (const uint8_t *)ma_buf_text(&x->texts) + v->text,
		.text_bytes = v->text_bytes,
	};
	return true;
}

static struct ma_sql_edge pack(const struct ma_snap_edge *e)
{
	uint64_t arg = e->kind == MA_EDGE_VALUE                                  ? e->key & ~UINT64_C(7)
		       : e->kind == MA_EDGE_NAMED || e->kind == MA_EDGE_BORROWED ? (uint64_t)e->name_id << 3
										 : e->index << 3;
	return (struct ma_sql_edge){ e->src, e->dst, arg | (uint64_t)e->kind };
}

struct ma_snap_edge ma_sql_edge_unpack(const struct ma_sql_edge *p)
{
	struct ma_snap_edge e = { .src = p->src, .dst = p->dst, .kind = (enum ma_edge_kind)(p->arg & 7) };
	if (e.kind == MA_EDGE_VALUE)
		e.key = p->arg & ~UINT64_C(7);
	else if (e.kind == MA_EDGE_NAMED || e.kind == MA_EDGE_BORROWED)
		e.name_id = (uint32_t)(p->arg >> 3);
	else
		e.index = p->arg >> 3;
	return e;
}

static struct ma_error *collect(struct ma_sql_edges *x, struct ma_snap_cursor *c)
{
	struct ma_snap_object o;
	struct ma_snap_edge e;
	size_t cap = 0;
	while (ma_snap_next_object(c, &o)) {
		while (o.has_edges && ma_snap_next_edge(c, &e)) {
			if (x->count == cap) {
				cap = cap ? cap + cap / 2 : 4096;
				struct ma_sql_edge *edges = reallocarray(x->edges, cap, sizeof(*edges));
				if (!edges)
					return &ma_enomem;
				x->edges = edges;
			}
			x->edges[x->count++] = pack(&e);
		}
	}
	return ma_snap_cursor_error(c);
}

static int compare(const void *a, const void *b, void *arg)
{
	const struct ma_sql_edge *edges = arg;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	if (edges[x].src != edges[y].src)
		return edges[x].src < edges[y].src ? -1 : 1;
	return x < y ? -1 : x > y;
}

static int compare_dst(const void *a, const void *b, void *arg)
{
	const struct ma_sql_edge *edges = arg;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	if (edges[x].dst != edges[y].dst)
		return edges[x].dst < edges[y].dst ? -1 : 1;
	return x < y ? -1 : x > y;
}

static uint32_t *sorted(struct ma_sql_edges *x, int (*cmp)(const void *, const void *, void *))
{
	uint32_t *order = malloc((x->count ? x->count : 1) * sizeof(*order));
	if (!order)
		return NULL;
	for (size_t i = 0; i < x->count; i++)
		order[i] = (uint32_t)i;
	qsort_r(order, x->count, sizeof(*order), cmp, x->edges);
	return order;
}

static struct ma_error *make_edges(struct ma_sql_edges *x, const struct ma_snap *s)
{
	struct ma_snap_cursor *c;
	MA_TRY(ma_snap_cursor_create(s, &c));
	struct ma_error *err = collect(x, c);
	ma_snap_cursor_destroy(c);
	if (err)
		return err;
	if (x->count > UINT32_MAX)
		return ma_errorf(MA_ERR_LIMIT, "more than 4294967295 edges");
	x->by_src = sorted(x, compare);
	x->by_dst = x->by_src ? sorted(x, compare_dst) : NULL;
	return x->by_dst ? NULL : &ma_enomem;
}

struct ma_error *ma_sql_edges_make(struct ma_sql_edges *x, const struct ma_snap *s)
{
	struct ma_error *err = x->made ? NULL : make_edges(x, s);
	if (err)
		ma_sql_edges_deinit(x);
	else
		x->made = true;
	return err;
}

void ma_sql_edges_deinit(struct ma_sql_edges *x)
{
	free(x->edges);
	free(x->by_src);
	free(x->by_dst);
	memset(x, 0, sizeof(*x));
}

size_t ma_sql_edges_find(const struct ma_sql_edges *x, bool by_dst, uint64_t addr)
{
	const uint32_t *order = by_dst ? x->by_dst : x->by_src;
	size_t lo = 0, hi = x->count;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct ma_sql_edge *e = &x->edges[order[mid]];
		if ((by_dst ? e->dst : e->src) < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}
