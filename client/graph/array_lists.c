// SPDX-License-Identifier: Apache-2.0
#include "array_lists.h"

#include "cleanup.h"
#include "copies.h"
#include "saturate.h"
#include "value_text.h"

#include <stdlib.h>
#include <string.h>

struct element { /* whose value is wanted */
	uint64_t addr;
	size_t list;
	unsigned sample;
};

struct elements {
	struct element *v;
	size_t count;
};

static int by_content(const void *a, const void *b)
{
	const struct ma_array_key *x = a, *y = b;
	if (x->items != y->items)
		return x->items < y->items ? -1 : 1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return x->hash < y->hash ? -1 : x->hash > y->hash;
}

static uint64_t hash_of(const uint64_t words[MA_CONTENT_SAMPLES])
{
	uint64_t hash = 0;
	for (unsigned i = 0; i < MA_CONTENT_SAMPLES; i++)
		hash = ma_copies_mix(hash, words[i]);
	return hash;
}

static int list_by_addr(const void *a, const void *b)
{
	const struct ma_array_list *x = a, *y = b;
	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static int element_by_addr(const void *a, const void *b)
{
	const struct element *x = a, *y = b;
	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

struct ma_error *ma_array_lists_begin(const struct ma_snap *s, struct ma_array_lists *ret)
{
	const struct ma_snap_tables *tab = ma_snap_tables(s);
	struct ma_array_lists a = { .keys = calloc(tab->samples_count + 1, sizeof(*a.keys)) };
	if (!a.keys)
		return &ma_enomem;
	for (size_t i = 0; i < tab->contents_count; i++) {
		const struct ma_snap_content *c = &tab->contents[i];
		if (c->kind)
			a.keys[a.keys_count++] =
				(struct ma_array_key){ c->bytes / 8, hash_of(tab->samples[c->samples].words), c->kind,
						       c->samples };
	}
	if (a.keys_count)
		qsort(a.keys, a.keys_count, sizeof(*a.keys), by_content);
	*ret = a;
	return NULL;
}

/* The first key that is not before this one; keys + keys_count when there is none. */
static const struct ma_array_key *first_key(const struct ma_array_lists *a, uint64_t items, uint32_t kind,
					    uint64_t hash)
{
	const struct ma_array_key wanted = { .items = items, .kind = kind, .hash = hash };
	size_t low = 0, high = a->keys_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (by_content(&a->keys[middle], &wanted) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return a->keys + low;
}

struct ma_error *ma_array_lists_offer(struct ma_array_lists *a, uint64_t addr, uint64_t items, uint32_t kind,
				      uint64_t bytes)
{
	const struct ma_array_key *key = first_key(a, items, kind, 0);
	if (key == a->keys + a->keys_count || key->items != items || key->kind != kind)
		return NULL;
	if (a->count == a->room) {
		size_t room = a->room ? a->room * 2 : 16;
		struct ma_array_list *more = reallocarray(a->lists, room, sizeof(*more));
		if (!more)
			return &ma_enomem;
		a->lists = more;
		a->room = room;
	}
	a->lists[a->count++] = (struct ma_array_list){ .addr = addr, .items = items, .bytes = bytes, .kind = kind };
	return NULL;
}

/* Which sample element `index` of `items` is: MA_CONTENT_SAMPLES when it is none. */
static unsigned sample_of(uint64_t index, uint64_t items)
{
	for (unsigned i = 0; i < MA_CONTENT_SAMPLES; i++)
		if (index == (uint64_t)((__uint128_t)i * items / MA_CONTENT_SAMPLES))
			return i;
	return MA_CONTENT_SAMPLES;
}

static void take_elements(const struct ma_array_lists *a, struct ma_snap_cursor *c, const struct ma_array_list *list,
			  struct elements *e)
{
	struct ma_snap_edge edge;
	while (ma_snap_next_edge(c, &edge)) {
		unsigned sample = edge.kind == MA_EDGE_NEXT || edge.kind == MA_EDGE_AT
					  ? sample_of(edge.index, list->items)
					  : MA_CONTENT_SAMPLES;
		if (sample < MA_CONTENT_SAMPLES && e->count < a->count * MA_CONTENT_SAMPLES)
			e->v[e->count++] = (struct element){ edge.dst, (size_t)(list - a->lists), sample };
	}
}

static struct ma_error *find_elements(const struct ma_array_lists *a, struct ma_snap_cursor *c, struct elements *e)
{
	struct ma_snap_object o;
	while (ma_snap_next_object(c, &o)) {
		const struct ma_array_list key = { .addr = o.addr };
		const struct ma_array_list *list =
			o.has_edges ? bsearch(&key, a->lists, a->count, sizeof(key), list_by_addr) : NULL;
		if (list)
			take_elements(a, c, list, e);
	}
	return ma_snap_cursor_error(c);
}

static bool bits_of(const struct ma_snap_value *v, uint32_t kind, uint64_t *ret)
{
	double x;
	int64_t n;
	if (kind == MA_CONTENT_FLOAT && ma_value_float(v, &x)) {
		memcpy(ret, &x, sizeof(x));
		return true;
	}
	if (kind == MA_CONTENT_INT && ma_value_int64(v, &n)) {
		*ret = (uint64_t)n;
		return true;
	}
	return false;
}

static struct ma_error *read_values(struct ma_array_lists *a, struct ma_snap_cursor *c, const struct elements *e)
{
	struct ma_snap_object o;
	struct ma_snap_value v;
	MA_TRY(ma_snap_cursor_values(c));
	while (ma_snap_next_object(c, &o)) {
		const struct element key = { .addr = o.addr };
		if (!ma_snap_value(c, &v) || !v.known || (v.kind != MA_VALUE_FLOAT && v.kind != MA_VALUE_INT))
			continue;
		const struct element *at = bsearch(&key, e->v, e->count, sizeof(key), element_by_addr);
		while (at && at > e->v && at[-1].addr == o.addr)
			at--;
		for (; at && at < e->v + e->count && at->addr == o.addr; at++) {
			struct ma_array_list *list = &a->lists[at->list];
			list->known += bits_of(&v, list->kind, &list->values[at->sample]);
		}
	}
	return ma_snap_cursor_error(c);
}

static struct ma_error *read_lists(struct ma_array_lists *a, const struct ma_snap *s)
{
	struct ma_snap_cursor *c;
	struct elements e = { .v = calloc(a->count * MA_CONTENT_SAMPLES, sizeof(*e.v)) };
	if (!e.v)
		return &ma_enomem;
	qsort(a->lists, a->count, sizeof(*a->lists), list_by_addr);
	struct ma_error *err = ma_snap_cursor_create(s, &c);
	if (!err) {
		err = find_elements(a, c, &e);
		ma_snap_cursor_destroy(c);
	}
	if (!err && e.count) {
		qsort(e.v, e.count, sizeof(*e.v), element_by_addr);
		err = ma_snap_cursor_create(s, &c);
		if (!err) {
			err = read_values(a, c, &e);
			ma_snap_cursor_destroy(c);
		}
	}
	free(e.v);
	return err;
}

static bool is_in_array(const struct ma_array_lists *a, const struct ma_snap_tables *tab, const struct ma_array_list *l)
{
	const struct ma_array_key wanted = { .items = l->items, .kind = l->kind, .hash = hash_of(l->values) };
	const struct ma_array_key *key = first_key(a, wanted.items, wanted.kind, wanted.hash);
	return l->known == MA_CONTENT_SAMPLES && key < a->keys + a->keys_count && !by_content(key, &wanted) &&
	       !memcmp(tab->samples[key->samples].words, l->values, sizeof(l->values));
}

struct ma_error *ma_array_lists_finish(struct ma_array_lists *a, const struct ma_snap *s, uint64_t *count_ret,
				       uint64_t *bytes_ret)
{
	uint64_t count = 0, bytes = 0;
	if (a->count)
		MA_TRY(read_lists(a, s));
	for (size_t i = 0; i < a->count; i++) {
		if (!is_in_array(a, ma_snap_tables(s), &a->lists[i]))
			continue;
		count++;
		bytes = add(bytes, a->lists[i].bytes);
	}
	*count_ret = count;
	*bytes_ret = bytes;
	return NULL;
}

void ma_array_lists_deinit(struct ma_array_lists *a)
{
	free(a->keys);
	free(a->lists);
	memset(a, 0, sizeof(*a));
}
