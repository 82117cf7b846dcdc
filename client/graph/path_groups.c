// SPDX-License-Identifier: Apache-2.0
#include "path_groups.h"

#include "buffer.h"
#include "cleanup.h"
#include "dominators.h"
#include "edge_name.h"
#include "holder_path.h"
#include "saturate.h"

#include <stdlib.h>
#include <string.h>

/* How a holder refers to a node: a name id, or one of these. */
enum label {
	LABEL_NONE = 0, /* a reference without a name, or only through others */
	LABEL_ITEM = 0xffffff00u,
	LABEL_KEY,
	LABEL_GUESSED,
	LABEL_CLASS,
	LABEL_DICT, /* of attributes: .__dict__ */
	LABEL_ROOT, /* + position in ways: stands alone, never compared with others */
	LABEL_NATIVE,
	LABEL_LOST,
	LABEL_SMALLER,
};

struct key {
	uint32_t parent, label, type, root;
};

struct slot { /* group + 1; 0 = free */
	struct key key;
	uint32_t group;
};

struct made { /* a group while they are made */
	struct key key;
	uint32_t depth;
	uint64_t bytes, objects, addr;
};

struct grouping {
	struct ma_graph *g;
	struct ma_tree tree;
	struct ma_dominators dom;
	uint32_t *label;         /* by node */
	uint32_t *group;         /* by node */
	uint32_t dict_type_name; /* the name id of "__dict__", 0 = there is none */
	struct ma_way *ways;     /* the roots that have names */
	size_t ways_count;
	struct slot *slots;
	size_t slots_count, slots_used; /* a power of two */
	struct made *made;
	size_t made_count;
};

static bool name_is(const struct ma_snap *s, uint32_t id, const char *text)
{
	struct ma_str name = ma_snap_name(s, id);
	return name.len == strlen(text) && !memcmp(name.p, text, name.len);
}

/* What the edge is called; better ones win over worse: a name over an index, an index over nothing. */
static uint32_t label_of(const struct grouping *x, const struct ma_snap_edge *e)
{
	switch (e->kind) {
	case MA_EDGE_NEXT:
	case MA_EDGE_AT:
	case MA_EDGE_VALUE:
		return LABEL_ITEM;
	case MA_EDGE_NAMED:
		if (!e->name_id || e->name_id >= LABEL_ITEM)
			return LABEL_NONE;
		return e->name_id == x->dict_type_name ? LABEL_DICT : e->name_id;
	case MA_EDGE_KEY:
		return LABEL_KEY;
	case MA_EDGE_GUESSED:
		return LABEL_GUESSED;
	case MA_EDGE_PLAIN:
	case MA_EDGE_BORROWED:
		break;
	}
	return LABEL_NONE;
}

static unsigned rank_of(uint32_t label)
{
	return label == LABEL_NONE      ? 0
	       : label == LABEL_GUESSED ? 1
	       : label == LABEL_KEY     ? 2
	       : label == LABEL_ITEM    ? 3
					: 4;
}

static struct ma_error *read_labels(struct grouping *x)
{
	const struct ma_snap_tables *tab = ma_snap_tables(x->g->snap);
	struct ma_snap_cursor *c;
	struct ma_snap_object o;
	struct ma_snap_edge e;
	for (size_t i = 0; i < tab->names_count && !x->dict_type_name; i++)
		if (name_is(x->g->snap, (uint32_t)i + 1, "__dict__"))
			x->dict_type_name = (uint32_t)i + 1;
	MA_TRY(ma_snap_cursor_create(x->g->snap, &c));
	while (ma_snap_next_object(c, &o)) {
		uint32_t src = o.has_edges ? ma_addr_index_find(&x->g->index, o.addr) : MA_NO_INDEX;
		if (src == MA_NO_INDEX)
			continue;
		while (ma_snap_next_edge(c, &e)) {
			uint32_t dst =
				e.kind == MA_EDGE_BORROWED ? MA_NO_INDEX : ma_addr_index_find(&x->g->index, e.dst);
			if (dst == MA_NO_INDEX || ma_holder_of(&x->tree, &x->dom, dst) != src)
				continue;
			uint32_t label = label_of(x, &e);
			if (rank_of(label) > rank_of(x->label[dst]))
				x->label[dst] = label;
		}
	}
	struct ma_error *err = ma_snap_cursor_error(c);
	ma_snap_cursor_destroy(c);
	return err;
}

/* Roots that are something by themselves: a module, a local, a field of the interpreter. */
static struct ma_error *name_roots(struct grouping *x)
{
	size_t n = 0;
	for (int pass = 0; pass < 2; pass++) {
		n = 0;
		for (uint32_t i = 0; i < x->g->count; i++) {
			uint32_t holder = ma_holder_of(&x->tree, &x->dom, i);
			if (holder != MA_ROOT_MODULE && holder != MA_ROOT_LOCAL && holder != MA_ROOT_INTERP)
				continue;
			if (pass) {
				x->ways[n].node = i;
				x->label[i] = LABEL_ROOT;
				x->group[i] = (uint32_t)n; /* until it gets its group */
			}
			n++;
		}
		if (!pass) {
			x->ways = calloc(n ? n : 1, sizeof(*x->ways));
			if (!x->ways)
				return &ma_enomem;
			x->ways_count = n;
		}
	}
	return ma_ways_name(x->g, &x->tree, x->ways, x->ways_count);
}

static size_t slot_of(const struct grouping *x, const struct key *k)
{
	uint64_t h = (k->parent * UINT64_C(0x9e3779b97f4a7c15)) ^ (k->label * UINT64_C(0xc2b2ae3d27d4eb4f)) ^
		     (k->type * UINT64_C(0x165667b19e3779f9)) ^ (k->root * UINT64_C(0x27d4eb2f165667c5));
	size_t at = (size_t)(h ^ h >> 29) & (x->slots_count - 1);
	while (x->slots[at].group && memcmp(&x->slots[at].key, k, sizeof(*k)) != 0)
		at = (at + 1) & (x->slots_count - 1);
	return at;
}

static struct ma_error *grow(struct grouping *x)
{
	struct slot *old = x->slots;
	size_t old_count = x->slots_count;
	if (x->slots_used * 2 < old_count)
		return NULL;
	x->slots_count = old_count ? old_count * 2 : 1024;
	x->slots = calloc(x->slots_count, sizeof(*x->slots));
	if (!x->slots) {
		x->slots = old;
		x->slots_count = old_count;
		return &ma_enomem;
	}
	for (size_t i = 0; i < old_count; i++)
		if (old[i].group)
			x->slots[slot_of(x, &old[i].key)] = old[i];
	free(old);
	return NULL;
}

static struct ma_error *add_group(struct grouping *x, const struct key *k, uint32_t *ret)
{
	if (!(x->made_count & (x->made_count - 1))) {
		size_t room = x->made_count ? x->made_count * 2 : 1;
		struct made *bigger = reallocarray(x->made, room, sizeof(*bigger));
		if (!bigger)
			return &ma_enomem;
		x->made = bigger;
	}
	x->made[x->made_count] =
		(struct made){ .key = *k, .depth = k->parent == MA_NO_GROUP ? 0 : x->made[k->parent].depth + 1 };
	*ret = (uint32_t)x->made_count++;
	return NULL;
}

/* A group above `k` that looks the same: what repeats on a way is one with its first. MA_NO_GROUP = none. */
static uint32_t find_above(const struct grouping *x, const struct key *k)
{
	for (uint32_t at = k->parent; at != MA_NO_GROUP; at = x->made[at].key.parent)
		if (x->made[at].key.label == k->label && x->made[at].key.type == k->type && k->label < LABEL_ROOT)
			return at;
	return MA_NO_GROUP;
}

static struct ma_error *group_of(struct grouping *x, const struct key *k, uint32_t *ret)
{
	MA_TRY(grow(x));
	size_t at = slot_of(x, k);
	if (x->slots[at].group) {
		*ret = x->slots[at].group - 1;
		return NULL;
	}
	uint32_t group = find_above(x, k);
	if (group == MA_NO_GROUP && k->parent != MA_NO_GROUP && x->made[k->parent].depth >= MA_GROUP_DEPTH_MAX - 2)
		group = k->parent;
	if (group == MA_NO_GROUP)
		MA_TRY(add_group(x, k, &group));
	x->slots[at] = (struct slot){ *k, group + 1 };
	x->slots_used++;
	*ret = group;
	return NULL;
}

static struct ma_error *place(struct grouping *x, uint32_t node)
{
	uint32_t holder = ma_holder_of(&x->tree, &x->dom, node), group;
	uint32_t type = x->g->type[node];
	struct key k = { MA_NO_GROUP, x->label[node], type, 0 };
	if (k.label == LABEL_ROOT)
		k.root = x->group[node];
	else if (MA_IS_ROOT(holder))
		k.label = holder == MA_ROOT_NATIVE ? LABEL_NATIVE : LABEL_LOST;
	else
		k.parent = x->group[holder];
	if (k.label == LABEL_DICT && k.parent != MA_NO_GROUP) {
		group = k.parent;
	} else {
		if (k.label == LABEL_NONE && k.parent != MA_NO_GROUP && x->g->type[holder] &&
		    ma_snap_tables(x->g->snap)->types[x->g->type[holder] - 1].addr ==
			    ma_addr_index_addr(&x->g->index, node))
			k.label = LABEL_CLASS;
		MA_TRY(group_of(x, &k, &group));
	}
	x->group[node] = group;
	struct made *m = &x->made[group];
	if (!m->objects)
		m->addr = ma_addr_index_addr(&x->g->index, node);
	m->bytes = add(m->bytes, ma_graph_size(x->g, node));
	m->objects++;
	return NULL;
}

static void write_text(const struct grouping *x, const struct made *m, struct ma_buf *b)
{
	struct ma_str name;
	const char *type = ma_type_name(x->g->snap, m->key.type);
	switch (m->key.label) {
	case LABEL_NONE:
		ma_buf_str(b, type);
		break;
	case LABEL_ITEM:
		ma_buf_printf(b, "[] %s", type);
		break;
	case LABEL_KEY:
		ma_buf_printf(b, "<key> %s", type);
		break;
	case LABEL_GUESSED:
		ma_buf_printf(b, "<guessed> %s", type);
		break;
	case LABEL_CLASS:
		ma_buf_str(b, ".__class__");
		break;
	case LABEL_DICT:
		ma_buf_str(b, ".__dict__");
		break;
	case LABEL_ROOT:
		ma_buf_printf(b, "%s %s", x->ways[m->key.root].path, type);
		break;
	case LABEL_NATIVE:
		ma_buf_printf(b, "native code: %s", type);
		break;
	case LABEL_LOST:
		ma_buf_printf(b, "garbage: %s", type);
		break;
	case LABEL_SMALLER:
		ma_buf_str(b, "(smaller)");
		break;
	default:
		name = ma_snap_name(x->g->snap, m->key.label);
		ma_buf_printf(b, ".%.*s %s", (int)(name.len < 200 ? name.len : 200), name.p, type);
		break;
	}
	ma_buf_u8(b, 0);
}

/* Sums, from the bottom up: a group stands behind the one above it. */
static void sum_up(const struct grouping *x, uint64_t *total)
{
	for (size_t i = x->made_count; i-- > 0;) {
		total[i] = add(total[i], x->made[i].bytes);
		if (x->made[i].key.parent != MA_NO_GROUP)
			total[x->made[i].key.parent] = add(total[x->made[i].key.parent], total[i]);
	}
}

/* Puts what is too small into one group beside its neighbours: `into` says where each group goes. */
static struct ma_error *cut(struct grouping *x, uint64_t least, uint32_t *into)
{
	size_t before = x->made_count;
	_cleanup_free_ uint64_t *total = calloc(before + 1, sizeof(*total));
	if (!total)
		return &ma_enomem;
	sum_up(x, total);
	for (uint32_t i = 0; i < before; i++) {
		uint32_t parent = x->made[i].key.parent;
		into[i] = i;
		if (parent != MA_NO_GROUP && into[parent] != parent) {
			into[i] = into[parent];
		} else if (total[i] < least) {
			struct key k = { parent, LABEL_SMALLER, 0, 0 };
			MA_TRY(group_of(x, &k, &into[i]));
		}
	}
	return NULL;
}

static struct ma_error *finish(struct grouping *x, uint64_t least, struct ma_path_groups *ret)
{
	/* each group has at most one for what is too small below it, and there is one of roots */
	_cleanup_free_ uint32_t *into = calloc(2 * x->made_count + 2, sizeof(*into));
	_cleanup_free_ uint32_t *at = calloc(2 * x->made_count + 2, sizeof(*at));
	_cleanup_free_ size_t *text = NULL;
	_cleanup_buf_ struct ma_buf names = MA_BUF_INIT(SIZE_MAX / 2);
	size_t first_new = x->made_count;
	if (!into || !at)
		return &ma_enomem;
	MA_TRY(cut(x, least, into));
	struct ma_path_groups p = { .groups = calloc(x->made_count + 1, sizeof(*p.groups)) };
	text = calloc(x->made_count + 1, sizeof(*text));
	if (!p.groups || !text) {
		free(p.groups);
		return &ma_enomem;
	}
	for (uint32_t i = 0; i < x->made_count; i++) {
		const struct made *m = &x->made[i];
		if (i < first_new && into[i] != i)
			continue;
		uint32_t parent = m->key.parent;
		text[p.count] = names.len;
		write_text(x, m, &names);
		at[i] = (uint32_t)p.count;
		p.groups[p.count++] = (struct ma_path_group){
			.parent = parent == MA_NO_GROUP ? MA_NO_GROUP : at[parent],
			.depth = m->depth,
			.type_id = m->key.type,
			.bytes = m->bytes,
			.objects = m->objects,
			.addr = m->addr,
		};
	}
	for (uint32_t i = 0; i < first_new; i++) {
		if (into[i] == i)
			continue;
		struct ma_path_group *to = &p.groups[at[into[i]]];
		to->bytes = add(to->bytes, x->made[i].bytes);
		to->objects += x->made[i].objects;
	}
	for (size_t i = p.count; i-- > 0;) {
		struct ma_path_group *gr = &p.groups[i];
		gr->text = ma_buf_text(&names) + text[i];
		gr->total = add(gr->total, gr->bytes);
		gr->total_objects += gr->objects;
		p.bytes = add(p.bytes, gr->bytes);
		p.objects += gr->objects;
		if (gr->parent == MA_NO_GROUP)
			continue;
		p.groups[gr->parent].total = add(p.groups[gr->parent].total, gr->total);
		p.groups[gr->parent].total_objects += gr->total_objects;
	}
	struct ma_error *err = ma_buf_error(&names);
	if (err) {
		free(p.groups);
		return err;
	}
	p.names = ma_take_ptr(names.data);
	*ret = p;
	return NULL;
}

static struct ma_error *make(struct grouping *x, uint64_t least, struct ma_path_groups *ret)
{
	size_t n = x->g->count ? x->g->count : 1;
	MA_TRY(ma_dominators_create(x->g, &x->dom));
	MA_TRY(ma_tree_create(x->g, &x->tree));
	x->label = calloc(n, sizeof(*x->label));
	x->group = calloc(n, sizeof(*x->group));
	if (!x->label || !x->group)
		return &ma_enomem;
	MA_TRY(name_roots(x));
	MA_TRY(read_labels(x));
	for (uint32_t i = 0; i < x->tree.count; i++)
		MA_TRY(place(x, x->tree.order[i]));
	return finish(x, least, ret);
}

struct ma_error *ma_path_groups_create(struct ma_graph *g, uint64_t least, struct ma_path_groups *ret)
{
	struct grouping x = { .g = g };
	struct ma_error *err = make(&x, least, ret);
	ma_tree_deinit(&x.tree);
	ma_dominators_deinit(&x.dom);
	if (x.ways)
		ma_ways_deinit(x.ways, x.ways_count);
	free(x.ways);
	free(x.label);
	free(x.group);
	free(x.slots);
	free(x.made);
	return err;
}

void ma_path_groups_deinit(struct ma_path_groups *p)
{
	free(p->groups);
	free(p->names);
	memset(p, 0, sizeof(*p));
}
