// SPDX-License-Identifier: Apache-2.0
#include "growth.h"

#include "cleanup.h"
#include "holder_path.h"

#include <stdlib.h>
#include <string.h>

#define LEAST_SHARE 100        /* a growth point gained at least 1/100 of all that was gained, */
#define LEAST_BYTES (8 * 1024) /* and this much */
#define FOLD_COUNT 8           /* so many of one type below a container that all gained are that container */
#define CHAIN_LENGTH 8         /* so many of one type below each other are a chain */
#define TIPS_MAX 6             /* steps from a container to a new one in it that has most of the gain */
#define NO_POINT UINT32_MAX

/* By pair, beside it. */
struct state {
	int64_t gain;   /* its own and what was folded into it; when it stands: what it explains */
	uint32_t chain; /* how many of its type are above it */
	bool in_chain, stands;
	bool folds;        /* what is below it counts for it, or for what is above it */
	uint32_t point;    /* first the pair that explains it, then the position of its growth point */
	uint32_t standing; /* below it: how many stand, */
	uint32_t same;     /* of these: of type `type`, */
	uint32_t type;     /* by number of its name */
	int64_t sum, most; /* and what they gained: all, the largest */
};

struct point {
	uint32_t pair;
	uint32_t tips[TIPS_MAX + 1], old_tips[TIPS_MAX + 1]; /* itself; below it what is new and has most of its gain */
	size_t tips_count;
};

struct work {
	const struct ma_match *m;
	struct state *state;
	int64_t least;
	struct point points[2 * MA_GROWTH_MAX];
	size_t count;
};

static int64_t difference(uint64_t now, uint64_t then)
{
	int64_t d;
	return __builtin_sub_overflow(now, then, &d) ? (now > then ? INT64_MAX : INT64_MIN) : d;
}

static int64_t sum_of(int64_t a, int64_t b)
{
	int64_t sum;
	return __builtin_add_overflow(a, b, &sum) ? (a > 0 ? INT64_MAX : INT64_MIN) : sum;
}

static uint32_t type_of(const struct work *w, size_t pair)
{
	uint32_t node = w->m->pairs[pair].node;
	return node == MA_MATCH_NONE ? MA_MATCH_NONE : w->m->new_names[w->m->new->graph->type[node]];
}

static const char *type_name(const struct work *w, uint32_t node)
{
	return ma_type_name(w->m->new->snap, w->m->new->graph->type[node]);
}

/* The pair above of the same type, or the next one (an instance and its dict take turns); NO_POINT = none. */
static uint32_t chained_to(const struct work *w, size_t pair)
{
	uint32_t type = type_of(w, pair), up = w->m->pairs[pair].parent;
	for (unsigned steps = 0; steps < 2 && up != MA_MATCH_NONE && up >= MA_MATCH_ROOTS; steps++) {
		if (type_of(w, up) == type)
			return up;
		up = w->m->pairs[up].parent;
	}
	return NO_POINT;
}

static void find_chains(struct work *w)
{
	for (size_t i = MA_MATCH_ROOTS; i < w->m->count; i++) {
		uint32_t up = chained_to(w, i);
		w->state[i].chain = up == NO_POINT ? 0 : w->state[up].chain + 1;
	}
	for (size_t i = w->m->count; i-- > MA_MATCH_ROOTS;) {
		uint32_t up = chained_to(w, i);
		w->state[i].in_chain |= w->state[i].chain >= CHAIN_LENGTH;
		if (up != NO_POINT && w->state[i].in_chain)
			w->state[up].in_chain = true;
	}
}

/* A module's dict, a module or a class: what stands in it is known by name. */
static bool is_namespace(const struct work *w, size_t pair)
{
	if (pair < MA_MATCH_ROOTS)
		return true;
	uint32_t node = w->m->pairs[pair].node, parent = w->m->new->tree.parent[node];
	if (!strcmp(type_name(w, node), "module") || !strcmp(type_name(w, node), "type"))
		return true;
	return !MA_IS_ROOT(parent) && !strcmp(type_name(w, parent), "module");
}

/* Many elements that all gained: their container explains them. */
static bool explains_all(const struct work *w, size_t pair)
{
	const struct state *s = &w->state[pair];
	return s->standing >= FOLD_COUNT && s->same * 5 >= s->standing * 4 && s->most <= s->sum / 2 &&
	       !is_namespace(w, pair);
}

/* Adds what stands at or below a pair to the figures of the one above it. */
static void pass_up(struct work *w, size_t from, size_t to)
{
	const struct state *s = &w->state[from];
	struct state *up = &w->state[to];
	uint32_t count = s->stands ? 1 : s->standing, same = s->stands ? 1 : s->same;
	uint32_t type = s->stands ? type_of(w, from) : s->type;
	int64_t sum = s->stands ? s->gain : s->sum, most = s->stands ? s->gain : s->most;
	if (!count)
		return;
	if (!up->standing)
		up->type = type;
	up->standing += count;
	up->same += up->type == type ? same : 0;
	up->sum = sum_of(up->sum, sum);
	up->most = most > up->most ? most : up->most;
}

/* From the leaves up: what gained much stands, what did not counts for the pair above. */
static void choose_standing(struct work *w)
{
	int64_t all = 0;
	for (size_t i = 0; i < w->m->count; i++) {
		w->state[i].gain = difference(w->m->pairs[i].new_bytes, w->m->pairs[i].old_bytes);
		if (w->state[i].gain > 0)
			all = sum_of(all, w->state[i].gain);
	}
	w->least = all / LEAST_SHARE > LEAST_BYTES ? all / LEAST_SHARE : LEAST_BYTES;
	for (size_t i = w->m->count; i-- > 0;) {
		struct state *s = &w->state[i];
		uint32_t up = w->m->pairs[i].parent;
		if (explains_all(w, i)) {
			s->gain = sum_of(s->gain, s->sum);
			s->stands = s->folds = true;
		}
		bool much = s->gain >= w->least || s->gain <= -w->least;
		s->stands = s->stands || (much && !(s->in_chain && s->chain));
		if (up == MA_MATCH_NONE)
			continue;
		if (!s->stands)
			w->state[up].gain = sum_of(w->state[up].gain, s->gain);
		pass_up(w, i, up);
	}
}

static bool gained_more(const struct work *w, uint32_t a, uint32_t b)
{
	int64_t x = w->state[a].gain, y = w->state[b].gain;
	return x != y ? x > y : a < b;
}

static bool lost_more(const struct work *w, uint32_t a, uint32_t b)
{
	int64_t x = w->state[a].gain, y = w->state[b].gain;
	return x != y ? x < y : a < b;
}

/* Keeps the MA_GROWTH_MAX pairs of the one kind in `list`, largest first. */
static void keep(const struct work *w, uint32_t *list, size_t *count, uint32_t pair,
		 bool (*more)(const struct work *, uint32_t, uint32_t))
{
	size_t i = *count;
	while (i && more(w, pair, list[i - 1]))
		i--;
	if (i == MA_GROWTH_MAX)
		return;
	if (*count < MA_GROWTH_MAX)
		++*count;
	memmove(&list[i + 1], &list[i], (*count - 1 - i) * sizeof(*list));
	list[i] = pair;
}

/* The pairs that stand get numbers, those that were not kept have none. */
static void number_points(struct work *w)
{
	for (size_t i = 0; i < w->m->count; i++)
		w->state[i].standing = NO_POINT;
	for (size_t k = 0; k < w->count; k++)
		w->state[w->points[k].pair].standing = (uint32_t)k;
	for (size_t i = 0; i < w->m->count; i++)
		if (w->state[i].point != NO_POINT)
			w->state[i].point = w->state[w->state[i].point].standing;
}

/* A container that gained less than what it lies in gained itself is explained by that; a namespace explains nothing.
 */
static bool is_explained(const struct work *w, const struct state *s, uint32_t by)
{
	return by != NO_POINT && s->gain > 0 && s->gain <= w->state[by].gain / 2 && !is_namespace(w, by);
}

/* From the roots down: by which pair that stands each is explained. */
static void fold(struct work *w)
{
	for (uint32_t i = 0; i < w->m->count; i++) {
		struct state *s = &w->state[i];
		uint32_t up = w->m->pairs[i].parent, by = up == MA_MATCH_NONE ? NO_POINT : w->state[up].point;
		s->point = s->stands ? i : by;
		if (up != MA_MATCH_NONE && w->state[up].folds) { /* its gain is counted there */
			s->folds = true;
			s->stands = false;
			s->point = by;
		} else if (s->stands && is_explained(w, s, by)) {
			w->state[by].gain = sum_of(w->state[by].gain, s->gain);
			s->stands = false;
			s->point = by;
		}
	}
}

static void choose_points(struct work *w)
{
	uint32_t gained[MA_GROWTH_MAX], lost[MA_GROWTH_MAX];
	size_t gained_count = 0, lost_count = 0;
	for (uint32_t i = 0; i < w->m->count; i++) {
		if (w->state[i].stands && w->state[i].gain > 0)
			keep(w, gained, &gained_count, i, gained_more);
		else if (w->state[i].stands)
			keep(w, lost, &lost_count, i, lost_more);
	}
	for (size_t i = 0; i < gained_count; i++)
		w->points[w->count++].pair = gained[i];
	for (size_t i = lost_count; i-- > 0;)
		w->points[w->count++].pair = lost[i];
	number_points(w);
}

static uint32_t point_at(const struct work *w, const uint32_t *near, uint32_t node)
{
	return w->state[near[node]].point;
}

/* The largest of `list` directly below the tip of each point, of the type `types` (when not NULL). */
static void largest_below(const struct work *w, const struct ma_side *side, const uint32_t *near, const uint32_t *list,
			  size_t count, const uint32_t *tips, const uint32_t *types, uint32_t *ret)
{
	const uint32_t *names = side == w->m->new ? w->m->new_names : w->m->old_names;
	for (size_t k = 0; k < w->count; k++)
		ret[k] = MA_MATCH_NONE;
	for (size_t i = 0; i < count; i++) {
		uint32_t node = list[i], k = point_at(w, near, node);
		if (k == NO_POINT || side->tree.parent[node] != tips[k] ||
		    (types && names[side->graph->type[node]] != types[k]))
			continue;
		if (ret[k] == MA_MATCH_NONE || side->held[node] > side->held[ret[k]])
			ret[k] = node;
	}
}

/* Below a container that gained by something new in it: what is new, and what may have stood in its place before. */
static void find_tips(struct work *w)
{
	const struct ma_match *m = w->m;
	uint32_t tips[2 * MA_GROWTH_MAX], old_tips[2 * MA_GROWTH_MAX], types[2 * MA_GROWTH_MAX];
	uint32_t below[2 * MA_GROWTH_MAX], old_below[2 * MA_GROWTH_MAX];
	for (size_t k = 0; k < w->count; k++) {
		struct point *p = &w->points[k];
		p->tips_count = 1;
		p->tips[0] = tips[k] = m->pairs[p->pair].node;
		p->old_tips[0] = old_tips[k] = m->pairs[p->pair].old;
	}
	for (unsigned step = 0; step < TIPS_MAX; step++) {
		bool any = false;
		largest_below(w, m->new, m->new_near, m->fresh, m->fresh_count, tips, NULL, below);
		for (size_t k = 0; k < w->count; k++)
			types[k] =
				below[k] == MA_MATCH_NONE ? MA_MATCH_NONE : m->new_names[m->new->graph->type[below[k]]];
		largest_below(w, m->old, m->old_near, m->gone, m->gone_count, old_tips, types, old_below);
		for (size_t k = 0; k < w->count; k++) {
			struct point *p = &w->points[k];
			uint32_t tip = below[k];
			bool most = tip != MA_MATCH_NONE && w->state[p->pair].gain > 0 &&
				    difference(m->new->held[tip], 0) >= w->state[p->pair].gain / 2;
			tips[k] = old_tips[k] = MA_MATCH_NONE;
			if (!most)
				continue;
			any = true;
			p->tips[p->tips_count] = tips[k] = tip;
			p->old_tips[p->tips_count++] = old_tips[k] = old_below[k];
		}
		if (!any)
			break;
	}
}

/* The ways to all tips of one side, point by point, MA_MATCH_NONE left out. */
struct ways {
	struct ma_way list[2 * MA_GROWTH_MAX * (TIPS_MAX + 1)];
	size_t count;
};

static const struct ma_way *way_to(const struct ways *ways, uint32_t node)
{
	for (size_t i = 0; i < ways->count && node != MA_MATCH_NONE; i++)
		if (ways->list[i].node == node)
			return &ways->list[i];
	return NULL;
}

static struct ma_error *name_tips(const struct work *w, struct ways *old, struct ways *new)
{
	for (size_t k = 0; k < w->count; k++) {
		const struct point *p = &w->points[k];
		for (size_t i = 0; i < p->tips_count; i++) {
			if (p->tips[i] != MA_MATCH_NONE)
				new->list[new->count++].node = p->tips[i];
			if (i && p->old_tips[i] != MA_MATCH_NONE)
				old->list[old->count++].node = p->old_tips[i];
		}
	}
	MA_TRY(ma_ways_name(w->m->new->graph, &w->m->new->tree, new->list, new->count));
	if (!old->count)
		return NULL;
	return ma_ways_name(w->m->old->graph, &w->m->old->tree, old->list, old->count);
}

/* Is `path` that of an attribute of `above`, or of its __dict__, which a path does not name? */
static bool is_attribute(const char *path, const char *above)
{
	size_t n = strlen(above);
	return !strncmp(path, above, n) && (path[n] == '.' || !path[n]);
}

/* How far down the new attributes of a container explain its gain: position in tips. */
static size_t choose_tip(const struct work *w, const struct point *p, const struct ways *old, const struct ways *new)
{
	size_t at = 0;
	const char *above = p->tips[0] == MA_MATCH_NONE ? NULL : way_to(new, p->tips[0])->path;
	for (size_t i = 1; above && i < p->tips_count; i++) {
		const char *path = way_to(new, p->tips[i])->path;
		const struct ma_way *then = way_to(old, p->old_tips[i]);
		if (!is_attribute(path, above))
			break;
		uint64_t before = then && !strcmp(then->path, path) ? w->m->old->held[then->node] : 0;
		if (difference(w->m->new->held[p->tips[i]], before) < w->state[p->pair].gain / 2)
			break;
		if (strcmp(path, above) != 0)
			at = i;
		above = path;
	}
	return at;
}

static const char *const root_texts[MA_MATCH_ROOTS] = { "<modules>", "<frames>", "<interpreter>", "<native code>",
							"<garbage>" };

static struct ma_error *describe(const struct work *w, const struct point *p, const struct ways *old,
				 const struct ways *new, struct ma_growth *g)
{
	const struct ma_match *m = w->m;
	const struct ma_pair *pair = &m->pairs[p->pair];
	g->bytes = w->state[p->pair].gain;
	if (pair->node == MA_MATCH_NONE) {
		g->type = "";
		g->old_retained = pair->old_bytes;
		g->new_retained = pair->new_bytes;
		g->path = strdup(root_texts[p->pair]);
		return g->path ? NULL : &ma_enomem;
	}
	size_t at = choose_tip(w, p, old, new);
	uint32_t node = p->tips[at], before = p->old_tips[at];
	const struct ma_way *way = way_to(new, node), *then = way_to(old, before);
	if (at && !(then && !strcmp(then->path, way->path)))
		before = MA_MATCH_NONE;
	g->type = type_name(w, node);
	g->addr = ma_addr_index_addr(&m->new->graph->index, node);
	g->is_new = before == MA_MATCH_NONE;
	g->old_retained = g->is_new ? 0 : m->old->retained[before];
	g->new_retained = m->new->retained[node];
	g->elements = way->elements;
	g->path = strdup(way->path);
	return g->path ? NULL : &ma_enomem;
}

static int gained_most(const void *a, const void *b)
{
	const struct ma_gained *x = a, *y = b;
	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	return strcmp(x->type, y->type);
}

/* What each point gained, by type: a table of all names for each point. */
static void count_types(const struct work *w, struct ma_gained *table)
{
	const struct ma_match *m = w->m;
	const struct ma_graph *new = m->new->graph, *old = m->old->graph;
	size_t names = m->names_count;
	for (uint32_t i = 0; i < new->count; i++) {
		uint32_t k = point_at(w, m->new_near, i);
		if (k == NO_POINT)
			continue;
		struct ma_gained *t = &table[k * names + m->new_names[new->type[i]]];
		t->type = new->totals.by_id[new->type[i]].name;
		t->count++;
		t->bytes = sum_of(t->bytes, difference(ma_graph_size(new, i), 0));
	}
	for (uint32_t i = 0; i < old->count; i++) {
		uint32_t k = point_at(w, m->old_near, i);
		if (k == NO_POINT)
			continue;
		struct ma_gained *t = &table[k * names + m->old_names[old->type[i]]];
		t->type = t->type ? t->type : old->totals.by_id[old->type[i]].name;
		t->count--;
		t->bytes = sum_of(t->bytes, difference(0, ma_graph_size(old, i)));
	}
}

static struct ma_error *take_types(struct ma_growth *g, struct ma_gained *row, size_t names)
{
	size_t n = 0;
	for (size_t i = 0; i < names; i++) {
		g->objects += row[i].count;
		if (row[i].count || row[i].bytes)
			row[n++] = row[i];
	}
	qsort(row, n, sizeof(*row), gained_most);
	g->types = malloc((n ? n : 1) * sizeof(*g->types));
	if (!g->types)
		return &ma_enomem;
	memcpy(g->types, row, n * sizeof(*row));
	g->types_count = n;
	return NULL;
}

static struct ma_error *describe_all(const struct work *w, struct ways *old, struct ways *new, struct ma_growths *ret)
{
	size_t names = w->m->names_count;
	_cleanup_free_ struct ma_gained *table = calloc(w->count * names + 1, sizeof(*table));
	ret->points = calloc(w->count + 1, sizeof(*ret->points));
	ret->point_of = calloc(w->m->count, sizeof(*ret->point_of));
	if (!table || !ret->points || !ret->point_of)
		return &ma_enomem;
	for (size_t i = 0; i < w->m->count; i++)
		ret->point_of[i] = w->state[i].point;
	MA_TRY(name_tips(w, old, new));
	count_types(w, table);
	for (size_t k = 0; k < w->count; k++) {
		ret->count++;
		MA_TRY(describe(w, &w->points[k], old, new, &ret->points[k]));
		MA_TRY(take_types(&ret->points[k], &table[k * names], names));
	}
	return NULL;
}

struct ma_error *ma_growths_create(const struct ma_match *m, struct ma_growths *ret)
{
	struct work w = { .m = m };
	struct ma_growths g = { 0 };
	struct ways *ways = calloc(2, sizeof(*ways));
	w.state = calloc(m->count, sizeof(*w.state));
	struct ma_error *err = &ma_enomem;
	if (ways && w.state) {
		find_chains(&w);
		choose_standing(&w);
		fold(&w);
		choose_points(&w);
		find_tips(&w);
		err = describe_all(&w, &ways[0], &ways[1], &g);
	}
	for (unsigned i = 0; ways && i < 2; i++)
		ma_ways_deinit(ways[i].list, ways[i].count);
	free(ways);
	free(w.state);
	if (err) {
		ma_growths_deinit(&g);
		return err;
	}
	*ret = g;
	return NULL;
}

void ma_growths_deinit(struct ma_growths *g)
{
	for (size_t i = 0; i < g->count; i++) {
		free(g->points[i].path);
		free(g->points[i].types);
	}
	free(g->points);
	free(g->point_of);
	memset(g, 0, sizeof(*g));
}
