// SPDX-License-Identifier: Apache-2.0
#include "waste.h"

#include "array_lists.h"
#include "cleanup.h"
#include "copies.h"
#include "saturate.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define BOXED_LEAST 1000 /* entries of a list that might be an array */
#define BOX_MAX 36       /* bytes of an int of 64 bits: three digits of 30 */
#define GC_HEAD 16
#define OBJECT_HEAD 16
/* tp_basicsize of a class that adds nothing to object: its head, and where the version has no better place for them a
 * pointer to the dict and one to the weak references (Objects/typeobject.c, type_new_slots). */
#define PLAIN_BASICSIZE_MAX 32
#define ATTRS_MAX UINT16_MAX
#define ATTRS_MANY UINT8_MAX
#define KEEP_LEAST 1024 /* references in one record of an object that may have more */

/* What an object is, by the name of its type. */
enum what { OTHER, TUPLE, LIST, DICT, SET, CONTAINER, INSTANCE };

static const struct {
	const char *name;
	enum what what;
} known[] = {
	{ "tuple", TUPLE },
	{ "list", LIST },
	{ "dict", DICT },
	{ "set", SET },
	{ "frozenset", CONTAINER }, /* one empty frozenset is shared, but subclasses make their own */
	{ "collections.deque", CONTAINER },
	{ "collections.OrderedDict", CONTAINER },
	{ "collections.defaultdict", CONTAINER },
	{ "collections.Counter", CONTAINER },
};

struct class
{
	uint64_t count, bytes; /* instances with what is known of their dicts */
	uint32_t attrs;        /* most of one instance */
};

struct sum {
	uint64_t count, bytes;
};

struct pair {
	uint32_t type, dict; /* of an instance; node */
};

/* What one pass over the edges of an object finds; its records may be several (MA_OX_CONT). */
struct object {
	struct ma_snap_object o;
	uint32_t node; /* of strings, tuples and dicts only */
	uint64_t edges, keys, named, elements_hash;
	uint64_t boxes_bytes; /* of elements that nothing else refers to */
	uint32_t box_type;    /* the one type of all elements so far, 0 = several, or none */
	uint32_t dict;        /* node of its __dict__ */
	bool not_counted;     /* it has references that it does not own */
};

struct work {
	const struct ma_graph *g;
	struct ma_addr_index index; /* two copies of that of the graph, each with what was found last: for objects, */
	struct ma_addr_index far;   /* and for what they refer to */
	uint64_t *single;           /* a bit for each node: one reference is counted */
	uint8_t *what;              /* by type id */
	bool *boxed;                /* by type id: int or float */
	uint8_t *attrs;             /* by node, of dicts: entries, or ATTRS_MANY */
	struct ma_copies many;      /* those dicts: the key is the node, and in the place of the node entries */
	struct class *classes;      /* by type id */
	struct pair *pairs;
	size_t pairs_count, pairs_room;
	struct object *kept; /* whose rest may come */
	size_t kept_count, kept_room;
	struct ma_copies strings, tuples, arrays;
	struct ma_array_lists array_lists;
	uint64_t room[3], room_count[3];     /* of list, dict, set */
	uint64_t *empty, *empty_bytes;       /* by type id */
	uint64_t box_bytes[2], box_count[2]; /* of lists of int, of float */
	uint32_t dict_name;                  /* id of "__dict__", 0 = there is none */
	uint64_t keys_head;                  /* of a dict's table, before its indices */
};

static void work_deinit(struct work *w)
{
	free(w->single);
	free(w->what);
	free(w->boxed);
	free(w->attrs);
	free(w->classes);
	free(w->pairs);
	free(w->kept);
	free(w->empty);
	free(w->empty_bytes);
	ma_copies_deinit(&w->many);
	ma_copies_deinit(&w->strings);
	ma_copies_deinit(&w->tuples);
	ma_copies_deinit(&w->arrays);
	ma_array_lists_deinit(&w->array_lists);
}

static struct ma_error *begin(struct work *w)
{
	const struct ma_snap_tables *tab = ma_snap_tables(w->g->snap);
	size_t types = w->g->totals.by_id_count;
	w->index = w->far = w->g->index;
	w->single = calloc(w->g->count / 64 + (size_t)1, sizeof(*w->single));
	w->what = calloc(types, sizeof(*w->what));
	w->boxed = calloc(types, sizeof(*w->boxed));
	w->attrs = calloc(w->g->count + (size_t)1, sizeof(*w->attrs));
	w->classes = calloc(types, sizeof(*w->classes));
	w->empty = calloc(types, sizeof(*w->empty));
	w->empty_bytes = calloc(types, sizeof(*w->empty_bytes));
	if (!w->single || !w->what || !w->boxed || !w->attrs || !w->classes || !w->empty || !w->empty_bytes)
		return &ma_enomem;
	for (uint32_t i = 0; i < w->g->count; i++)
		w->single[i / 64] |= (uint64_t)(w->g->refcnt[i] == 1) << i % 64;
	for (uint32_t i = 1; i < types; i++) {
		const struct ma_type_total *t = &w->g->totals.by_id[i];
		w->boxed[i] = !strcmp(t->name, "int") || !strcmp(t->name, "float");
		for (size_t k = 0; k < MA_ARRAY_SIZE(known); k++)
			if (!strcmp(t->name, known[k].name))
				w->what[i] = (uint8_t)known[k].what;
		const struct ma_snap_type *type = &tab->types[i - 1];
		if (!w->what[i] && t->heap && !type->itemsize && type->basicsize >= OBJECT_HEAD &&
		    type->basicsize <= PLAIN_BASICSIZE_MAX && !(type->flags & MA_TF_VALUES))
			w->what[i] = INSTANCE;
	}
	for (size_t i = 0; i < tab->names_count && !w->dict_name; i++)
		if (tab->names[i].len == 8 && !memcmp(tab->names[i].p, "__dict__", 8))
			w->dict_name = (uint32_t)i + 1;
	/* struct _dictkeysobject: 40 bytes up to 3.10, 32 from 3.11 on (pycore_dict.h) */
	w->keys_head = !strncmp(tab->meta.python, "3.8", 3) || !strncmp(tab->meta.python, "3.9", 3) ||
				       !strncmp(tab->meta.python, "3.10", 4)
			       ? 40
			       : 32;
	return NULL;
}

/* An element of a list of which all so far are boxes of one type. */
static void look_in_box(struct work *w, struct object *x, uint64_t element)
{
	const struct ma_graph *g = w->g;
	uint32_t dst = ma_addr_index_find(&w->far, element);
	uint32_t type = dst == MA_NO_INDEX ? 0 : g->type[dst];
	if (!x->edges)
		x->box_type = w->boxed[type] ? type : 0;
	/* an int of more than 64 bits fits into no array */
	if (!x->box_type || type != x->box_type || ma_graph_size(g, dst) > BOX_MAX)
		x->box_type = 0;
	else if (w->single[dst / 64] >> dst % 64 & 1)
		x->boxes_bytes += ma_graph_size(g, dst);
}

static struct ma_error *read_edges(struct work *w, struct ma_snap_cursor *c, struct object *x)
{
	struct ma_snap_edge e;
	bool list = w->what[x->o.type_id] == LIST && x->o.size >= BOXED_LEAST * 8; /* else it is too short */
	while (x->o.has_edges && ma_snap_next_edge(c, &e)) {
		if (e.kind == MA_EDGE_BORROWED || e.kind == MA_EDGE_GUESSED) {
			x->not_counted = true; /* the dict of interned strings is not empty, but owns none of them */
			continue;
		}
		x->keys += e.kind == MA_EDGE_KEY;
		x->named += e.kind == MA_EDGE_NAMED && e.name_id != w->dict_name;
		x->elements_hash = ma_copies_mix(x->elements_hash, e.dst);
		if (e.kind == MA_EDGE_NAMED && e.name_id == w->dict_name)
			x->dict = ma_addr_index_find(&w->far, e.dst);
		if (list && (x->box_type || !x->edges))
			look_in_box(w, x, e.dst);
		x->edges++;
	}
	return ma_snap_cursor_error(c);
}

static uint64_t table_bytes(const struct work *w, unsigned log2, uint64_t entry)
{
	uint64_t size = UINT64_C(1) << log2, index = size <= 0xff ? 1 : size <= 0xffff ? 2 : size <= 0xffffffff ? 4 : 8;
	return w->keys_head + index * size + (size << 1) / 3 * entry;
}

/* The table of a dict has room for two thirds of a power of two of entries (Objects/dictobject.c, USABLE_FRACTION). 0
 * for a table that is none of these: one of an instance, whose keys others share. */
static uint64_t dict_room(const struct work *w, uint64_t bytes, uint64_t entries)
{
	for (unsigned log2 = 3; log2 < 36; log2++) {
		for (uint64_t entry = 16; entry <= 24; entry += 8) {
			if (table_bytes(w, log2, entry) != bytes)
				continue;
			unsigned least = 3;
			while (least < log2 && ((UINT64_C(1) << least) << 1) / 3 < entries)
				least++;
			return bytes - table_bytes(w, least, entry);
		}
	}
	return 0;
}

/* A table of 16 bytes an entry, less than three fifths full; one of 8 entries lies in the set itself (setobject.c). */
static uint64_t set_room(uint64_t bytes, uint64_t entries)
{
	uint64_t size = 8;
	while (size < bytes / 16 && entries * 5 >= (size - 1) * 3)
		size <<= 1;
	return sub(bytes, size > 8 ? size * 16 : 0);
}

static void add_room(struct work *w, unsigned which, uint64_t bytes)
{
	w->room[which] = add(w->room[which], bytes);
	w->room_count[which] += bytes > 0;
}

static struct ma_error *add_instance(struct work *w, const struct object *x)
{
	struct class *c = &w->classes[x->o.type_id];
	c->count++;
	c->bytes = add(c->bytes, x->o.size);
	/* of its own: from 3.11 on they may lie in the instance, even when there is a dict for them, too */
	uint32_t attrs = x->named < ATTRS_MAX ? (uint32_t)x->named : ATTRS_MAX;
	c->attrs = c->attrs < attrs ? attrs : c->attrs;
	if (x->dict == MA_NO_INDEX)
		return NULL;
	if (w->pairs_count == w->pairs_room) {
		size_t room = w->pairs_room ? w->pairs_room * 2 : 1024;
		struct pair *more = reallocarray(w->pairs, room, sizeof(*more));
		if (!more)
			return &ma_enomem;
		w->pairs = more;
		w->pairs_room = room;
	}
	w->pairs[w->pairs_count++] = (struct pair){ x->o.type_id, x->dict };
	return NULL;
}

static struct ma_error *add_object(struct work *w, struct object *x)
{
	const struct ma_snap_object *o = &x->o;
	enum what what = w->what[o->type_id];
	uint64_t entries = x->keys > x->named ? x->keys : x->named;
	bool none = !x->edges && !x->not_counted;
	switch (what) {
	case LIST:
		add_room(w, 0, sub(o->buffer, x->edges * 8));
		if (x->box_type && x->edges >= BOXED_LEAST) {
			unsigned is_float = strcmp(ma_type_name(w->g->snap, x->box_type), "float") == 0;
			w->box_bytes[is_float] = add(w->box_bytes[is_float], x->boxes_bytes);
			w->box_count[is_float] += x->edges;
			return ma_array_lists_offer(&w->array_lists, o->addr, x->edges,
						    is_float ? MA_CONTENT_FLOAT : MA_CONTENT_INT,
						    add(o->size, x->boxes_bytes));
		}
		break;
	case DICT:
		w->attrs[x->node] = entries < ATTRS_MANY ? (uint8_t)entries : ATTRS_MANY;
		if (entries >= ATTRS_MANY)
			MA_TRY(ma_copies_add(&w->many, x->node, entries < ATTRS_MAX ? (uint32_t)entries : ATTRS_MAX));
		none = !entries && !x->not_counted;
		add_room(w, 1, !entries ? 0 : dict_room(w, o->buffer, entries));
		break;
	case SET:
		add_room(w, 2, none ? 0 : set_room(o->buffer, x->edges));
		break;
	case TUPLE:
		return none ? NULL : ma_copies_add(&w->tuples, ma_copies_mix(x->elements_hash, x->edges), x->node);
	case INSTANCE:
		return add_instance(w, x);
	case CONTAINER:
	case OTHER:
		break;
	}
	if (none && what != OTHER) {
		w->empty[o->type_id]++;
		w->empty_bytes[o->type_id] = add(w->empty_bytes[o->type_id], o->size);
	}
	return NULL;
}

static struct ma_error *add_string(struct work *w, const struct object *x, const struct ma_snap_value *v)
{
	if (!v->known || (v->kind != MA_VALUE_STR && v->kind != MA_VALUE_BYTES))
		return NULL;
	uint64_t key = v->hash << 24 | ((v->length * 4 + v->kind) & 0xffffff); /* 40 bits, then what else tells */
	return ma_copies_add(&w->strings, key, x->node);
}

/* A large object may go on in a later record: it is added at the end. */
static struct ma_error *add_or_keep(struct work *w, struct object *x)
{
	if (x->edges < KEEP_LEAST)
		return add_object(w, x);
	if (w->kept_count == w->kept_room) {
		size_t room = w->kept_room ? w->kept_room * 2 : 64;
		struct object *more = reallocarray(w->kept, room, sizeof(*more));
		if (!more)
			return &ma_enomem;
		w->kept = more;
		w->kept_room = room;
	}
	w->kept[w->kept_count++] = *x;
	return NULL;
}

/* The last one first: the rest of an object comes soon. */
static struct object *find_kept(struct work *w, uint64_t addr)
{
	for (size_t i = w->kept_count; i-- > 0;)
		if (w->kept[i].o.addr == addr)
			return &w->kept[i];
	return NULL;
}

/* Reads an object as far as it matters; *more_ret: its references do, and go on in records to come, perhaps. */
static struct ma_error *read_object(struct work *w, struct ma_snap_cursor *c, struct object *x, bool *more_ret)
{
	struct ma_snap_value v;
	enum what what = w->what[x->o.type_id];
	bool has_value = ma_snap_value(c, &v);
	*more_ret = false;
	if (has_value || what == TUPLE || what == DICT) { /* looking it up takes its time */
		x->node = ma_addr_index_find(&w->index, x->o.addr);
		if (x->node == MA_NO_INDEX)
			return NULL;
	}
	if (has_value)
		MA_TRY(add_string(w, x, &v));
	if (what == OTHER)
		return NULL;
	*more_ret = true;
	return read_edges(w, c, x);
}

static struct ma_error *read_objects(struct work *w, struct ma_snap_cursor *c)
{
	struct object x = { .dict = MA_NO_INDEX };
	struct ma_snap_object next;
	bool more = false;
	while (ma_snap_next_object(c, &next)) {
		if (next.extra & MA_OX_CONT) {
			struct object *to = more && next.addr == x.o.addr ? &x : find_kept(w, next.addr);
			if (!to)
				continue;
			to->o.has_edges = next.has_edges;
			MA_TRY(read_edges(w, c, to));
			continue;
		}
		if (more)
			MA_TRY(add_or_keep(w, &x));
		x = (struct object){ .dict = MA_NO_INDEX };
		x.o = next;
		MA_TRY(read_object(w, c, &x, &more));
	}
	MA_TRY(ma_snap_cursor_error(c));
	if (more)
		MA_TRY(add_object(w, &x));
	for (size_t i = 0; i < w->kept_count; i++)
		MA_TRY(add_object(w, &w->kept[i]));
	return NULL;
}

static struct ma_error *add_arrays(struct work *w)
{
	const struct ma_snap_tables *tab = ma_snap_tables(w->g->snap);
	for (size_t i = 0; i < tab->contents_count; i++) {
		const struct ma_snap_content *c = &tab->contents[i];
		uint32_t node = ma_addr_index_find(&w->index, c->object);
		if (node == MA_NO_INDEX)
			continue;
		uint64_t key = ma_copies_mix(ma_copies_mix(c->hash, c->bytes), w->g->type[node]);
		MA_TRY(ma_copies_add(&w->arrays, key, node));
	}
	return NULL;
}

static uint32_t attrs_of(const struct work *w, uint32_t dict)
{
	size_t lo = 0, hi = w->many.count;
	if (w->attrs[dict] < ATTRS_MANY)
		return w->attrs[dict];
	while (lo + 1 < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (ma_copy_key(&w->many.items[mid]) <= dict)
			lo = mid;
		else
			hi = mid;
	}
	return w->many.count ? w->many.items[lo].node : ATTRS_MANY;
}

/* The dicts of instances, which may come before or after them in the file. */
static void join_pairs(struct work *w)
{
	ma_copies_sort(&w->many);
	for (size_t i = 0; i < w->pairs_count; i++) {
		struct class *c = &w->classes[w->pairs[i].type];
		uint32_t dict = w->pairs[i].dict, attrs = attrs_of(w, dict);
		c->bytes = add(c->bytes, ma_graph_size(w->g, dict));
		if (attrs > c->attrs)
			c->attrs = attrs;
	}
}

static void put(struct ma_waste *waste, enum ma_waste_kind kind, const char *type, uint64_t count, uint64_t bytes)
{
	if (bytes)
		waste->rows[waste->count++] = (struct ma_waste_row){ kind, type, count, bytes, 0, 0 };
}

static int by_bytes(const void *a, const void *b)
{
	const struct ma_waste_row *x = a, *y = b;
	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	return strcmp(x->type, y->type);
}

static void keep(struct ma_waste *waste, const struct ma_duplicate *d)
{
	size_t i = waste->duplicates_count;
	while (i && waste->duplicates[i - 1].bytes < d->bytes)
		i--;
	if (i == MA_DUPLICATES_MAX)
		return;
	if (waste->duplicates_count < MA_DUPLICATES_MAX)
		waste->duplicates_count++;
	memmove(&waste->duplicates[i + 1], &waste->duplicates[i],
		(waste->duplicates_count - 1 - i) * sizeof(waste->duplicates[0]));
	waste->duplicates[i] = *d;
}

/* By type; of each group of equal ones all but the first are waste. */
static struct ma_error *put_copies(struct work *w, struct ma_waste *waste)
{
	size_t types = w->g->totals.by_id_count;
	_cleanup_free_ struct sum *by_type = calloc(types, sizeof(*by_type));
	if (!by_type)
		return &ma_enomem;
	struct ma_copies *lists[] = { &w->strings, &w->tuples, &w->arrays };
	static const enum ma_waste_kind of_list[] = { MA_WASTE_COPIES, MA_WASTE_TUPLES, MA_WASTE_ARRAYS };
	for (size_t l = 0; l < MA_ARRAY_SIZE(lists); l++) {
		memset(by_type, 0, types * sizeof(*by_type));
		ma_copies_sort(lists[l]);
		const struct ma_copy *c = lists[l]->items;
		for (size_t i = 0, end; i < lists[l]->count; i = end) {
			uint64_t size = ma_graph_size(w->g, c[i].node);
			for (end = i + 1; end < lists[l]->count && ma_copy_key(&c[end]) == ma_copy_key(&c[i]);)
				end++;
			if (end - i < 2)
				continue;
			uint32_t type = w->g->type[c[i].node];
			uint64_t bytes = mul(size, end - i - 1);
			by_type[type].count += end - i - 1;
			by_type[type].bytes = add(by_type[type].bytes, bytes);
			if (of_list[l] != MA_WASTE_TUPLES)
				keep(waste, &(struct ma_duplicate){ type, c[i].node, end - i, size, bytes });
		}
		for (size_t i = 0; i < types; i++)
			put(waste, of_list[l], w->g->totals.by_id[i].name, by_type[i].count, by_type[i].bytes);
	}
	return NULL;
}

static void put_slots(const struct work *w, struct ma_waste *waste)
{
	for (size_t i = 1; i < w->g->totals.by_id_count; i++) {
		const struct class *c = &w->classes[i];
		if (!c->count || !c->attrs)
			continue;
		uint64_t then = GC_HEAD + OBJECT_HEAD + 8 * (uint64_t)c->attrs, all = mul(then, c->count);
		if (c->bytes <= all)
			continue;
		put(waste, MA_WASTE_SLOTS, w->g->totals.by_id[i].name, c->count, c->bytes - all);
		waste->rows[waste->count - 1].each = c->bytes / c->count;
		waste->rows[waste->count - 1].each_then = then;
	}
}

static struct ma_error *collect(struct work *w, struct ma_waste *waste)
{
	static const char *const containers[] = { "list", "dict", "set" };
	size_t types = w->g->totals.by_id_count;
	waste->rows = calloc(types * 5 + 8, sizeof(*waste->rows));
	if (!waste->rows)
		return &ma_enomem;
	join_pairs(w);
	MA_TRY(put_copies(w, waste));
	uint64_t lists, lists_bytes;
	MA_TRY(ma_array_lists_finish(&w->array_lists, w->g->snap, &lists, &lists_bytes));
	put(waste, MA_WASTE_ARRAY_LISTS, "list", lists, lists_bytes);
	put_slots(w, waste);
	for (size_t i = 0; i < MA_ARRAY_SIZE(containers); i++)
		put(waste, MA_WASTE_ROOM, containers[i], w->room_count[i], w->room[i]);
	for (size_t i = 0; i < types; i++)
		put(waste, MA_WASTE_EMPTY, w->g->totals.by_id[i].name, w->empty[i], w->empty_bytes[i]);
	put(waste, MA_WASTE_BOXED, "int", w->box_count[0], w->box_bytes[0]);
	put(waste, MA_WASTE_BOXED, "float", w->box_count[1], w->box_bytes[1]);
	qsort(waste->rows, waste->count, sizeof(*waste->rows), by_bytes);
	return NULL;
}

static struct ma_error *build(struct work *w, struct ma_waste *waste)
{
	struct ma_snap_cursor *c;
	MA_TRY(ma_array_lists_begin(w->g->snap, &w->array_lists));
	MA_TRY(ma_snap_cursor_create(w->g->snap, &c));
	waste->hashes = ma_snap_tables(w->g->snap)->meta.values != MA_VALUES_NONE;
	struct ma_error *err = waste->hashes ? ma_snap_cursor_values(c) : NULL;
	if (!err)
		err = read_objects(w, c);
	if (!err)
		err = add_arrays(w);
	ma_snap_cursor_destroy(c);
	return err ? err : collect(w, waste);
}

static const struct {
	const char *name, *text;
} kinds[] = {
#define MA_WASTE_KIND(id, name, text) { name, text },
	MA_WASTE_KINDS(MA_WASTE_KIND)
#undef MA_WASTE_KIND
};

const char *ma_waste_name(enum ma_waste_kind kind)
{
	return kinds[kind].name;
}

const char *ma_waste_text(enum ma_waste_kind kind)
{
	return kinds[kind].text;
}

void ma_waste_deinit(struct ma_waste *w)
{
	free(w->rows);
	memset(w, 0, sizeof(*w));
}

struct ma_waste_job {
	struct work work;
	struct ma_waste waste;
	struct ma_error *err;
	pthread_t thread;
	bool threaded;
};

static void *run(void *arg)
{
	struct ma_waste_job *job = arg;
	job->err = build(&job->work, &job->waste);
	work_deinit(&job->work); /* now, and not when somebody asks */
	return NULL;
}

struct ma_error *ma_waste_start(const struct ma_graph *g, struct ma_waste_job **ret)
{
	struct ma_waste_job *job = calloc(1, sizeof(*job));
	if (!job)
		return &ma_enomem;
	job->work.g = g;
	struct ma_error *err = begin(&job->work);
	if (err) {
		work_deinit(&job->work);
		free(job);
		return err;
	}
	job->threaded = !pthread_create(&job->thread, NULL, run, job);
	*ret = job;
	return NULL;
}

struct ma_error *ma_waste_finish(struct ma_waste_job *job, struct ma_waste *ret)
{
	if (job->threaded)
		pthread_join(job->thread, NULL);
	else
		run(job);
	struct ma_error *err = job->err;
	if (err)
		ma_waste_deinit(&job->waste);
	else
		*ret = job->waste;
	free(job);
	return err;
}

struct ma_error *ma_waste_create(const struct ma_graph *g, struct ma_waste *ret)
{
	struct ma_waste_job *job;
	MA_TRY(ma_waste_start(g, &job));
	return ma_waste_finish(job, ret);
}
