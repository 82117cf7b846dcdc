// SPDX-License-Identifier: Apache-2.0
#include "totals.h"

#include "cleanup.h"
#include "resident.h"

#include <stdlib.h>
#include <string.h>

/* Requests up to 512 bytes go to pymalloc (Objects/obmalloc.c, SMALL_REQUEST_THRESHOLD, 3.8 to 3.13). */
#define PYMALLOC_MAX 512
/* From here on glibc maps a block of its own (M_MMAP_THRESHOLD at its start). */
#define MMAP_MIN (128 * 1024)
/* Larger objects may have pages that nobody touched. */
#define PAGES_MIN (64 * 1024)

const char *ma_type_name(const struct ma_snap *s, uint32_t id)
{
	const struct ma_snap_tables *tab = ma_snap_tables(s);
	if (id == 0 || id > tab->types_count || !tab->types[id - 1].name)
		return "<unknown type>";
	return tab->types[id - 1].name;
}

struct ma_error *ma_totals_begin(struct ma_totals *t, const struct ma_snap *s)
{
	const struct ma_snap_tables *tab = ma_snap_tables(s);
	memset(t, 0, sizeof(*t));
	t->tab = tab;
	t->by_id_count = tab->types_count + 1;
	t->by_id = calloc(t->by_id_count, sizeof(*t->by_id));
	if (!t->by_id)
		return &ma_enomem;
	for (size_t i = 0; i < t->by_id_count; i++) {
		t->by_id[i].name = ma_type_name(s, (uint32_t)i);
		t->by_id[i].heap = i && (tab->types[i - 1].flags & MA_TF_HEAP) && tab->types[i - 1].module.len;
	}
	return NULL;
}

void ma_totals_add(struct ma_totals *t, const struct ma_snap_object *o)
{
	if (o->extra & MA_OX_CONT)
		return;
	struct ma_type_total *type = &t->by_id[o->type_id < t->by_id_count ? o->type_id : 0];
	uint64_t buffer = o->buffer < o->size ? o->buffer : o->size, own = o->size - buffer;
	t->objects++;
	t->bytes += o->size;
	type->count++;
	type->bytes += o->size;
	if (o->extra & MA_OX_UNREACHED) {
		t->unreached++;
		t->unreached_bytes += o->size;
		type->unreached++;
		type->unreached_bytes += o->size;
	}
	t->own_bytes[o->place & 3] += own;
	if (o->place == MA_PLACE_MALLOC && own >= PAGES_MIN) { /* bytes(n) of zeros, for instance */
		uint64_t absent = own - ma_resident_bytes(t->tab, o->addr, o->addr + own);
		t->absent += absent;
		t->large_own += own >= MMAP_MIN ? own : 0;
		t->large_absent += own >= MMAP_MIN ? absent : 0;
	}
	if (o->place == MA_PLACE_MALLOC) {
		t->malloc_blocks++;
		t->malloc_bytes += own;
	}
	if (buffer > PYMALLOC_MAX) {
		t->malloc_blocks++;
		t->malloc_bytes += buffer;
	}
	if (buffer <= PYMALLOC_MAX)
		t->buffers_small += buffer;
	else if (buffer < MMAP_MIN)
		t->buffers += buffer;
	else
		t->buffers_large += buffer;
}

static void merge_type(struct ma_type_total *to, const struct ma_type_total *from)
{
	to->count += from->count;
	to->bytes += from->bytes;
	to->unreached += from->unreached;
	to->unreached_bytes += from->unreached_bytes;
}

void ma_totals_merge(struct ma_totals *t, const struct ma_totals *from)
{
	t->objects += from->objects;
	t->edges += from->edges;
	t->bytes += from->bytes;
	t->unreached += from->unreached;
	t->unreached_bytes += from->unreached_bytes;
	for (size_t i = 0; i < MA_ARRAY_SIZE(t->own_bytes); i++)
		t->own_bytes[i] += from->own_bytes[i];
	t->buffers_small += from->buffers_small;
	t->buffers += from->buffers;
	t->buffers_large += from->buffers_large;
	t->malloc_blocks += from->malloc_blocks;
	t->malloc_bytes += from->malloc_bytes;
	t->absent += from->absent;
	t->large_absent += from->large_absent;
	t->large_own += from->large_own;
	for (size_t i = 0; i < t->by_id_count && i < from->by_id_count; i++)
		merge_type(&t->by_id[i], &from->by_id[i]);
}

static int by_name(const void *a, const void *b)
{
	const struct ma_type_total *x = a, *y = b;
	return strcmp(x->name, y->name);
}

static int by_bytes(const void *a, const void *b)
{
	const struct ma_type_total *x = a, *y = b;
	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return strcmp(x->name, y->name);
}

struct ma_error *ma_totals_finish(struct ma_totals *t)
{
	t->types = calloc(t->by_id_count, sizeof(*t->types));
	if (!t->types)
		return &ma_enomem;
	size_t n = 0;
	for (size_t i = 0; i < t->by_id_count; i++)
		if (t->by_id[i].count)
			t->types[n++] = t->by_id[i];
	qsort(t->types, n, sizeof(*t->types), by_name);
	size_t out = 0;
	for (size_t i = 0; i < n; i++) {
		if (out && !strcmp(t->types[out - 1].name, t->types[i].name)) {
			struct ma_type_total *to = &t->types[out - 1];
			merge_type(to, &t->types[i]);
			to->heap |= t->types[i].heap;
		} else {
			t->types[out++] = t->types[i];
		}
	}
	t->types_count = out;
	qsort(t->types, out, sizeof(*t->types), by_bytes);
	return NULL;
}

struct ma_error *ma_totals_compute(const struct ma_snap *s, struct ma_totals *ret)
{
	struct ma_totals t;
	struct ma_snap_cursor *c = NULL;
	struct ma_error *err = ma_totals_begin(&t, s);
	if (!err)
		err = ma_snap_cursor_create(s, &c);
	if (!err) {
		struct ma_snap_object o;
		uint64_t borrowed = 0;
		while (ma_snap_next_object(c, &o)) {
			ma_totals_add(&t, &o);
			ma_snap_count_edges(c, &t.edges, &borrowed);
		}
		err = ma_snap_cursor_error(c);
	}
	ma_snap_cursor_destroy(c);
	if (!err)
		err = ma_totals_finish(&t);
	if (err) {
		ma_totals_deinit(&t);
		return err;
	}
	*ret = t;
	return NULL;
}

void ma_totals_deinit(struct ma_totals *t)
{
	free(t->by_id);
	free(t->types);
	memset(t, 0, sizeof(*t));
}
