// SPDX-License-Identifier: Apache-2.0
/* .heapsnapshot. There is no specification; V8's src/profiler/heap-snapshot-generator.cc writes it and DevTools'
 * front_end/entrypoints/heap_snapshot_worker reads it, forward only and in this order: nodes, edges, ..., strings. What
 * has to be minded:
 *
 *	- the root stands first; to_node is the position of a node times the number of its fields
 *	- sizes and ids are 32 bits wide: larger objects go on in "(more)" nodes, ids are made from addresses
 *	- ids are odd (even ones are not JavaScript's) and the same for the same address, so that two files can be
 *compared
 *	- weak edges do not retain: so is each reference to a module's namespace but the module's own (dominators.h)
 *	- numbers are unsigned integers; strings come last, so they are made again at the end, in the same order
 */
#include "heapsnapshot.h"

#include "buffer.h"
#include "cleanup.h"
#include "dominators.h"
#include "edge_labels.h"
#include "edge_name.h"
#include "escape.h"
#include "holder_path.h"
#include "value_text.h"

#include <inttypes.h>
#include <string.h>

#define NODE_FIELDS 7
#define SIZE_MAX_NODE 0xfffffff0u
#define TEXT_MAX 1024 /* as V8 cuts them: longer ones make viewers slow */
#define ID_SHIFT 35   /* bits of an address that its id has */
#define STRETCHES_MAX 64

enum node_type { NODE_STRING = 2, NODE_OBJECT = 3, NODE_NATIVE = 8, NODE_SYNTHETIC = 9 };
enum edge_type { EDGE_ELEMENT = 1, EDGE_PROPERTY = 2, EDGE_INTERNAL = 3, EDGE_WEAK = 6 };

enum group { GROUP_NONE, GROUP_MODULES, GROUP_FRAMES, GROUP_INTERPRETER, GROUP_NATIVE, GROUP_COUNT };
static const char *const fixed[] = { "",       "(modules)", "(frames)", "(interpreter)", "(native code)", "(root)",
				     "(more)", "__class__", "<key>",    "<guessed>",     "<reference>" };
enum fixed_string { STR_ROOT = GROUP_COUNT, STR_MORE, STR_CLASS, STR_KEY, STR_GUESSED, STR_REFERENCE, STR_COUNT };

struct writer {
	FILE *out;
	struct ma_graph *g;
	const struct ma_snap_tables *tab;
	uint8_t *flags;      /* MA_DOM_* */
	uint8_t *group;      /* enum group: which of them refers to the node */
	uint32_t *classes;   /* by type id */
	uint32_t *labels;    /* by edge */
	uint32_t *string;    /* by node: its first string of its own, 0 = none */
	bool *is_str;        /* by type id */
	uint8_t *is_key;     /* by node */
	struct ma_way *ways; /* what the groups refer to, but for native code */
	size_t ways_count;
	uint32_t in_group[GROUP_COUNT];
	uint32_t more;                                 /* nodes for what is larger than SIZE_MAX_NODE */
	uint32_t types_at, names_at, ways_at, strings; /* positions of strings */
	uint32_t spare_id;
	uint64_t stretches[STRETCHES_MAX]; /* of the address space, that have objects: addr >> ID_SHIFT */
	size_t stretches_count;
	const char *comma; /* before the next item of a list */
};

static void begin_list(struct writer *w, const char *name)
{
	fprintf(w->out, "\"%s\":[\n", name);
	w->comma = "";
}

/* ---- what there is */
static void put_in_group(struct writer *w, uint64_t addr, enum group group)
{
	uint32_t node = ma_addr_index_find(&w->g->index, addr);
	if (node != MA_NO_INDEX && w->flags[node] & MA_DOM_ROOT && !w->group[node])
		w->group[node] = (uint8_t)group;
}

static void put_locals(struct writer *w, size_t begin, size_t end, enum group group)
{
	for (size_t i = begin; i < end && i < w->tab->locals_count; i++)
		if (!w->tab->locals[i].borrowed)
			put_in_group(w, w->tab->locals[i].dst, group);
}

static struct ma_error *find_groups(struct writer *w, const struct ma_tree *t)
{
	for (uint32_t i = 0; i < w->g->count; i++)
		if (w->flags[i] & MA_DOM_MODULE)
			w->group[i] = GROUP_MODULES;
	for (size_t i = 0; i < w->tab->frames_count; i++) {
		put_in_group(w, w->tab->frames[i].addr, GROUP_FRAMES);
		put_locals(w, w->tab->frames[i].locals_begin, w->tab->frames[i].locals_end, GROUP_FRAMES);
	}
	for (size_t i = 0; i < w->tab->interps_count; i++)
		put_locals(w, w->tab->interps[i].locals_begin, w->tab->interps[i].locals_end, GROUP_INTERPRETER);
	for (uint32_t i = 0; i < w->g->count; i++) {
		if (!w->group[i] && w->flags[i] & MA_DOM_ROOT)
			w->group[i] = GROUP_NATIVE;
		w->in_group[w->group[i]]++;
	}
	w->ways_count = (size_t)w->in_group[GROUP_MODULES] + w->in_group[GROUP_FRAMES] + w->in_group[GROUP_INTERPRETER];
	w->ways = calloc(w->ways_count + 1, sizeof(*w->ways));
	if (!w->ways)
		return &ma_enomem;
	size_t n = 0;
	for (unsigned group = GROUP_MODULES; group < GROUP_NATIVE; group++)
		for (uint32_t i = 0; i < w->g->count; i++)
			if (w->group[i] == group)
				w->ways[n++].node = i;
	return ma_ways_name(w->g, t, w->ways, w->ways_count);
}

static bool has_values(const struct writer *w)
{
	return w->tab->meta.values != MA_VALUES_NONE;
}

static bool is_str(const struct writer *w, uint32_t node)
{
	return has_values(w) && w->is_str[w->g->type[node]];
}

/* Strings of objects are numbered in the order of the file, in which put_strings() makes them. */
static struct ma_error *number_strings(struct writer *w)
{
	struct ma_snap_cursor *c;
	struct ma_snap_object o;
	uint64_t at = w->strings;
	for (uint32_t i = 0; i < w->g->edges; i++)
		if (ma_label_kind(w->labels[i]) == MA_LABEL_VALUE && ma_label_number(w->labels[i]) < w->g->count)
			w->is_key[ma_label_number(w->labels[i])] = 1;
	MA_TRY(ma_snap_cursor_create(w->g->snap, &c));
	while (ma_snap_next_object(c, &o)) {
		uint32_t node = ma_addr_index_find(&w->g->index, o.addr);
		if (node == MA_NO_INDEX || o.extra & MA_OX_CONT || w->string[node])
			continue;
		if (is_str(w, node) || w->is_key[node])
			w->string[node] = (uint32_t)at;
		at += (uint64_t)is_str(w, node) + w->is_key[node];
	}
	struct ma_error *err = ma_snap_cursor_error(c);
	ma_snap_cursor_destroy(c);
	if (!err && at > UINT32_MAX)
		err = ma_errorf(MA_ERR_LIMIT, "too many strings for a .heapsnapshot");
	w->strings = (uint32_t)at;
	return err;
}

/* ---- nodes */
static uint32_t first_object(void)
{
	return GROUP_COUNT; /* the root and its groups stand before */
}

static void put_node(struct writer *w, enum node_type type, uint64_t name, uint64_t id, uint64_t size, uint64_t edges)
{
	fprintf(w->out, "%s%d,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",0,0\n", w->comma, (int)type, name, id,
		size, edges);
	w->comma = ",";
}

/* The id of an address: its lower 35 bits; where an object before it has the same ones, a spare number from the top.
 * Nodes come in the order of their addresses, so the stretches of 32 GiB that have objects are known when they are
 * asked for. */
static uint64_t id_of(struct writer *w, uint32_t node)
{
	uint64_t addr = ma_addr_index_addr(&w->g->index, node), high = addr >> ID_SHIFT;
	uint64_t low = addr & ((UINT64_C(1) << ID_SHIFT) - 1) & ~UINT64_C(15);
	if (!w->stretches_count || (w->stretches[w->stretches_count - 1] != high && w->stretches_count < STRETCHES_MAX))
		w->stretches[w->stretches_count++] = high;
	for (size_t i = 0; i < w->stretches_count && w->stretches[i] < high; i++) {
		uint64_t same = w->stretches[i] << ID_SHIFT | low;
		if (ma_addr_index_find(&w->g->index, same) != MA_NO_INDEX ||
		    ma_addr_index_find(&w->g->index, same + 8) != MA_NO_INDEX)
			return w->spare_id -= 2;
	}
	return (low >> 4) * 2 + 1;
}

static uint32_t class_of(const struct writer *w, uint32_t node)
{
	return w->classes ? w->classes[w->g->type[node]] : MA_NO_INDEX;
}

static uint64_t edges_of(const struct writer *w, uint32_t node)
{
	uint32_t dst;
	uint64_t n = class_of(w, node) != MA_NO_INDEX;
	struct ma_graph_iter it = ma_graph_edges(w->g, node);
	while (ma_graph_next(&it, &dst))
		n++;
	return n;
}

static uint32_t more_of(const struct writer *w, uint32_t node)
{
	return w->g->size[node] <= SIZE_MAX_NODE ? 0 : (uint32_t)((ma_graph_size(w->g, node) - 1) / SIZE_MAX_NODE);
}

static void put_nodes(struct writer *w)
{
	uint32_t groups = 0;
	for (int i = GROUP_MODULES; i < GROUP_COUNT; i++)
		groups += w->in_group[i] > 0;
	begin_list(w, "nodes");
	put_node(w, NODE_SYNTHETIC, STR_ROOT, 1, 0, groups);
	for (int i = GROUP_MODULES; i < GROUP_COUNT; i++)
		put_node(w, NODE_SYNTHETIC, (uint64_t)i, UINT32_MAX - 2 * (uint64_t)i, 0, w->in_group[i]);
	for (uint32_t i = 0; i < w->g->count && !ferror(w->out); i++) {
		bool str = is_str(w, i) && w->string[i];
		uint64_t size = ma_graph_size(w->g, i);
		put_node(w, str ? NODE_STRING : NODE_OBJECT, str ? w->string[i] : w->types_at + w->g->type[i],
			 id_of(w, i), size < SIZE_MAX_NODE ? size : SIZE_MAX_NODE, edges_of(w, i) + more_of(w, i));
	}
	for (size_t b = 0; b < w->g->big_count; b++) {
		uint64_t left = w->g->big[b].size - SIZE_MAX_NODE;
		for (uint32_t i = more_of(w, w->g->big[b].node); i-- > 0; left -= SIZE_MAX_NODE)
			put_node(w, NODE_NATIVE, STR_MORE, w->spare_id -= 2,
				 left < SIZE_MAX_NODE ? left : SIZE_MAX_NODE, 0);
	}
}

/* ---- edges */
static void put_edge(struct writer *w, enum edge_type type, uint64_t name, uint64_t to)
{
	fprintf(w->out, "%s%d,%" PRIu64 ",%" PRIu64 "\n", w->comma, (int)type, name, to * NODE_FIELDS);
	w->comma = ",";
}

static void put_object_edge(struct writer *w, uint32_t src, uint32_t dst, uint32_t label)
{
	enum edge_type type = EDGE_INTERNAL;
	uint64_t name = STR_REFERENCE;
	uint32_t number = ma_label_number(label);
	switch (ma_label_kind(label)) {
	case MA_LABEL_NAMED:
		type = EDGE_PROPERTY;
		name = number <= w->tab->names_count ? w->names_at + number - 1 : STR_REFERENCE;
		break;
	case MA_LABEL_INDEX:
		type = EDGE_ELEMENT;
		name = number;
		break;
	case MA_LABEL_KEY:
		name = STR_KEY;
		break;
	case MA_LABEL_VALUE:
		if (number < w->g->count && w->string[number]) {
			type = EDGE_PROPERTY;
			name = w->string[number] + (uint64_t)is_str(w, number);
		}
		break;
	case MA_LABEL_GUESSED:
		name = STR_GUESSED;
		break;
	case MA_LABEL_PLAIN:
		break;
	}
	if (w->flags[dst] & MA_DOM_NAMESPACE && !(w->flags[src] & MA_DOM_MODULE))
		type = EDGE_WEAK; /* its name is a string, too */
	put_edge(w, type, type == EDGE_WEAK && ma_label_kind(label) == MA_LABEL_INDEX ? STR_REFERENCE : name,
		 (uint64_t)dst + first_object());
}

static void put_edges_of(struct writer *w, uint32_t node)
{
	uint32_t dst, label;
	struct ma_graph_iter it = ma_graph_edges(w->g, node);
	while (ma_labelled_next(&it, w->labels, &dst, &label))
		put_object_edge(w, node, dst, label);
	if (class_of(w, node) != MA_NO_INDEX)
		put_edge(w, EDGE_PROPERTY, STR_CLASS, (uint64_t)class_of(w, node) + first_object());
}

static void put_edges(struct writer *w)
{
	uint64_t more = (uint64_t)first_object() + w->g->count;
	uint32_t element = 0;
	size_t way = 0;
	begin_list(w, "edges");
	for (uint32_t i = GROUP_MODULES; i < GROUP_COUNT; i++)
		if (w->in_group[i])
			put_edge(w, EDGE_ELEMENT, i, i);
	for (; way < w->ways_count; way++)
		put_edge(w, EDGE_PROPERTY, w->ways_at + way, (uint64_t)w->ways[way].node + first_object());
	for (uint32_t i = 0; i < w->g->count; i++)
		if (w->group[i] == GROUP_NATIVE)
			put_edge(w, EDGE_ELEMENT, element++, (uint64_t)i + first_object());
	for (uint32_t i = 0; i < w->g->count && !ferror(w->out); i++) {
		put_edges_of(w, i);
		for (uint32_t n = more_of(w, i); n-- > 0;)
			put_edge(w, EDGE_INTERNAL, STR_MORE, more++);
	}
}

/* ---- strings */
static struct ma_error *put_string(struct writer *w, const char *p, size_t bytes)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(16 * TEXT_MAX);
	if (bytes > TEXT_MAX)
		for (bytes = TEXT_MAX; bytes && ((unsigned char)p[bytes] & 0xc0) == 0x80;)
			bytes--; /* not within a character */
	ma_buf_str(&b, w->comma);
	ma_escape_json(&b, p, bytes);
	ma_buf_str(&b, "\n");
	MA_TRY(ma_buf_error(&b));
	fwrite(b.data, 1, b.len, w->out);
	w->comma = ",";
	return NULL;
}

/* DevTools reads a meaning into these names of classes. */
static struct ma_error *put_type(struct writer *w, const char *name)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(1 << 20);
	bool special = !strcmp(name, "Object") || name[0] == '<' || !strncmp(name, "Detached ", 9);
	ma_buf_printf(&b, "%s%s", special ? "type " : "", name);
	MA_TRY(ma_buf_error(&b));
	return put_string(w, ma_buf_text(&b), b.len);
}

static struct ma_error *put_value(struct writer *w, const struct ma_snap_value *v)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(4 * MA_VALUE_TEXT_MAX + 64);
	if (v && v->has_text)
		ma_value_content(&b, v);
	else if (v && v->known)
		ma_buf_printf(&b, "str #%010" PRIx64 ", %" PRIu64 " chars", v->hash, v->length);
	else
		ma_buf_str(&b, "str");
	MA_TRY(ma_buf_error(&b));
	return put_string(w, ma_buf_text(&b), b.len);
}

static struct ma_error *put_key(struct writer *w, uint32_t node, const struct ma_snap_value *v)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(4 * MA_VALUE_TEXT_MAX + 64);
	ma_buf_u8(&b, '[');
	ma_value_key(&b, ma_type_name(w->g->snap, w->g->type[node]), v);
	ma_buf_u8(&b, ']');
	MA_TRY(ma_buf_error(&b));
	return put_string(w, ma_buf_text(&b), b.len);
}

static struct ma_error *put_object_strings(struct writer *w, struct ma_snap_cursor *c, uint32_t next)
{
	struct ma_snap_object o;
	struct ma_snap_value value;
	if (has_values(w))
		MA_TRY(ma_snap_cursor_values(c));
	while (ma_snap_next_object(c, &o) && !ferror(w->out)) {
		uint32_t node = ma_addr_index_find(&w->g->index, o.addr);
		if (node == MA_NO_INDEX || o.extra & MA_OX_CONT || w->string[node] != next)
			continue;
		const struct ma_snap_value *v = ma_snap_value(c, &value) ? &value : NULL;
		if (is_str(w, node))
			MA_TRY(put_value(w, v));
		if (w->is_key[node])
			MA_TRY(put_key(w, node, v));
		next += (uint32_t)is_str(w, node) + w->is_key[node];
	}
	return ma_snap_cursor_error(c);
}

static struct ma_error *put_strings(struct writer *w)
{
	uint32_t own = w->ways_at + (uint32_t)w->ways_count;
	struct ma_snap_cursor *c;
	begin_list(w, "strings");
	for (size_t i = 0; i < STR_COUNT; i++)
		MA_TRY(put_string(w, fixed[i], strlen(fixed[i])));
	for (uint32_t i = 0; i <= w->tab->types_count; i++)
		MA_TRY(put_type(w, ma_type_name(w->g->snap, i)));
	for (uint32_t i = 1; i <= w->tab->names_count; i++) {
		struct ma_str name = ma_snap_name(w->g->snap, i);
		MA_TRY(put_string(w, name.p, name.len));
	}
	for (size_t i = 0; i < w->ways_count; i++)
		MA_TRY(put_string(w, w->ways[i].path, strlen(w->ways[i].path)));
	MA_TRY(ma_snap_cursor_create(w->g->snap, &c));
	struct ma_error *err = put_object_strings(w, c, own);
	ma_snap_cursor_destroy(c);
	return err;
}

/* ---- all of it */
static uint64_t count_edges(const struct writer *w)
{
	uint64_t n = w->more;
	for (int i = GROUP_MODULES; i < GROUP_COUNT; i++)
		n += (uint64_t)(w->in_group[i] > 0) + w->in_group[i];
	for (uint32_t i = 0; i < w->g->count; i++)
		n += edges_of(w, i);
	return n;
}

static void put_head(struct writer *w)
{
	fprintf(w->out,
		"{\"snapshot\":{\"meta\":{\"node_fields\":[\"type\",\"name\",\"id\",\"self_size\",\"edge_count\","
		"\"trace_node_id\",\"detachedness\"],\"node_types\":[[\"hidden\",\"array\",\"string\",\"object\","
		"\"code\","
		"\"closure\",\"regexp\",\"number\",\"native\",\"synthetic\",\"concatenated string\",\"sliced string\","
		"\"symbol\",\"bigint\",\"object "
		"shape\"],\"string\",\"number\",\"number\",\"number\",\"number\",\"number\"],"
		"\"edge_fields\":[\"type\",\"name_or_index\",\"to_node\"],\"edge_types\":[[\"context\",\"element\","
		"\"property\",\"internal\",\"hidden\",\"shortcut\",\"weak\"],\"string_or_number\",\"node\"],"
		"\"trace_function_info_fields\":[\"function_id\",\"name\",\"script_name\",\"script_id\",\"line\","
		"\"column\"],"
		"\"trace_node_fields\":[\"id\",\"function_info_index\",\"count\",\"size\",\"children\"],"
		"\"sample_fields\":[\"timestamp_us\",\"last_assigned_id\"],"
		"\"location_fields\":[\"object_index\",\"script_id\",\"line\",\"column\"]},"
		"\"node_count\":%" PRIu64 ",\"edge_count\":%" PRIu64 ",\"trace_function_count\":0},\n",
		(uint64_t)first_object() + w->g->count + w->more, count_edges(w));
}

static struct ma_error *put_all(struct writer *w)
{
	put_head(w);
	put_nodes(w);
	fputs("],\n", w->out);
	put_edges(w);
	fputs("],\n\"trace_function_infos\":[],\n\"trace_tree\":[],\n\"samples\":[],\n\"locations\":[],\n", w->out);
	MA_TRY(put_strings(w));
	fputs("]}\n", w->out);
	return NULL;
}

static struct ma_error *prepare(struct writer *w)
{
	size_t n = w->g->count ? w->g->count : 1;
	struct ma_tree tree = { 0 };
	struct ma_dominators dom = { 0 };
	w->classes = ma_class_nodes(w->g);
	w->group = calloc(n, 1);
	w->is_key = calloc(n, 1);
	w->string = calloc(n, sizeof(*w->string));
	w->is_str = calloc(w->g->totals.by_id_count + 1, sizeof(*w->is_str));
	if (!w->classes || !w->group || !w->is_key || !w->string || !w->is_str)
		return &ma_enomem;
	for (size_t i = 0; i < w->g->totals.by_id_count; i++)
		w->is_str[i] = !strcmp(w->g->totals.by_id[i].name, "str");
	MA_TRY(ma_dom_find_roots(w->g, &w->flags));
	MA_TRY(ma_tree_create(w->g, &tree));
	ma_graph_close_books(w->g);
	/* it makes roots of what nothing reaches */
	struct ma_error *err = ma_dominators_compute(w->g, w->classes, w->flags, &dom);
	ma_dominators_deinit(&dom);
	if (!err)
		err = find_groups(w, &tree);
	ma_tree_deinit(&tree);
	if (err)
		return err;
	for (size_t b = 0; b < w->g->big_count; b++)
		w->more += more_of(w, w->g->big[b].node);
	w->types_at = STR_COUNT;
	w->names_at = w->types_at + (uint32_t)w->tab->types_count + 1;
	w->ways_at = w->names_at + (uint32_t)w->tab->names_count;
	w->strings = w->ways_at + (uint32_t)w->ways_count;
	w->spare_id = UINT32_MAX - 2 * GROUP_COUNT;
	MA_TRY(ma_edge_labels(w->g, &w->labels));
	return number_strings(w);
}

struct ma_error *ma_export_heapsnapshot(FILE *out, const struct ma_snap *s)
{
	struct writer w = { .out = out, .tab = ma_snap_tables(s) };
	struct ma_error *err = ma_graph_create(s, true, &w.g);
	if (!err)
		err = prepare(&w);
	if (!err)
		err = put_all(&w);
	if (w.ways)
		ma_ways_deinit(w.ways, w.ways_count);
	free(w.ways);
	free(w.flags);
	free(w.group);
	free(w.classes);
	free(w.labels);
	free(w.string);
	free(w.is_str);
	free(w.is_key);
	ma_graph_destroy(w.g);
	return err;
}
