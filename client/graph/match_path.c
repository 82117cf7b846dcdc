// SPDX-License-Identifier: Apache-2.0
/* Two snapshots of two runs of a program. */
#include "cleanup.h"
#include "holder_path.h"
#include "match.h"

#include <stdlib.h>
#include <string.h>

#define WAYS_MAX 512    /* objects named on each side: those that hold the most */
#define LEAST_FAN_OUT 8 /* as in holders.c: where memory spreads out */

struct named {
	const char *path, *type;
	uint32_t node;
};

/* What both sides have found. */
struct names {
	struct ma_way ways[WAYS_MAX];
	struct named sorted[WAYS_MAX];
	size_t count;
};

static int by_held(const void *a, const void *b, void *arg)
{
	const struct ma_side *side = arg;
	uint64_t x = side->held[*(const uint32_t *)a], y = side->held[*(const uint32_t *)b];
	return x != y ? (x < y ? 1 : -1) : 0;
}

static int by_path(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int order = strcmp(x->path, y->path);
	return order ? order : strcmp(x->type, y->type);
}

/* Is it a global or an attribute of one, or does much hang below it? */
static bool may_be_named(const struct ma_side *side, const uint8_t *children, uint32_t node)
{
	const uint32_t *parent = side->tree.parent;
	if (children[node] >= LEAST_FAN_OUT || ma_graph_size(side->graph, node) >= MA_MATCH_LEAST)
		return true;
	for (unsigned steps = 0; steps < 4; steps++) {
		node = parent[node];
		if (MA_IS_ROOT(node))
			return true;
	}
	return false;
}

/* *nodes_ret: those that may be named, most held first. */
static struct ma_error *choose(const struct ma_side *side, uint32_t **nodes_ret, size_t *count_ret)
{
	uint32_t n = side->tree.count;
	_cleanup_free_ uint8_t *children = calloc(n ? n : 1, 1);
	_cleanup_free_ uint32_t *nodes = NULL;
	size_t count = 0;
	if (!children)
		return &ma_enomem;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t parent = side->tree.parent[i];
		if (!MA_IS_ROOT(parent) && children[parent] < UINT8_MAX)
			children[parent]++;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (side->held[i] < MA_MATCH_LEAST || !may_be_named(side, children, i))
			continue;
		if (!(count & (count - 1))) {
			uint32_t *bigger = reallocarray(nodes, count ? count * 2 : 1, sizeof(*bigger));
			if (!bigger)
				return &ma_enomem;
			nodes = bigger;
		}
		nodes[count++] = i;
	}
	if (count)
		qsort_r(nodes, count, sizeof(*nodes), by_held, (void *)side);
	*nodes_ret = ma_take_ptr(nodes);
	*count_ret = count < WAYS_MAX ? count : WAYS_MAX;
	return NULL;
}

static struct ma_error *name_side(const struct ma_side *side, struct names *names)
{
	_cleanup_free_ uint32_t *nodes = NULL;
	size_t count;
	MA_TRY(choose(side, &nodes, &count));
	for (size_t i = 0; i < count; i++)
		names->ways[i].node = nodes[i];
	names->count = count;
	MA_TRY(ma_ways_name(side->graph, &side->tree, names->ways, count));
	for (size_t i = 0; i < count; i++)
		names->sorted[i] = (struct named){ names->ways[i].path,
						   ma_type_name(side->snap, side->graph->type[names->ways[i].node]),
						   names->ways[i].node };
	qsort(names->sorted, count, sizeof(names->sorted[0]), by_path);
	return NULL;
}

/* Is a path unique on its side? Garbage and natively held objects may share theirs. */
static bool is_unique(const struct names *names, const struct named *at)
{
	size_t i = (size_t)(at - names->sorted);
	return (!i || by_path(at - 1, at)) && (i + 1 == names->count || by_path(at, at + 1));
}

/* A new element of a container belongs to it, a new attribute or variable is one of its own. */
static bool is_element(const char *path)
{
	size_t n = strlen(path);
	return n && path[n - 1] == ']';
}

struct found {
	uint32_t node, old;
};

static int by_node(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	return x->node < y->node ? -1 : x->node > y->node;
}

static struct ma_error *pair_up(struct ma_match *m, const struct names *old, const struct names *new)
{
	struct found found[WAYS_MAX];
	size_t count = 0;
	for (size_t i = 0; i < new->count; i++) {
		const struct named *now = &new->sorted[i], *then;
		if (!is_unique(new, now))
			continue;
		then = old->count ? bsearch(now, old->sorted, old->count, sizeof(*now), by_path) : NULL;
		if (then && !is_unique(old, then))
			continue;
		if (then || !is_element(now->path))
			found[count++] = (struct found){ now->node, then ? then->node : MA_MATCH_NONE };
	}
	qsort(found, count, sizeof(found[0]), by_node);
	for (uint32_t i = 0; i < m->new->tree.count &&count; i++) { /* parents first */
		const struct found key = { .node = m->new->tree.order[i] };
		const struct found *f = m->new->held[key.node] < MA_MATCH_LEAST
						? NULL
						: bsearch(&key, found, count, sizeof(key), by_node);
		if (f)
			MA_TRY(ma_match_add(m, f->node, f->old));
	}
	return NULL;
}

static struct ma_error *match(struct ma_match *m, struct names *old, struct names *new)
{
	MA_TRY(name_side(m->old, old));
	MA_TRY(name_side(m->new, new));
	MA_TRY(pair_up(m, old, new));
	return ma_match_finish(m);
}

struct ma_error *ma_match_by_path(const struct ma_side *old, const struct ma_side *new, struct ma_match *ret)
{
	struct ma_match m;
	struct names *names = calloc(2, sizeof(*names));
	if (!names)
		return &ma_enomem;
	struct ma_error *err = ma_match_begin(&m, old, new);
	if (!err)
		err = match(&m, &names[0], &names[1]);
	for (unsigned i = 0; i < 2; i++)
		ma_ways_deinit(names[i].ways, names[i].count);
	free(names);
	if (err) {
		ma_match_deinit(&m);
		return err;
	}
	*ret = m;
	return NULL;
}
