// SPDX-License-Identifier: Apache-2.0
#include "causes.h"
#include "json_util.h"

static json_t *rows(const struct ma_memory *m, int *failed)
{
	json_t *list = json_array();
	for (unsigned i = 0; i < MA_MEM_COUNT; i++) {
		json_t *row = json_object();
		set(row, "name", json_string(ma_memory_name(i)), failed);
		set(row, "bytes", number(m->rows[i]), failed);
		append(list, row, failed);
	}
	return list;
}

static json_t *unknown(const struct ma_memory *m, int *failed)
{
	json_t *list = json_array();
	for (size_t i = 0; i < m->unknown_count; i++) {
		const struct ma_unknown *u = &m->unknown[i];
		json_t *row = json_object();
		set(row, "start", number(u->start), failed);
		set(row, "end", number(u->end), failed);
		set(row, "path", text(u->path), failed);
		set(row, "bytes", number(u->bytes), failed);
		append(list, row, failed);
	}
	return list;
}

static void set_chunks(json_t *heap, const char *name, const struct ma_snap_chunks *c, int *failed)
{
	json_t *o = json_object();
	set(o, "chunks", number(c->chunks), failed);
	set(o, "bytes", number(c->bytes), failed);
	set(o, "resident_bytes", number(c->resident), failed);
	set(heap, name, o, failed);
}

static json_t *heaps(const struct ma_snap_tables *tab, int *failed)
{
	json_t *list = json_array();
	for (size_t i = 0; i < tab->heaps_count; i++) {
		const struct ma_snap_heap *h = &tab->heaps[i];
		json_t *o = json_object();
		set(o, "arena", number(h->arena), failed);
		set(o, "main", json_boolean(h->main), failed);
		set(o, "start", number(h->start), failed);
		set(o, "bytes", number(h->end - h->start), failed);
		set_chunks(o, "used", &h->used, failed);
		set_chunks(o, "cached", &h->cached, failed);
		set_chunks(o, "free", &h->free, failed);
		set_chunks(o, "top", &h->top, failed);
		set(o, "trimmable_bytes", number(h->trimmable), failed);
		set(o, "unread_bytes", number(h->unread), failed);
		append(list, o, failed);
	}
	return list;
}

static json_t *allocator(const struct ma_analysis *a, int *failed)
{
	const struct ma_memory *m = &a->memory;
	const struct ma_heap_totals *h = &m->heaps;
	json_t *o = json_object();
	set(o, "name", json_string(m->allocator), failed);
	set(o, "read", json_boolean(h->arenas != 0), failed);
	set(o, "arenas", number(h->arenas), failed);
	set(o, "native_bytes", number(h->native), failed);
	set(o, "cached_bytes", number(h->cached), failed);
	set(o, "free_bytes", number(h->free), failed);
	set(o, "top_bytes", number(h->top), failed);
	set(o, "trimmable_bytes", number(h->trimmable), failed);
	set(o, "mmapped_chunks", number(h->mmapped_chunks), failed);
	set(o, "mmapped_bytes", number(h->mmapped), failed);
	set(o, "mmapped_native_bytes", number(h->mmapped_native), failed);
	set(o, "heaps", heaps(ma_snap_tables(a->snap), failed), failed);
	return o;
}

static json_t *size_classes(const struct ma_snap_tables *tab, int *failed)
{
	json_t *list = json_array();
	for (size_t i = 0; i < tab->classes_count; i++) {
		const struct ma_snap_class *c = &tab->classes[i];
		json_t *o = json_object();
		set(o, "block_bytes", number(c->block_bytes), failed);
		set(o, "pools", number(c->pools), failed);
		set(o, "used", number(c->used), failed);
		set(o, "free", number(c->free), failed);
		append(list, o, failed);
	}
	return list;
}

static json_t *freelists(const struct ma_snap_tables *tab, int *failed)
{
	json_t *list = json_array();
	for (size_t i = 0; i < tab->freelists_count; i++) {
		json_t *o = json_object();
		set(o, "type", text(tab->freelists[i].name), failed);
		set(o, "objects", number(tab->freelists[i].objects), failed);
		set(o, "bytes", number(tab->freelists[i].bytes), failed);
		append(list, o, failed);
	}
	return list;
}

static json_t *causes(const struct ma_analysis *a, int *failed)
{
	json_t *list = json_array();
	for (unsigned i = 0; i < MA_MEM_COUNT; i++) {
		_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(1 << 16);
		ma_cause(&b, a, i);
		*failed |= b.no_memory;
		if (!b.len)
			continue;
		json_t *o = json_object();
		set(o, "name", json_string(ma_memory_name(i)), failed);
		set(o, "text", text(ma_buf_text(&b)), failed);
		append(list, o, failed);
	}
	return list;
}

static json_t *fragmentation(const struct ma_analysis *a, int *failed)
{
	const struct ma_fragments *f = &a->fragments;
	json_t *o = json_object(), *list = json_array();
	for (size_t i = 0; i < f->pins_count; i++) {
		json_t *pin = json_object();
		set(pin, "type", text(ma_type_name(a->snap, f->pins[i].type_id)), failed);
		set(pin, "objects", number(f->pins[i].objects), failed);
		set(pin, "bytes", number(f->pins[i].bytes), failed);
		set(pin, "arenas", number(f->pins[i].arenas), failed);
		append(list, pin, failed);
	}
	set(o, "arenas", number(f->arenas), failed);
	set(o, "sparse_arenas", number(f->sparse), failed);
	set(o, "sparse_free_bytes", number(f->sparse_free), failed);
	set(o, "objects", number(f->objects), failed);
	set(o, "types", list, failed);
	return o;
}

void ma_json_memory(json_t *root, const struct ma_analysis *a, int *failed)
{
	const struct ma_snap_tables *tab = ma_snap_tables(a->snap);
	set(root, "memory", rows(&a->memory, failed), failed);
	set(root, "causes", causes(a, failed), failed);
	set(root, "fragmentation", fragmentation(a, failed), failed);
	set(root, "unknown_mappings", unknown(&a->memory, failed), failed);
	set(root, "allocator", allocator(a, failed), failed);
	set(root, "size_classes", size_classes(tab, failed), failed);
	set(root, "freelists", freelists(tab, failed), failed);
}
