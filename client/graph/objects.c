// SPDX-License-Identifier: Apache-2.0
/* What memattach/objects.h promises to other programs, on top of trees.h. */
#include <memattach/objects.h>

#include "cleanup.h"
#include "holder_path.h"
#include "trees.h"

#include <stdlib.h>
#include <string.h>

struct ma_objects {
	struct ma_trees trees;
	struct ma_object_type *types;
	size_t types_count;
};

static struct ma_error *copy_types(struct ma_objects *o)
{
	const struct ma_totals *totals = &o->trees.graph->totals;
	o->types = calloc(totals->types_count + 1, sizeof(*o->types));
	if (!o->types)
		return &ma_enomem;
	o->types_count = totals->types_count;
	for (size_t i = 0; i < o->types_count; i++) {
		const struct ma_type_total *t = &totals->types[i];
		o->types[i] = (struct ma_object_type){ t->name, t->count, t->bytes, t->retained };
	}
	return NULL;
}

struct ma_error *ma_objects_create(const struct ma_snap *s, struct ma_objects **ret)
{
	struct ma_objects *o = calloc(1, sizeof(*o));
	if (!o)
		return &ma_enomem;
	struct ma_error *err = ma_trees_create(s, &o->trees);
	if (!err)
		err = copy_types(o);
	if (err) {
		ma_objects_destroy(o);
		return err;
	}
	*ret = o;
	return NULL;
}

void ma_objects_destroy(struct ma_objects *o)
{
	if (!o)
		return;
	ma_trees_deinit(&o->trees);
	free(o->types);
	free(o);
}

uint32_t ma_objects_count(const struct ma_objects *o)
{
	return o->trees.graph->count;
}

bool ma_objects_get(const struct ma_objects *o, uint32_t number, struct ma_object *ret)
{
	const struct ma_trees *t = &o->trees;
	if (number >= t->graph->count)
		return false;
	uint32_t parent = t->tree.parent[number], dominator = t->dom.idom[number];
	*ret = (struct ma_object){
		.addr = ma_addr_index_addr(&t->graph->index, number),
		.size = ma_graph_size(t->graph, number),
		.retained = t->dom.retained[number],
		.type = ma_type_name(t->graph->snap, t->graph->type[number]),
		.type_id = t->graph->type[number],
		.dominator = dominator == MA_DOM_NONE ? MA_OBJECT_NONE : dominator,
		.parent = MA_IS_ROOT(parent) ? MA_OBJECT_NONE : parent,
	};
	return true;
}

uint32_t ma_objects_find(struct ma_objects *o, uint64_t addr)
{
	uint32_t number = ma_addr_index_find(&o->trees.graph->index, addr);
	return number == MA_NO_INDEX ? MA_OBJECT_NONE : number;
}

size_t ma_objects_references(const struct ma_objects *o, uint32_t number, uint32_t *ret, size_t room)
{
	const struct ma_graph *g = o->trees.graph;
	size_t count = 0;
	uint32_t to;
	if (number >= g->count)
		return 0;
	struct ma_graph_iter it = ma_graph_edges(g, number);
	for (; ma_graph_next(&it, &to); count++)
		if (count < room)
			ret[count] = to;
	return count;
}

/* A heap of those taken so far, the smallest at its top. */
static void sift_down(const uint64_t *retained, uint32_t *heap, size_t count, size_t at)
{
	for (;;) {
		size_t least = at, child = 2 * at + 1;
		for (size_t i = child; i < child + 2 && i < count; i++)
			if (retained[heap[i]] < retained[heap[least]])
				least = i;
		if (least == at)
			return;
		uint32_t moved = heap[at];
		heap[at] = heap[least];
		heap[least] = moved;
		at = least;
	}
}

size_t ma_objects_largest(const struct ma_objects *o, uint32_t *ret, size_t room)
{
	const uint64_t *retained = o->trees.dom.retained;
	uint32_t all = o->trees.graph->count;
	size_t count = room < all ? room : all;
	for (size_t i = 0; i < count; i++)
		ret[i] = (uint32_t)i;
	for (size_t i = count / 2; i-- > 0;)
		sift_down(retained, ret, count, i);
	for (uint32_t i = (uint32_t)count; count && i < all; i++) {
		if (retained[i] <= retained[ret[0]])
			continue;
		ret[0] = i;
		sift_down(retained, ret, count, 0);
	}
	for (size_t left = count; left > 1; left--) { /* the smallest goes to the end */
		uint32_t least = ret[0];
		ret[0] = ret[left - 1];
		ret[left - 1] = least;
		sift_down(retained, ret, left - 1, 0);
	}
	return count;
}

const struct ma_object_type *ma_objects_types(const struct ma_objects *o, size_t *count_ret)
{
	*count_ret = o->types_count;
	return o->types;
}

static int by_number(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

static struct ma_error *check_numbers(const struct ma_objects *o, const uint32_t *numbers, size_t count)
{
	_cleanup_free_ uint32_t *sorted = malloc((count + 1) * sizeof(*sorted));
	if (!sorted)
		return &ma_enomem;
	memcpy(sorted, numbers, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), by_number);
	for (size_t i = 0; i < count; i++) {
		if (sorted[i] >= o->trees.graph->count)
			return ma_errorf(MA_ERR_USAGE, "there is no object with the number %u", sorted[i]);
		if (i && sorted[i] == sorted[i - 1])
			return ma_errorf(MA_ERR_USAGE, "the object with the number %u is asked for twice", sorted[i]);
	}
	return NULL;
}

struct ma_error *ma_objects_paths(struct ma_objects *o, const uint32_t *numbers, size_t count, char **ret)
{
	if (!count)
		return NULL;
	MA_TRY(check_numbers(o, numbers, count));
	struct ma_way *ways = calloc(count, sizeof(*ways));
	if (!ways)
		return &ma_enomem;
	for (size_t i = 0; i < count; i++)
		ways[i].node = numbers[i];
	struct ma_error *err = ma_ways_name(o->trees.graph, &o->trees.tree, ways, count);
	for (size_t i = 0; i < count && !err; i++)
		ret[i] = ma_take_ptr(ways[i].path);
	ma_ways_deinit(ways, count);
	free(ways);
	return err;
}
