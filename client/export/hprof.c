// SPDX-License-Identifier: Apache-2.0
/* HPROF 1.0.2. The records are described in OpenJDK's src/hotspot/share/services/heapDumper.cpp; what its readers ask
 *for beyond that:
 *
 *	- MAT takes the size of an instance from the fields of its class, never from the record (hprof_classes.c)
 *	- ids of arrays that lie closer than their sizes make MAT think of 4-byte references: ours are handed out in
 *order, as far apart as what they stand for
 *	- a class without LOAD_CLASS before CLASS_DUMP has no name; '/' in a name is '.', '(' '[' '<' have a meaning
 *	- what no root reaches is removed on loading: what is a root for the dominators is one here (dominators.h)
 *	- a segment has 32 bits of length: they are flushed at 1 MiB */
#include "hprof.h"

#include "buffer.h"
#include "cleanup.h"
#include "dominators.h"
#include "edge_labels.h"
#include "edge_name.h"

#include <string.h>

#define SEGMENT_BYTES (1u << 20)
#define ARRAY_MAX 0x7fffffffu /* elements of one array */
#define ARRAY_HEADER 24       /* of an array, as MAT counts it */
#define TRACE 1

/* Ids far above any address of a process. */
#define ID_CLASS UINT64_C(0x1000000000000)  /* + 4096 for each */
#define ID_ARRAY UINT64_C(0x2000000000000)  /* counting up */
#define ID_STRING UINT64_C(0x4000000000000) /* UTF8 records: a space of its own */
#define ID_LOADER UINT64_C(0x8000000000000)

enum tag { TAG_UTF8 = 1, TAG_LOAD_CLASS = 2, TAG_TRACE = 5, TAG_SEGMENT = 0x1c, TAG_END = 0x2c };
enum sub { SUB_ROOT = 0xff, SUB_CLASS = 0x20, SUB_INSTANCE = 0x21, SUB_OBJECTS = 0x22, SUB_PRIMITIVES = 0x23 };
enum type { TYPE_OBJECT = 2, TYPE_BYTE = 8, TYPE_LONG = 11 };

static const char *const java[] = { "java/lang/Object", "java/lang/Class",     "java/lang/ClassLoader",
				    "java/lang/String", "[Ljava/lang/Object;", "[B" };
enum java { JAVA_OBJECT, JAVA_CLASS, JAVA_LOADER, JAVA_STRING, JAVA_OBJECTS, JAVA_BYTES, JAVA_COUNT };
static const char *const fields[] = { "items", "data", "size", "__class__" };
enum field { FIELD_ITEMS, FIELD_DATA, FIELD_PAD, FIELD_CLASS, FIELD_COUNT };

struct writer {
	FILE *out;
	struct ma_graph *g;
	const struct ma_snap_tables *tab;
	uint8_t *flags;
	uint32_t *classes_of; /* by type id, the node of the class */
	uint32_t *labels;
	struct ma_hprof_class *classes; /* by type id */
	struct ma_buf segment;
	uint64_t next_array;
};

/* ---- big-endian */
static void u1(struct ma_buf *b, unsigned v)
{
	ma_buf_u8(b, (uint8_t)v);
}

static void u2(struct ma_buf *b, unsigned v)
{
	u1(b, v >> 8 & 0xff);
	u1(b, v & 0xff);
}

static void u4(struct ma_buf *b, uint64_t v)
{
	u2(b, (unsigned)(v >> 16 & 0xffff));
	u2(b, (unsigned)(v & 0xffff));
}

static void u8(struct ma_buf *b, uint64_t v)
{
	u4(b, v >> 32);
	u4(b, v & UINT32_MAX);
}

static struct ma_error *record(struct writer *w, enum tag tag, const struct ma_buf *body)
{
	_cleanup_buf_ struct ma_buf head = MA_BUF_INIT(16);
	MA_TRY(ma_buf_error(body));
	u1(&head, tag);
	u4(&head, 0);
	u4(&head, body->len);
	MA_TRY(ma_buf_error(&head));
	fwrite(head.data, 1, head.len, w->out);
	if (body->len)
		fwrite(body->data, 1, body->len, w->out);
	return NULL;
}

static struct ma_error *flush(struct writer *w)
{
	if (w->segment.len || w->segment.failed)
		MA_TRY(record(w, TAG_SEGMENT, &w->segment));
	w->segment.len = 0;
	return NULL;
}

/* Before a record within a segment: is there room for `bytes`? */
static struct ma_error *room(struct writer *w, uint64_t bytes)
{
	return w->segment.len && w->segment.len + bytes > SEGMENT_BYTES ? flush(w) : NULL;
}

/* ---- names and classes */
static uint64_t class_id(uint64_t number)
{
	return ID_CLASS + 4096 * number;
}

static uint64_t class_of_type(uint32_t type_id)
{
	return class_id((uint64_t)JAVA_COUNT + type_id);
}

static uint64_t name_string(uint32_t name_id)
{
	return ID_STRING + FIELD_COUNT + name_id;
}

static uint64_t class_string(const struct writer *w, uint64_t number)
{
	return ID_STRING + FIELD_COUNT + w->tab->names_count + 1 + number;
}

static struct ma_error *put_string(struct writer *w, uint64_t id, const char *p, size_t bytes)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(1 << 20);
	u8(&b, id);
	ma_buf_add(&b, p, bytes < 4096 ? bytes : 4096);
	return record(w, TAG_UTF8, &b);
}

static struct ma_error *put_loaded_class(struct writer *w, uint64_t number, const char *name)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(64);
	MA_TRY(put_string(w, class_string(w, number), name, strlen(name)));
	u4(&b, number + 1);
	u8(&b, class_id(number));
	u4(&b, TRACE);
	u8(&b, class_string(w, number));
	return record(w, TAG_LOAD_CLASS, &b);
}

static struct ma_error *put_names(struct writer *w)
{
	for (unsigned i = 0; i < FIELD_COUNT; i++)
		MA_TRY(put_string(w, ID_STRING + i, fields[i], strlen(fields[i])));
	for (uint32_t i = 1; i <= w->tab->names_count; i++) {
		struct ma_str name = ma_snap_name(w->g->snap, i);
		MA_TRY(put_string(w, name_string(i), name.p, name.len));
	}
	for (unsigned i = 0; i < JAVA_COUNT; i++)
		MA_TRY(put_loaded_class(w, i, java[i]));
	for (uint32_t i = 0; i < w->g->totals.by_id_count; i++) {
		_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(1 << 20);
		ma_buf_str(&b, ma_type_name(w->g->snap, i));
		MA_TRY(ma_buf_error(&b));
		for (size_t j = 0; j < b.len; j++)
			if (strchr("([</;", b.data[j]) || (unsigned char)b.data[j] < ' ')
				b.data[j] = '_';
		MA_TRY(put_loaded_class(w, (uint64_t)JAVA_COUNT + i, ma_buf_text(&b)));
	}
	_cleanup_buf_ struct ma_buf trace = MA_BUF_INIT(16);
	u4(&trace, TRACE);
	u4(&trace, 0);
	u4(&trace, 0);
	return record(w, TAG_TRACE, &trace);
}

/* The fixed part of a class record, up to its fields. */
static void begin_class(struct writer *w, uint64_t number, uint64_t super, uint64_t loader, uint64_t bytes,
			uint64_t type)
{
	struct ma_buf *b = &w->segment;
	u1(b, SUB_CLASS);
	u8(b, class_id(number));
	u4(b, TRACE);
	u8(b, super);
	u8(b, loader);
	u8(b, 0); /* signers */
	u8(b, 0); /* protection domain */
	u8(b, 0);
	u8(b, 0);
	u4(b, bytes);
	u2(b, 0); /* constant pool */
	u2(b, type ? 1 : 0);
	if (type) { /* the object that is the type: each instance holds it through its class */
		u8(b, ID_STRING + FIELD_CLASS);
		u1(b, TYPE_OBJECT);
		u8(b, type);
	}
}

static void field(struct ma_buf *b, uint64_t name, enum type type)
{
	u8(b, name);
	u1(b, type);
}

static struct ma_error *put_classes(struct writer *w)
{
	for (unsigned i = 0; i < JAVA_COUNT; i++) {
		MA_TRY(room(w, 128));
		begin_class(w, i, i == JAVA_OBJECT ? 0 : class_id(JAVA_OBJECT), 0, 0, 0);
		u2(&w->segment, 0);
	}
	for (uint32_t i = 0; i < w->g->totals.by_id_count; i++) {
		const struct ma_hprof_class *c = &w->classes[i];
		uint32_t node = w->classes_of ? w->classes_of[i] : MA_NO_INDEX;
		uint32_t n = c->names_count + c->items + c->data + c->pads;
		MA_TRY(room(w, 128 + 9 * (uint64_t)n));
		begin_class(w, (uint64_t)JAVA_COUNT + i, class_id(JAVA_OBJECT), ID_LOADER, 8 * (uint64_t)n,
			    node == MA_NO_INDEX ? 0 : ma_addr_index_addr(&w->g->index, node));
		u2(&w->segment, n);
		for (uint32_t f = 0; f < c->names_count; f++)
			field(&w->segment, name_string(c->names[f]), TYPE_OBJECT);
		if (c->items)
			field(&w->segment, ID_STRING + FIELD_ITEMS, TYPE_OBJECT);
		if (c->data)
			field(&w->segment, ID_STRING + FIELD_DATA, TYPE_OBJECT);
		for (uint32_t f = 0; f < c->pads; f++)
			field(&w->segment, ID_STRING + FIELD_PAD, TYPE_LONG);
	}
	MA_TRY(room(w, 64));
	u1(&w->segment, SUB_INSTANCE);
	u8(&w->segment, ID_LOADER);
	u4(&w->segment, TRACE);
	u8(&w->segment, class_id(JAVA_LOADER));
	u4(&w->segment, 0);
	return NULL;
}

/* ---- objects */
static uint64_t take_array(struct writer *w, uint64_t bytes)
{
	uint64_t id = w->next_array;
	w->next_array += (ARRAY_HEADER + bytes + 31) & ~UINT64_C(15);
	return id;
}

static bool counts(const struct writer *w, uint32_t src, uint32_t dst)
{
	return !(w->flags[dst] & MA_DOM_NAMESPACE) || w->flags[src] & MA_DOM_MODULE;
}

/* Sorts the references of an object into the fields of its class; returns how many are left for `items`, whose ids are
 * appended to `rest`. */
static uint64_t sort_references(struct writer *w, uint32_t node, uint64_t *slots, struct ma_buf *rest)
{
	const struct ma_hprof_class *c = &w->classes[w->g->type[node]];
	uint32_t dst, label;
	uint64_t n = 0;
	struct ma_graph_iter it = ma_graph_edges(w->g, node);
	while (ma_labelled_next(&it, w->labels, &dst, &label)) {
		uint32_t f = c->names_count;
		if (!counts(w, node, dst) || n == ARRAY_MAX / 8)
			continue;
		uint64_t to = ma_addr_index_addr(&w->g->index, dst);
		if (ma_label_kind(label) == MA_LABEL_NAMED)
			for (f = 0; f < c->names_count && (c->names[f] != ma_label_number(label) || slots[f]);)
				f++;
		if (f < c->names_count) {
			slots[f] = to;
		} else {
			u8(rest, to);
			n++;
		}
	}
	return n;
}

/* Zeros, straight to the file: an array can be larger than a segment should be. */
static struct ma_error *put_zeros(struct writer *w, uint64_t id, uint64_t bytes)
{
	static const char zeros[4096];
	MA_TRY(room(w, bytes + 32));
	struct ma_buf *b = &w->segment;
	bool alone = bytes > SEGMENT_BYTES / 2;
	u1(b, SUB_PRIMITIVES);
	u8(b, id);
	u4(b, TRACE);
	u4(b, bytes);
	u1(b, TYPE_BYTE);
	if (!alone) {
		for (uint64_t left = bytes; left;) {
			size_t n = left < sizeof(zeros) ? left : sizeof(zeros);
			ma_buf_add(b, zeros, n);
			left -= n;
		}
		return NULL;
	}
	_cleanup_buf_ struct ma_buf head = MA_BUF_INIT(16);
	MA_TRY(ma_buf_error(b));
	u1(&head, TAG_SEGMENT);
	u4(&head, 0);
	u4(&head, b->len + bytes);
	MA_TRY(ma_buf_error(&head));
	fwrite(head.data, 1, head.len, w->out);
	fwrite(b->data, 1, b->len, w->out);
	b->len = 0;
	for (uint64_t left = bytes; left && !ferror(w->out);) {
		size_t n = left < sizeof(zeros) ? left : sizeof(zeros);
		fwrite(zeros, 1, n, w->out);
		left -= n;
	}
	return NULL;
}

static struct ma_error *put_object(struct writer *w, uint32_t node)
{
	const struct ma_hprof_class *c = &w->classes[w->g->type[node]];
	_cleanup_buf_ struct ma_buf rest = MA_BUF_INIT(UINT64_C(8) << 31);
	uint64_t slots[MA_HPROF_NAMES] = { 0 }, size = ma_graph_size(w->g, node);
	uint64_t items = sort_references(w, node, slots, &rest);
	MA_TRY(ma_buf_error(&rest));
	uint64_t used = ma_hprof_fixed_bytes(c) + (items ? ARRAY_HEADER + 8 * items : 0);
	bool has_data = c->data && size >= used + ARRAY_HEADER / 2; /* the nearer of with and without */
	uint64_t bytes = has_data && size > used + ARRAY_HEADER ? size - used - ARRAY_HEADER : 0;
	if (bytes > ARRAY_MAX)
		bytes = ARRAY_MAX;
	uint64_t items_id = items ? take_array(w, 8 * items) : 0;
	uint64_t data_id = has_data ? take_array(w, bytes) : 0;
	uint32_t n = c->names_count + c->items + c->data + c->pads;
	struct ma_buf *b = &w->segment;
	MA_TRY(room(w, 32 + 8 * (uint64_t)n));
	u1(b, SUB_INSTANCE);
	u8(b, ma_addr_index_addr(&w->g->index, node));
	u4(b, TRACE);
	u8(b, class_of_type(w->g->type[node]));
	u4(b, 8 * (uint64_t)n);
	for (uint32_t f = 0; f < c->names_count; f++)
		u8(b, slots[f]);
	if (c->items)
		u8(b, items_id);
	if (c->data)
		u8(b, data_id);
	for (uint32_t f = 0; f < c->pads; f++)
		u8(b, 0);
	if (items) {
		MA_TRY(room(w, 32 + rest.len));
		u1(b, SUB_OBJECTS);
		u8(b, items_id);
		u4(b, TRACE);
		u4(b, items);
		u8(b, class_id(JAVA_OBJECTS));
		ma_buf_add(b, rest.data, rest.len);
	}
	return has_data ? put_zeros(w, data_id, bytes) : NULL;
}

static struct ma_error *put_all(struct writer *w)
{
	_cleanup_buf_ struct ma_buf head = MA_BUF_INIT(64), none = MA_BUF_INIT(16);
	ma_buf_add(&head, "JAVA PROFILE 1.0.2", sizeof("JAVA PROFILE 1.0.2"));
	u4(&head, 8);
	u8(&head, w->tab->meta.taken_realtime_ns / 1000000);
	MA_TRY(ma_buf_error(&head));
	fwrite(head.data, 1, head.len, w->out);
	MA_TRY(put_names(w));
	MA_TRY(put_classes(w));
	for (uint32_t i = 0; i < w->g->count && !ferror(w->out); i++)
		MA_TRY(put_object(w, i));
	for (uint32_t i = 0; i < w->g->count && !ferror(w->out); i++) {
		if (!(w->flags[i] & MA_DOM_ROOT))
			continue;
		MA_TRY(room(w, 16));
		u1(&w->segment, SUB_ROOT);
		u8(&w->segment, ma_addr_index_addr(&w->g->index, i));
	}
	MA_TRY(flush(w));
	return record(w, TAG_END, &none);
}

static struct ma_error *prepare(struct writer *w)
{
	struct ma_dominators dom = { 0 };
	w->classes_of = ma_class_nodes(w->g);
	if (!w->classes_of)
		return &ma_enomem;
	MA_TRY(ma_dom_find_roots(w->g, &w->flags));
	ma_graph_close_books(w->g);
	/* it makes roots of what nothing reaches */
	struct ma_error *err = ma_dominators_compute(w->g, w->classes_of, w->flags, &dom);
	ma_dominators_deinit(&dom);
	if (err)
		return err;
	MA_TRY(ma_edge_labels(w->g, &w->labels));
	return ma_hprof_classes(w->g, w->labels, &w->classes);
}

struct ma_error *ma_export_hprof(FILE *out, const struct ma_snap *s)
{
	struct writer w = {
		.out = out, .tab = ma_snap_tables(s), .segment = MA_BUF_INIT(SIZE_MAX / 2), .next_array = ID_ARRAY
	};
	struct ma_error *err = ma_graph_create(s, true, &w.g);
	if (!err)
		err = prepare(&w);
	if (!err)
		err = put_all(&w);
	ma_buf_deinit(&w.segment);
	free(w.flags);
	free(w.classes_of);
	free(w.labels);
	free(w.classes);
	ma_graph_destroy(w.g);
	return err;
}
