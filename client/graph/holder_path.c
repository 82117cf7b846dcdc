// SPDX-License-Identifier: Apache-2.0
#include "holder_path.h"

#include "cleanup.h"
#include "edge_name.h"
#include "places.h"

#include <stdlib.h>
#include <string.h>

#define STEPS_MAX 24 /* edges named of one way, the last ones */
#define PATH_MAX_BYTES 4096
#define TABLE_BITS_MIN 12

struct step { /* one edge whose name is wanted */
	uint64_t src, dst;
	struct ma_buf name; /* "" when it has none */
	uint64_t key;       /* of a dict's entry; the name comes when the key is known */
	bool best;          /* no better name can come */
	bool closure;       /* from a function to a cell of its closure: a borrowed edge has the name */
	struct ma_way *way; /* with dst 0: count the elements of its node */
};

struct paths {
	struct ma_graph *g;
	const struct ma_tree *t;
	uint64_t globals; /* of the program's own module, 0 = not known */
	struct step *steps;
	size_t count;
	uint32_t *table; /* position in steps + 1 of a step from this source; neighbours share it */
	unsigned table_bits;
};

static size_t slot_of(const struct paths *p, uint64_t src)
{
	return (size_t)((src * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - p->table_bits));
}

static size_t next_slot(const struct paths *p, size_t slot)
{
	return (slot + 1) & (((size_t)1 << p->table_bits) - 1);
}

static int by_source(const void *a, const void *b)
{
	const struct step *x = a, *y = b;
	if (x->src != y->src)
		return x->src < y->src ? -1 : 1;
	return x->dst < y->dst ? -1 : x->dst > y->dst;
}

static void want(struct paths *p, uint64_t src, uint64_t dst)
{
	p->steps[p->count++] = (struct step){ .src = src, .dst = dst, .name = MA_BUF_INIT(MA_NAME_MAX + 64) };
}

static uint64_t addr_of(const struct paths *p, uint32_t node)
{
	return ma_addr_index_addr(&p->g->index, node);
}

/* Sorts the steps, each once, so that those of one source are neighbours, and files each source in the table. */
static void file_steps(struct paths *p)
{
	qsort(p->steps, p->count, sizeof(p->steps[0]), by_source);
	size_t out = 0;
	for (size_t i = 0; i < p->count; i++) /* ways share their beginnings; names are not there yet */
		if (!i || by_source(&p->steps[out - 1], &p->steps[i]))
			p->steps[out++] = p->steps[i];
	p->count = out;
	for (size_t i = 0; i < p->count; i++) {
		if (i && p->steps[i - 1].src == p->steps[i].src)
			continue;
		size_t slot = slot_of(p, p->steps[i].src);
		while (p->table[slot])
			slot = next_slot(p, slot);
		p->table[slot] = (uint32_t)(i + 1);
	}
}

static size_t first_of(const struct paths *p, uint64_t src)
{
	for (size_t slot = slot_of(p, src); p->table[slot]; slot = next_slot(p, slot))
		if (p->steps[p->table[slot] - 1].src == src)
			return p->table[slot];
	return 0;
}

static struct step *find_step(struct paths *p, uint64_t src, uint64_t dst)
{
	const struct step key = { .src = src, .dst = dst };
	return p->count ? bsearch(&key, p->steps, p->count, sizeof(key), by_source) : NULL;
}

static const char *type_at(struct paths *p, uint64_t addr)
{
	uint32_t node = ma_addr_index_find(&p->g->index, addr);
	return node == MA_NO_INDEX ? NULL : ma_type_name(p->g->snap, p->g->type[node]);
}

/* Entries of a dict are its values, elements of a set its keys. */
static void count_element(struct ma_way *way, const struct ma_snap_edge *e, uint64_t *keys)
{
	if (e->kind == MA_EDGE_KEY)
		++*keys;
	else if (e->kind != MA_EDGE_BORROWED)
		way->elements++;
}

static void name_steps_of(struct paths *p, struct ma_snap_cursor *c, uint64_t src, struct step *first)
{
	struct ma_way *way = first->dst ? NULL : first->way; /* steps are sorted: it is the first of its source */
	uint64_t keys = 0;
	struct ma_snap_edge e;
	while (ma_snap_next_edge(c, &e)) {
		if (way)
			count_element(way, &e, &keys);
		struct step *s = find_step(p, src, e.dst);
		if (!s || s->name.len || s->key || s->closure != (e.kind == MA_EDGE_BORROWED))
			continue;
		if (e.kind == MA_EDGE_VALUE)
			s->key = e.key;
		else
			ma_edge_name(&s->name, p->g->snap, &e, NULL, NULL);
	}
	if (way && !way->elements)
		way->elements = keys;
}

/* The records that name_steps_of() has to see for a step; counts the elements of a long object in the graph instead. */
static void find_step_place(struct paths *p, struct step *s, struct ma_places *places)
{
	uint32_t src = ma_addr_index_find(&p->g->index, s->src);
	if (src == MA_NO_INDEX)
		return;
	if (s->dst && !s->closure)
		ma_places_add_edge(places, src, ma_addr_index_find(&p->g->index, s->dst));
	else if (s->dst || !ma_graph_elements(p->g, src, &s->way->elements))
		ma_places_add(places, src);
	else
		s->way = NULL; /* it is known */
}

static struct ma_error *name_steps(struct paths *p)
{
	_cleanup_places_ struct ma_places places = { 0 };
	struct ma_snap_cursor *c;
	MA_TRY(ma_places_create(p->g, &places));
	for (size_t i = 0; i < p->count; i++)
		if (p->steps[i].src)
			find_step_place(p, &p->steps[i], &places);
	MA_TRY(ma_snap_cursor_create(p->g->snap, &c));
	ma_snap_cursor_only(c, places.wanted);
	struct ma_snap_object o;
	while (ma_snap_next_object(c, &o)) {
		size_t first = o.has_edges ? first_of(p, o.addr) : 0;
		if (first)
			name_steps_of(p, c, o.addr, &p->steps[first - 1]);
	}
	struct ma_error *err = ma_snap_cursor_error(c);
	ma_snap_cursor_destroy(c);
	return err;
}

static void name_key(struct paths *p, struct step *s, const struct ma_snap_value *value)
{
	struct ma_snap_edge e = { .kind = MA_EDGE_VALUE };
	ma_edge_name(&s->name, p->g->snap, &e, type_at(p, s->key), value);
}

/* The keys of entries, by their values where the snapshot has them: a pass of its own, since a key may stand before the
 * dict. */
static struct ma_error *name_keys(struct paths *p)
{
	_cleanup_free_ uint64_t *filter = calloc(((size_t)1 << p->table_bits) / 64, sizeof(*filter));
	size_t left = 0;
	if (!filter)
		return &ma_enomem;
	for (size_t i = 0; i < p->count; i++) {
		if (!p->steps[i].key)
			continue;
		size_t slot = slot_of(p, p->steps[i].key);
		filter[slot / 64] |= UINT64_C(1) << slot % 64;
		left++;
	}
	struct ma_snap_cursor *c;
	if (!left)
		return NULL;
	MA_TRY(ma_snap_cursor_create(p->g->snap, &c));
	bool values = ma_snap_tables(p->g->snap)->meta.values != MA_VALUES_NONE;
	struct ma_error *err = values ? ma_snap_cursor_values(c) : NULL;
	struct ma_snap_object o;
	struct ma_snap_value v;
	while (values && !err && left && ma_snap_next_object(c, &o)) {
		size_t slot = slot_of(p, o.addr);
		if (!(filter[slot / 64] >> slot % 64 & 1) || !ma_snap_value(c, &v))
			continue;
		for (size_t i = 0; i < p->count; i++) {
			struct step *s = &p->steps[i];
			if (s->key != o.addr || s->name.len)
				continue;
			name_key(p, s, &v);
			left--;
		}
	}
	for (size_t i = 0; i < p->count; i++)
		if (p->steps[i].key && !p->steps[i].name.len)
			name_key(p, &p->steps[i], NULL);
	if (!err)
		err = ma_snap_cursor_error(c);
	ma_snap_cursor_destroy(c);
	return err;
}

static bool is_name(const struct ma_snap *s, uint32_t id, const char *text)
{
	struct ma_str name = ma_snap_name(s, id);
	return name.len == strlen(text) && !memcmp(name.p, text, name.len);
}

/* The frame of the program itself: the outermost one of a module's body in the main thread; NULL = not known. */
static const struct ma_snap_frame *main_frame(const struct ma_snap *s)
{
	const struct ma_snap_tables *tab = ma_snap_tables(s);
	for (size_t t = 0; t < tab->threads_count; t++) {
		const struct ma_snap_thread *th = &tab->threads[t];
		for (size_t f = th->frames_end; th->tid == tab->meta.pid && f-- > th->frames_begin;)
			if (is_name(s, tab->frames[f].function_id, "<module>"))
				return &tab->frames[f];
	}
	return NULL;
}

/* The globals of that frame, where its record has them (3.11 and later); 0 = not known. */
static uint64_t main_globals(const struct ma_snap *s, const struct ma_snap_frame *fr)
{
	const struct ma_snap_tables *tab = ma_snap_tables(s);
	for (size_t l = fr ? fr->locals_begin : 0; fr && l < fr->locals_end; l++)
		if (is_name(s, tab->locals[l].name_id, "f_globals"))
			return tab->locals[l].dst;
	return 0;
}

/* By the name that name_modules() found; nobody imports __main__, so it may have none. */
static void name_module(struct paths *p, struct ma_buf *b, uint32_t node)
{
	uint64_t addr = addr_of(p, node);
	struct step *s = find_step(p, 0, addr);
	if (s && s->name.len)
		ma_buf_add(b, s->name.data, s->name.len);
	else if (p->globals && find_step(p, addr, p->globals))
		ma_buf_str(b, "__main__");
	else
		ma_buf_str(b, "<module>");
}

/* "serve()" for a frame that is an object, whose locals are its edges (up to 3.10). */
static bool name_frame(struct paths *p, struct ma_buf *b, uint64_t addr)
{
	const struct ma_snap_tables *tab = ma_snap_tables(p->g->snap);
	for (size_t f = 0; f < tab->frames_count; f++) {
		if (tab->frames[f].addr != addr)
			continue;
		struct ma_str fn = ma_snap_name(p->g->snap, tab->frames[f].function_id);
		ma_buf_add(b, fn.p, fn.len);
		ma_buf_str(b, "()");
		return true;
	}
	return false;
}

/* "serve() cache": the local `cache` of the outermost frame that has it. */
static void name_local(struct paths *p, struct ma_buf *b, uint64_t addr)
{
	if (name_frame(p, b, addr))
		return;
	const struct ma_snap_tables *tab = ma_snap_tables(p->g->snap);
	for (size_t f = tab->frames_count; f-- > 0;) {
		const struct ma_snap_frame *fr = &tab->frames[f];
		for (size_t l = fr->locals_begin; l < fr->locals_end; l++) {
			if (tab->locals[l].dst != addr || tab->locals[l].borrowed)
				continue;
			struct ma_str fn = ma_snap_name(p->g->snap, fr->function_id);
			struct ma_str var = ma_snap_name(p->g->snap, tab->locals[l].name_id);
			ma_buf_add(b, fn.p, fn.len);
			ma_buf_str(b, "() ");
			ma_buf_add(b, var.len ? var.p : "<stack>", var.len ? var.len : 7);
			return;
		}
	}
	ma_buf_str(b, "<frame>");
}

static void name_interp(struct paths *p, struct ma_buf *b, uint64_t addr)
{
	const struct ma_snap_tables *tab = ma_snap_tables(p->g->snap);
	for (size_t i = 0; i < tab->interps_count; i++) {
		const struct ma_snap_interp *in = &tab->interps[i];
		for (size_t l = in->locals_begin; l < in->locals_end && l < tab->locals_count; l++) {
			if (tab->locals[l].dst != addr)
				continue;
			struct ma_str name = ma_snap_name(p->g->snap, tab->locals[l].name_id);
			ma_buf_printf(b, "interpreter%s%.*s", name.len ? "." : "", (int)name.len, name.p);
			return;
		}
	}
	ma_buf_str(b, "interpreter");
}

static void name_root(struct paths *p, struct ma_buf *b, uint32_t node)
{
	switch ((enum ma_root)p->t->parent[node]) {
	case MA_ROOT_MODULE:
		name_module(p, b, node);
		break;
	case MA_ROOT_LOCAL:
		name_local(p, b, addr_of(p, node));
		break;
	case MA_ROOT_INTERP:
		name_interp(p, b, addr_of(p, node));
		break;
	case MA_ROOT_NATIVE:
		ma_buf_printf(b, "native code: %s", ma_type_name(p->g->snap, p->g->type[node]));
		break;
	case MA_ROOT_LOST:
	case MA_ROOT_NONE:
		ma_buf_printf(b, "garbage: %s", ma_type_name(p->g->snap, p->g->type[node]));
		break;
	}
}

/* The nodes from the holder up to its root, at most STEPS_MAX + 1; returns how many. */
static size_t way_up(const struct paths *p, uint32_t node, uint32_t *way)
{
	size_t n = 0;
	way[n++] = node;
	while (!MA_IS_ROOT(p->t->parent[node]) && n <= STEPS_MAX) {
		node = p->t->parent[node];
		way[n++] = node;
	}
	return n;
}

static bool is_type(const struct paths *p, uint32_t node, const char *name)
{
	return !strcmp(ma_type_name(p->g->snap, p->g->type[node]), name);
}

/* ".__class__" where the edge is the one that every instance has. */
static bool is_class_of(const struct paths *p, uint32_t node, uint32_t class)
{
	uint32_t id = p->g->type[node];
	return id && ma_snap_tables(p->g->snap)->types[id - 1].addr == addr_of(p, class);
}

/* f.__closure__[0].cell_contents as f.__closure__.variable: the name of the cell below way[i], whose holder is way[i +
 * 1]; NULL when it is not such a way. */
static const char *closure_name(struct paths *p, const uint32_t *way, size_t i)
{
	if (i < 1 || !is_type(p, way[i + 1], "function") || !is_type(p, way[i - 1], "cell"))
		return NULL;
	struct step *s = find_step(p, addr_of(p, way[i + 1]), addr_of(p, way[i - 1]));
	return s && s->closure && s->name.len ? ma_buf_text(&s->name) : NULL;
}

static const char *step_name(struct paths *p, const uint32_t *way, size_t i)
{
	struct step *s = find_step(p, addr_of(p, way[i + 1]), addr_of(p, way[i]));
	return s ? ma_buf_text(&s->name) : "";
}

/* The results that functools.lru_cache keeps, and what a threading.local has: no attribute leads to them. */
static bool is_hidden_dict(struct paths *p, uint32_t above, uint32_t node, const char *holder)
{
	return is_type(p, above, holder) && is_type(p, node, "dict");
}

static struct ma_error *write_path(struct paths *p, uint32_t node, char **ret)
{
	uint32_t way[STEPS_MAX + 1];
	size_t n = way_up(p, node, way);
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(PATH_MAX_BYTES);
	if (MA_IS_ROOT(p->t->parent[way[n - 1]]))
		name_root(p, &b, way[n - 1]);
	else
		ma_buf_str(&b, "...");
	for (size_t i = n - 1; i-- > 0;) {
		const char *name = step_name(p, way, i);
		const char *type = ma_type_name(p->g->snap, p->g->type[way[i]]);
		if (!strcmp(name, ".__dict__")) /* x.__dict__.a is x.a */
			continue;
		if (!name[0] && is_hidden_dict(p, way[i + 1], way[i], "functools._lru_cache_wrapper"))
			name = ".<cache>";
		if (!name[0] && i && is_hidden_dict(p, way[i + 1], way[i], "_thread._local") &&
		    is_type(p, way[i - 1], "dict")) {
			i--; /* a dict of each thread's dict */
			continue;
		}
		const char *variable = closure_name(p, way, i);
		if (name[0] == '.' && i == n - 2 && is_type(p, way[i + 1], "frame")) {
			ma_buf_u8(&b, ' '); /* serve() cache */
			ma_buf_str(&b, name + 1);
		} else if (name[0])
			ma_buf_str(&b, name);
		else if (is_class_of(p, way[i + 1], way[i]))
			ma_buf_str(&b, ".__class__");
		else
			ma_buf_printf(&b, ".<%s>", type);
		if (variable) {
			ma_buf_str(&b, variable);
			i--; /* the cell */
			if (i && !strcmp(step_name(p, way, i - 1), ".cell_contents"))
				i--;
		}
	}
	if (b.failed && !b.no_memory)
		b.failed = false; /* names of a target can be as long as it likes: the beginning is enough */
	MA_TRY(ma_buf_error(&b));
	*ret = strdup(ma_buf_text(&b));
	return *ret ? NULL : &ma_enomem;
}

/* A name that a dict gives to a module. sys.modules knows best; without it the longest name wins, since
 * `import a.b as c` and the attribute `b` of a are shorter. */
static void take_name(struct paths *p, uint64_t module, uint32_t name_id, bool best)
{
	struct step *s = find_step(p, 0, module);
	struct ma_str name = ma_snap_name(p->g->snap, name_id);
	if (!s || s->best || !name.len || (!best && name.len <= s->name.len) ||
	    is_name(p->g->snap, name_id, "__builtins__"))
		return;
	s->best = best;
	s->name.len = 0;
	ma_buf_add(&s->name, name.p, name.len);
}

/* How many root modules have no name from sys.modules yet: steps from source 0. */
static size_t unnamed_modules(const struct paths *p)
{
	size_t n = 0;
	for (size_t i = 0; i < p->count && !p->steps[i].src; i++)
		n += !p->steps[i].best;
	return n;
}

/* Where the root modules are named: whatever refers to them, and the frame. */
static struct ma_error *find_names(struct paths *p, const struct ma_snap_frame *frame, struct ma_places *places)
{
	_cleanup_free_ uint64_t *bits = calloc(p->g->count / 64 + 1, sizeof(*bits));
	if (!bits)
		return &ma_enomem;
	for (size_t i = 0; i < p->count && !p->steps[i].src; i++) { /* sorted by source */
		uint32_t node = ma_addr_index_find(&p->g->index, p->steps[i].dst);
		if (node != MA_NO_INDEX)
			bits[node / 64] |= UINT64_C(1) << node % 64;
	}
	MA_TRY(ma_places_create(p->g, places));
	ma_places_add_referrers(places, bits);
	ma_places_add(places, frame ? ma_addr_index_find(&p->g->index, frame->addr) : MA_NO_INDEX);
	return NULL;
}

/* The names of root modules: steps from source 0. */
static struct ma_error *name_modules(struct paths *p)
{
	for (size_t i = 0; i < p->g->modules_count; i++)
		take_name(p, addr_of(p, p->g->modules[i].node), p->g->modules[i].name_id, true);
	if (!unnamed_modules(p))
		return NULL;
	_cleanup_places_ struct ma_places places = { 0 };
	const struct ma_snap_frame *frame = main_frame(p->g->snap);
	p->globals = main_globals(p->g->snap, frame);
	struct ma_snap_cursor *c;
	MA_TRY(find_names(p, frame, &places));
	MA_TRY(ma_snap_cursor_create(p->g->snap, &c));
	ma_snap_cursor_only(c, places.wanted);
	struct ma_snap_object o;
	struct ma_snap_edge e;
	while (ma_snap_next_object(c, &o)) {
		bool is_frame = frame && frame->addr == o.addr; /* up to 3.10 a frame is an object */
		if (!is_frame && strcmp(ma_type_name(p->g->snap, o.type_id), "dict"))
			continue;
		while (o.has_edges && ma_snap_next_edge(c, &e)) {
			if (is_frame && is_name(p->g->snap, e.name_id, "f_globals"))
				p->globals = e.dst;
			else if (!is_frame && e.kind == MA_EDGE_NAMED)
				take_name(p, e.dst, e.name_id, false);
		}
	}
	struct ma_error *err = ma_snap_cursor_error(c);
	ma_snap_cursor_destroy(c);
	return err;
}

static struct ma_error *allocate(struct paths *p, size_t ways)
{
	size_t steps = ways * (2 * STEPS_MAX + 2);
	for (p->table_bits = TABLE_BITS_MIN; ((size_t)1 << p->table_bits) < steps * 2;)
		p->table_bits++;
	p->steps = calloc(steps ? steps : 1, sizeof(*p->steps));
	p->table = calloc((size_t)1 << p->table_bits, sizeof(*p->table));
	return p->steps && p->table ? NULL : &ma_enomem;
}

static struct ma_error *write_paths(struct paths *p, struct ma_way *ways, size_t count)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->steps[i].name.no_memory)
			return &ma_enomem;
	for (size_t h = 0; h < count; h++)
		MA_TRY(write_path(p, ways[h].node, &ways[h].path));
	return NULL;
}

static struct ma_error *build_modules(struct paths *p, struct ma_way *ways, size_t count)
{
	MA_TRY(allocate(p, count));
	for (size_t h = 0; h < count; h++)
		want(p, 0, addr_of(p, ways[h].node));
	file_steps(p);
	MA_TRY(name_modules(p));
	return write_paths(p, ways, count);
}

static struct ma_error *build(struct paths *p, struct ma_way *ways, size_t count)
{
	MA_TRY(allocate(p, count));
	for (size_t h = 0; h < count; h++) {
		uint32_t way[STEPS_MAX + 1];
		size_t n = way_up(p, ways[h].node, way);
		for (size_t i = 0; i + 1 < n; i++)
			want(p, addr_of(p, way[i + 1]), addr_of(p, way[i]));
		for (size_t i = 1; i + 1 < n; i++)
			if (is_type(p, way[i + 1], "function") && is_type(p, way[i - 1], "cell")) {
				want(p, addr_of(p, way[i + 1]), addr_of(p, way[i - 1]));
				p->steps[p->count - 1].closure = true;
			}
		want(p, addr_of(p, ways[h].node), 0);
		p->steps[p->count - 1].way = &ways[h];
		if (p->t->parent[way[n - 1]] == MA_ROOT_MODULE)
			want(p, 0, addr_of(p, way[n - 1]));
	}
	file_steps(p);
	MA_TRY(name_modules(p));
	MA_TRY(name_steps(p));
	MA_TRY(name_keys(p));
	return write_paths(p, ways, count);
}

static void deinit(struct paths *p)
{
	for (size_t i = 0; i < p->count; i++)
		ma_buf_deinit(&p->steps[i].name);
	free(p->steps);
	free(p->table);
}

struct ma_error *ma_ways_name(struct ma_graph *g, const struct ma_tree *t, struct ma_way *ways, size_t count)
{
	struct paths p = { .g = g, .t = t };
	struct ma_error *err = build(&p, ways, count);
	deinit(&p);
	return err;
}

struct ma_error *ma_ways_name_modules(struct ma_graph *g, const struct ma_tree *t, struct ma_way *ways, size_t count)
{
	struct paths p = { .g = g, .t = t };
	struct ma_error *err = build_modules(&p, ways, count);
	deinit(&p);
	return err;
}

void ma_ways_deinit(struct ma_way *ways, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(ways[i].path);
}
