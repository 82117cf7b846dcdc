// SPDX-License-Identifier: Apache-2.0
#include "suspects.h"

#include "cleanup.h"
#include "holders.h"
#include "places.h"

#include <stdlib.h>
#include <string.h>

/* A holder stands out with this share of the heap and so many bytes, or with a smaller share when it is large. */
#define LEAST_PERCENT 5
#define LEAST_BYTES (1u << 20)
#define LARGE_PERCENT 2
#define LARGE_BYTES (16u << 20)
/* The namespace of a module, since that is code: only with this share. */
#define NAMESPACE_PERCENT 20
#define LEAST_OF_A_KIND 8

static const struct {
	const char *name, *advice;
} kinds[] = {
#define MA_SUSPECT_KIND(id, name, advice) { name, advice },
	MA_SUSPECT_KINDS(MA_SUSPECT_KIND)
#undef MA_SUSPECT_KIND
};

const char *ma_suspect_kind_name(enum ma_suspect_kind kind)
{
	return kinds[kind].name;
}

const char *ma_suspect_kind_advice(enum ma_suspect_kind kind)
{
	return kinds[kind].advice;
}

static bool is_one_of(const char *name, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(name, *list))
			return true;
	return false;
}

static const char *const generators[] = { "generator", "coroutine", "async_generator", NULL };
static const char *const tasks[] = { "_asyncio.Task",
				     "_asyncio.Future",
				     "asyncio.tasks.Task",
				     "asyncio.futures.Future",
				     "concurrent.futures._base.Future",
				     NULL };
static const char *const loggers[] = { "logging.Logger", "logging.PlaceHolder", NULL };
static const char *const callbacks[] = { "function",           "method",
					 "functools.partial",  "builtin_function_or_method",
					 "weakref.WeakMethod", NULL };
static const char *const classes[] = { "type", "abc.ABCMeta", "enum.EnumType", "enum.EnumMeta", NULL };

void ma_below_add(struct ma_below *below, const char *name, uint64_t count)
{
	if (!strcmp(name, "traceback"))
		below->tracebacks += count;
	else if (is_one_of(name, generators))
		below->generators += count;
	else if (is_one_of(name, tasks))
		below->tasks += count;
	else if (is_one_of(name, loggers))
		below->loggers += count;
}

/* By the last name of the path. */
static const struct {
	const char *end;
	enum ma_suspect_kind kind;
} by_path[] = {
	{ ".loggerDict", MA_SUSPECT_LOGGERS },
	{ "__main__.Out", MA_SUSPECT_OUTPUT },
	{ "._oh", MA_SUSPECT_OUTPUT },
	{ ".history_manager.output_hist", MA_SUSPECT_OUTPUT },
	{ "sys.last_traceback", MA_SUSPECT_LAST_ERROR },
	{ "sys.last_value", MA_SUSPECT_LAST_ERROR },
	{ "sys.last_exc", MA_SUSPECT_LAST_ERROR },
	{ "gc.garbage", MA_SUSPECT_SAVED_GARBAGE },
};

static bool ends_in(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);
	return n >= m && !strcmp(text + n - m, end);
}

/* By what it holds: half of its elements, or more. */
static enum ma_suspect_kind kind_by_content(const struct ma_snap *s, const struct ma_holder *h)
{
	uint64_t most = h->mostly_count > LEAST_OF_A_KIND ? h->mostly_count / 2 : LEAST_OF_A_KIND;
	const char *mostly = ma_type_name(s, h->mostly);
	if (h->mostly_count >= LEAST_OF_A_KIND && is_one_of(mostly, callbacks))
		return MA_SUSPECT_LISTENERS;
	if (h->mostly_count >= LEAST_OF_A_KIND && is_one_of(mostly, classes))
		return MA_SUSPECT_CLASSES;
	if (h->below.loggers >= most)
		return MA_SUSPECT_LOGGERS;
	if (h->below.tracebacks >= most)
		return MA_SUSPECT_EXCEPTIONS;
	if (h->below.tasks >= most)
		return MA_SUSPECT_TASKS;
	if (h->below.generators >= most)
		return MA_SUSPECT_GENERATORS;
	return MA_SUSPECT_PLAIN;
}

static const char *type_of(const struct ma_graph *g, uint32_t node)
{
	return ma_type_name(g->snap, g->type[node]);
}

/* A type object: an instance of a metaclass. */
static bool is_class(const struct ma_graph *g, uint32_t node)
{
	uint32_t id = g->type[node];
	const struct ma_snap_tables *tab = ma_snap_tables(g->snap);
	return id && (!strcmp(type_of(g, node), "type") || tab->types[id - 1].itemsize == 40); /* sizeof(PyMemberDef) */
}

static bool refers_to(const struct ma_graph *g, uint32_t node, const char *type)
{
	uint32_t dst;
	struct ma_graph_iter it = ma_graph_edges(g, node);
	while (ma_graph_next(&it, &dst))
		if (!strcmp(type_of(g, dst), type))
			return true;
	return false;
}

/* A cache of calls with a bound: the values of its dict are links of a list (_functoolsmodule.c,
 * bounded_lru_cache_wrapper). */
static bool has_links(const struct ma_graph *g, uint32_t cache)
{
	uint32_t dst;
	struct ma_graph_iter it = ma_graph_edges(g, cache);
	while (ma_graph_next(&it, &dst))
		if (!strcmp(type_of(g, dst), "dict") && refers_to(g, dst, "functools._lru_list_elem"))
			return true;
	return false;
}

/* By where it hangs: the nearest above it that tells. */
static enum ma_suspect_kind kind_by_place(const struct ma_graph *g, const struct ma_tree *t, uint32_t node)
{
	bool in_class = false;
	for (unsigned steps = 0; steps < 4; steps++) {
		const char *type = type_of(g, node);
		if (!strcmp(type, "functools._lru_cache_wrapper"))
			return has_links(g, node) ? MA_SUSPECT_BOUND_CALLS : MA_SUSPECT_CALLS;
		if (!strcmp(type, "cell"))
			return MA_SUSPECT_CLOSURE;
		if (!strcmp(type, "_thread._local"))
			return MA_SUSPECT_THREAD_LOCAL;
		if (steps && steps <= 2 && is_class(g, node))
			in_class = true;
		if (MA_IS_ROOT(t->parent[node]))
			break;
		node = t->parent[node];
	}
	return in_class ? MA_SUSPECT_CLASS_ATTRIBUTE : MA_SUSPECT_PLAIN;
}

static enum ma_suspect_kind kind_of(const struct ma_graph *g, const struct ma_tree *t, uint32_t node,
				    const struct ma_holder *h)
{
	for (size_t i = 0; i < MA_ARRAY_SIZE(by_path); i++)
		if (ends_in(h->path, by_path[i].end))
			return by_path[i].kind;
	if (h->namespace || !strcmp(type_of(g, node), "module"))
		return MA_SUSPECT_PLAIN;
	enum ma_suspect_kind kind = kind_by_content(g->snap, h);
	if (kind == MA_SUSPECT_PLAIN)
		kind = kind_by_place(g, t, node);
	return kind;
}

static bool stands_out(uint64_t bytes, uint64_t total, bool namespace)
{
	if (namespace)
		return bytes >= LEAST_BYTES && bytes / NAMESPACE_PERCENT >= total / 100;
	return (bytes >= LEAST_BYTES && bytes / LEAST_PERCENT >= total / 100) ||
	       (bytes >= LARGE_BYTES && bytes / LARGE_PERCENT >= total / 100);
}

/* Does it hang directly on a holder that has more? */
static bool is_part(const struct ma_tree *t, const uint32_t *nodes, size_t count, size_t at)
{
	for (size_t i = 0; i < count && i < at; i++)
		if (nodes[i] == t->parent[nodes[at]])
			return true;
	return false;
}

static void add(struct ma_held *held, const struct ma_suspect *s)
{
	size_t i = held->suspects_count;
	while (i && held->suspects[i - 1].bytes < s->bytes)
		i--;
	if (i == MA_SUSPECTS_MAX)
		return;
	if (held->suspects_count < MA_SUSPECTS_MAX)
		held->suspects_count++;
	memmove(&held->suspects[i + 1], &held->suspects[i], (held->suspects_count - 1 - i) * sizeof(held->suspects[0]));
	held->suspects[i] = *s;
}

static uint32_t class_node(struct ma_graph *g, uint32_t type_id)
{
	return type_id ? ma_addr_index_find(&g->index, ma_snap_tables(g->snap)->types[type_id - 1].addr) : MA_NO_INDEX;
}

/* Where the records of what the classes of `below` refer to stand. */
static struct ma_error *find_namespaces(struct ma_graph *g, const struct ma_below *below, struct ma_places *places)
{
	MA_TRY(ma_places_create(g, places));
	for (size_t i = 0; i < below->consists_count; i++) {
		uint32_t class = class_node(g, below->consists[i].type_id), dst;
		if (class == MA_NO_INDEX)
			continue;
		struct ma_graph_iter it = ma_graph_edges(g, class);
		while (ma_graph_next(&it, &dst))
			ma_places_add(places, dst);
	}
	return NULL;
}

/* Types with a __del__ that are among what `below` consists of? Its name stands in the namespace of the class. */
static struct ma_error *find_finaliser(struct ma_graph *g, const struct ma_below *below, bool *ret)
{
	const struct ma_snap_tables *tab = ma_snap_tables(g->snap);
	uint32_t name = 0;
	*ret = false;
	for (size_t i = 0; i < tab->names_count && !name; i++)
		if (tab->names[i].len == 7 && !memcmp(tab->names[i].p, "__del__", 7))
			name = (uint32_t)i + 1;
	_cleanup_places_ struct ma_places places = { 0 };
	struct ma_snap_cursor *c;
	if (!name)
		return NULL;
	MA_TRY(find_namespaces(g, below, &places));
	MA_TRY(ma_snap_cursor_create(g->snap, &c));
	ma_snap_cursor_only(c, places.wanted);
	struct ma_snap_object o;
	struct ma_snap_edge e;
	while (!*ret && ma_snap_next_object(c, &o)) {
		if (strcmp(ma_type_name(g->snap, o.type_id), "dict"))
			continue;
		while (!*ret && o.has_edges && ma_snap_next_edge(c, &e)) {
			uint32_t dict = MA_NO_INDEX, dst;
			if (e.kind == MA_EDGE_NAMED && e.name_id == name)
				dict = ma_addr_index_find(&g->index, o.addr);
			for (size_t i = 0; dict != MA_NO_INDEX && i < below->consists_count; i++) {
				uint32_t class = class_node(g, below->consists[i].type_id);
				if (class == MA_NO_INDEX)
					continue;
				struct ma_graph_iter it = ma_graph_edges(g, class);
				while (ma_graph_next(&it, &dst))
					*ret |= dst == dict;
			}
		}
	}
	struct ma_error *err = ma_snap_cursor_error(c);
	ma_snap_cursor_destroy(c);
	return err;
}

/* Any module's logger leads to the table of all loggers: the way that people know it by. */
static struct ma_error *rename_loggers(struct ma_holder *h)
{
	if (!ends_in(h->path, ".manager.loggerDict"))
		return NULL;
	char *path = strdup("logging.Logger.manager.loggerDict");
	if (!path)
		return &ma_enomem;
	free(h->path);
	h->path = path;
	return NULL;
}

struct ma_error *ma_suspects_find(struct ma_graph *g, const struct ma_tree *t, const uint32_t *nodes,
				  struct ma_held *held)
{
	uint64_t total = g->totals.bytes, native = held->native_bytes;
	for (size_t i = 0; i < held->holders_count; i++) {
		struct ma_holder *h = &held->holders[i];
		MA_TRY(rename_loggers(h));
		h->kind = kind_of(g, t, nodes[i], h);
		bool namespace = h->namespace || !strcmp(type_of(g, nodes[i]), "module");
		uint64_t bytes = h->bytes > h->retained ? h->bytes : h->retained;
		if (h->lost || !stands_out(h->bytes, total, namespace) || is_part(t, nodes, held->holders_count, i))
			continue;
		if (h->native)
			native -= h->bytes < native ? h->bytes : native;
		add(held, &(struct ma_suspect){ (int)i, h->kind, h->path, bytes, h->retained, h->objects, h->below });
	}
	if (stands_out(held->lost_bytes, total, false)) {
		bool finaliser;
		MA_TRY(find_finaliser(g, &held->lost, &finaliser));
		add(held, &(struct ma_suspect){ -1, finaliser ? MA_SUSPECT_FINALISERS : MA_SUSPECT_GARBAGE,
						"cycles that nothing reaches", held->lost_bytes, held->lost_bytes,
						held->lost_objects, held->lost });
	}
	if (stands_out(native, total, false))
		add(held, &(struct ma_suspect){ -1, MA_SUSPECT_NATIVE, "held by native code only", native,
						held->native_bytes, held->native_objects, held->native });
	return NULL;
}
