// SPDX-License-Identifier: Apache-2.0
#include "merged_ways.h"

#include "buffer.h"
#include "cleanup.h"
#include "saturate.h"

#include <stdlib.h>
#include <string.h>

#define HOLDER_SHARE 50
#define CHAIN_MAX 12 /* types below a holder that are told apart */
#define GROUPS_MAX (1u << 20)

enum { NESTED_NOT = 1, NESTED = 2 }; /* 0: not known yet */

struct group {
	uint64_t hash;
	struct ma_merged merged;
};

struct work {
	const struct ma_trees *t;
	const bool *wanted;
	uint32_t *weight; /* by node: objects of the types at it or below it in the tree */
	uint8_t *nested;  /* by node: does an object of the types dominate it? */
	uint64_t least;   /* weight of a holder */
	struct group *groups;
	size_t groups_count;
	uint32_t *table; /* position in groups + 1 */
	unsigned table_bits;
};

static void work_deinit(struct work *w)
{
	free(w->weight);
	free(w->nested);
	free(w->groups);
	free(w->table);
}

static bool is_wanted(const struct work *w, uint32_t node)
{
	return w->wanted[w->t->graph->type[node]];
}

/* Does an object of the types dominate `node`? Each node of the dominator tree is gone through twice in all. */
static bool is_nested(struct work *w, uint32_t node)
{
	const uint32_t *idom = w->t->dom.idom;
	uint32_t top = node;
	while (!w->nested[top] && idom[top] != MA_DOM_NONE && !is_wanted(w, idom[top]))
		top = idom[top];
	uint8_t known = w->nested[top] ? w->nested[top] : idom[top] == MA_DOM_NONE ? NESTED_NOT : NESTED;
	for (; !w->nested[node]; node = idom[node]) {
		w->nested[node] = known;
		if (node == top)
			break;
	}
	return known == NESTED;
}

static struct ma_error *weigh(struct work *w, struct ma_merged_ways *m)
{
	const struct ma_trees *t = w->t;
	uint32_t n = t->tree.count;
	w->weight = calloc(n ? n : 1, sizeof(*w->weight));
	w->nested = calloc(n ? n : 1, 1);
	if (!w->weight || !w->nested)
		return &ma_enomem;
	m->example = MA_NO_INDEX;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t node = t->tree.order[i];
		if (!is_wanted(w, node))
			continue;
		if (m->example == MA_NO_INDEX)
			m->example = node;
		m->count++;
		m->bytes = add(m->bytes, ma_graph_size(t->graph, node));
		if (!is_nested(w, node))
			m->retained = add(m->retained, t->dom.retained[node]);
	}
	for (uint32_t i = n; i-- > 0;) {
		uint32_t node = t->tree.order[i], up = t->tree.parent[node];
		w->weight[node] += is_wanted(w, node);
		if (!MA_IS_ROOT(up))
			w->weight[up] += w->weight[node];
	}
	w->least = m->count / HOLDER_SHARE > 2 ? m->count / HOLDER_SHARE : 2;
	return NULL;
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 29;
}

/* The holder of a way, and the hash of it and of the types below it; a type that follows on itself, as in a chain or a
 * tree of nodes, counts once. */
static uint64_t group_of(const struct work *w, uint32_t node, uint32_t *holder_ret)
{
	const struct ma_graph *g = w->t->graph;
	const uint32_t *parent = w->t->tree.parent;
	uint64_t hash = mix(1, g->type[node]);
	uint32_t last = g->type[node], up = parent[node];
	for (unsigned steps = 0; !MA_IS_ROOT(up) && w->weight[up] < w->least; up = parent[up]) {
		if (g->type[up] == last || steps == CHAIN_MAX)
			continue;
		last = g->type[up];
		hash = mix(hash, last);
		steps++;
	}
	*holder_ret = up;
	return mix(hash, (uint64_t)up << 8 | 1);
}

static struct ma_error *grow(struct work *w)
{
	if (w->table && w->groups_count < (size_t)1 << (w->table_bits - 1))
		return NULL;
	unsigned bits = w->table ? w->table_bits + 1 : 10;
	uint32_t *table = calloc((size_t)1 << bits, sizeof(*table));
	struct group *groups = reallocarray(w->groups, (size_t)1 << (bits - 1), sizeof(*groups));
	if (groups)
		w->groups = groups;
	if (!table || !groups) {
		free(table);
		return &ma_enomem;
	}
	for (size_t i = 0; i < w->groups_count; i++) {
		size_t slot = w->groups[i].hash >> (64 - bits);
		while (table[slot])
			slot = (slot + 1) & (((size_t)1 << bits) - 1);
		table[slot] = (uint32_t)i + 1;
	}
	free(w->table);
	w->table = table;
	w->table_bits = bits;
	return NULL;
}

/* The group of that hash, made when there is none; past GROUPS_MAX the first one takes all that is new. */
static struct ma_error *find_group(struct work *w, uint64_t hash, uint32_t holder, uint32_t node, struct group **ret)
{
	MA_TRY(grow(w));
	size_t slot = hash >> (64 - w->table_bits);
	for (; w->table[slot]; slot = (slot + 1) & (((size_t)1 << w->table_bits) - 1)) {
		*ret = &w->groups[w->table[slot] - 1];
		if ((*ret)->hash == hash && (*ret)->merged.holder == holder)
			return NULL;
	}
	*ret = &w->groups[0];
	if (w->groups_count == GROUPS_MAX)
		return NULL;
	*ret = &w->groups[w->groups_count++];
	w->table[slot] = (uint32_t)w->groups_count;
	**ret = (struct group){ hash, { .holder = holder, .example = node } };
	return NULL;
}

static struct ma_error *merge(struct work *w)
{
	const struct ma_trees *t = w->t;
	for (uint32_t i = 0; i < t->tree.count; i++) {
		uint32_t node = t->tree.order[i], holder;
		struct group *group;
		if (!is_wanted(w, node))
			continue;
		uint64_t hash = group_of(w, node, &holder);
		MA_TRY(find_group(w, hash, holder, node, &group));
		group->merged.count++;
		group->merged.bytes = add(group->merged.bytes, ma_graph_size(t->graph, node));
		if (!is_nested(w, node))
			group->merged.retained = add(group->merged.retained, t->dom.retained[node]);
	}
	return NULL;
}

static int by_count(const void *a, const void *b)
{
	const struct ma_merged *x = &((const struct group *)a)->merged, *y = &((const struct group *)b)->merged;
	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return x->example < y->example ? -1 : x->example > y->example;
}

static const char *skip_subscript(const char *p)
{
	char quote = p[1] == '\'' || p[1] == '"' ? p[1] : 0; /* a key in quotes may have brackets */
	for (p += quote ? 2 : 1; quote && *p && *p != quote; p++)
		p += *p == '\\' && p[1];
	p += strcspn(p, "]");
	return p + (*p == ']');
}

/* `path` with [*] for each [...] behind its first `keep` bytes, and with .* for the name that comes first there: the
 * ways part at their holder. */
static struct ma_error *generalise(const char *path, size_t keep, char **ret)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(1 << 20);
	const char *p = path + keep;
	ma_buf_add(&b, path, keep);
	if (keep && *p == '.') {
		ma_buf_str(&b, ".*");
		p += 1 + strcspn(p + 1, ".[");
	}
	while (*p) {
		if (*p != '[') {
			ma_buf_u8(&b, (uint8_t)*p++);
			continue;
		}
		ma_buf_str(&b, "[*]");
		p = skip_subscript(p);
	}
	MA_TRY(ma_buf_error(&b));
	*ret = strdup(ma_buf_text(&b));
	return *ret ? NULL : &ma_enomem;
}

/* Of each way that is shown the path of its example, and of its holder, which tells what they have in common. */
static struct ma_error *name_ways(const struct work *w, struct ma_merged_ways *m)
{
	struct ma_way ways[MA_MERGED_MAX * 2];
	uint32_t nodes[MA_MERGED_MAX * 2];
	size_t n = 0;
	for (size_t i = 0; i < m->ways_count; i++) {
		const uint32_t pair[] = { m->ways[i].example, m->ways[i].holder };
		for (size_t k = 0; k < 2; k++) {
			size_t at = 0;
			while (at < n && nodes[at] != pair[k])
				at++;
			if (at == n && !MA_IS_ROOT(pair[k])) {
				nodes[n] = pair[k];
				ways[n++] = (struct ma_way){ .node = pair[k] };
			}
		}
	}
	struct ma_error *err = ma_ways_name(w->t->graph, &w->t->tree, ways, n);
	for (size_t i = 0; i < m->ways_count && !err; i++) {
		const char *example = "", *holder = "";
		for (size_t k = 0; k < n; k++) {
			if (nodes[k] == m->ways[i].example)
				example = ways[k].path;
			if (nodes[k] == m->ways[i].holder)
				holder = ways[k].path;
		}
		size_t keep = strlen(holder);
		if (m->ways[i].count == 1)
			keep = strlen(example);
		else if (strncmp(example, holder, keep) != 0)
			keep = 0;
		err = generalise(example, keep, &m->ways[i].path);
	}
	ma_ways_deinit(ways, n);
	return err;
}

static struct ma_error *build(struct work *w, struct ma_merged_ways *m)
{
	MA_TRY(weigh(w, m));
	if (!m->count)
		return NULL;
	MA_TRY(merge(w));
	if (w->groups_count)
		qsort(w->groups, w->groups_count, sizeof(*w->groups), by_count);
	for (size_t i = 0; i < w->groups_count; i++) {
		if (i < MA_MERGED_MAX) {
			m->ways[m->ways_count++] = w->groups[i].merged;
			continue;
		}
		m->others++;
		m->others_count += w->groups[i].merged.count;
		m->others_bytes = add(m->others_bytes, w->groups[i].merged.bytes);
	}
	return name_ways(w, m);
}

struct ma_error *ma_merged_ways_create(const struct ma_trees *t, const bool *wanted, struct ma_merged_ways *ret)
{
	struct work w = { .t = t, .wanted = wanted };
	struct ma_merged_ways m = { 0 };
	struct ma_error *err = build(&w, &m);
	work_deinit(&w);
	if (err) {
		ma_merged_ways_deinit(&m);
		return err;
	}
	*ret = m;
	return NULL;
}

void ma_merged_ways_deinit(struct ma_merged_ways *m)
{
	for (size_t i = 0; i < m->ways_count; i++)
		free(m->ways[i].path);
	memset(m, 0, sizeof(*m));
}

size_t ma_way_nodes(const struct ma_tree *t, uint32_t node, uint32_t *ret, size_t room)
{
	size_t n = 0;
	for (; n < room; node = t->parent[node]) {
		ret[n++] = node;
		if (MA_IS_ROOT(t->parent[node]))
			break;
	}
	for (size_t i = 0; i < n / 2; i++) {
		uint32_t swap = ret[i];
		ret[i] = ret[n - 1 - i];
		ret[n - 1 - i] = swap;
	}
	return n;
}
