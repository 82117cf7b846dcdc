// SPDX-License-Identifier: Apache-2.0
/* Retained sizes of groups of objects. */
#include "cleanup.h"
#include "dominators.h"
#include "huge.h"
#include "saturate.h"

#include <stdlib.h>
#include <string.h>

/* The dominator tree as lists of children: node numbers, MA_DOM_NONE ends a list. */
struct lists {
	uint32_t *child, *sibling;
	uint32_t top; /* first of those that nothing dominates */
};

static void lists_deinit(struct lists *l)
{
	free(l->child);
	free(l->sibling);
}

static struct ma_error *make_lists(struct lists *l, const uint32_t *idom, uint32_t count)
{
	size_t bytes = (count ? count : 1) * sizeof(*l->child);
	l->child = ma_huge_malloc(bytes, 1);
	l->sibling = ma_huge_malloc(bytes, 1);
	l->top = MA_DOM_NONE;
	if (!l->child || !l->sibling)
		return &ma_enomem;
	memset(l->child, 0xff, bytes);
	for (uint32_t i = count; i-- > 0;) {
		uint32_t *head = idom[i] == MA_DOM_NONE ? &l->top : &l->child[idom[i]];
		l->sibling[i] = *head;
		*head = i;
	}
	return NULL;
}

struct group {
	uint32_t above; /* nodes of it on the way from the top */
	uint64_t entry; /* bytes that were passed before the topmost of these */
};

/* Down and up again through the tree: what is passed between the way down and up of a node hangs below it, and counts
 * when no node of its group is above it. */
static void walk(const struct ma_graph *g, const struct ma_dominators *d, const struct lists *l,
		 const uint32_t *group_of, struct group *groups, uint64_t *ret)
{
	uint32_t at = l->top;
	uint64_t passed = 0;
	while (at != MA_DOM_NONE) {
		struct group *group = &groups[group_of[g->type[at]]];
		if (!group->above++)
			group->entry = passed;
		passed += ma_graph_size(g, at);
		if (l->child[at] != MA_DOM_NONE) {
			at = l->child[at];
			continue;
		}
		for (;;) {
			uint32_t number = group_of[g->type[at]];
			if (!--groups[number].above)
				ret[number] = add(ret[number], passed - groups[number].entry);
			if (l->sibling[at] != MA_DOM_NONE) {
				at = l->sibling[at];
				break;
			}
			at = d->idom[at];
			if (at == MA_DOM_NONE)
				return;
		}
	}
}

struct ma_error *ma_dom_retained_by_group(const struct ma_graph *g, const struct ma_dominators *d,
					  const uint32_t *group_of, uint64_t *ret, size_t groups)
{
	struct lists l = { 0 };
	_cleanup_free_ struct group *all = calloc(groups ? groups : 1, sizeof(*all));
	if (!all)
		return &ma_enomem;
	memset(ret, 0, groups * sizeof(*ret));
	struct ma_error *err = make_lists(&l, d->idom, g->count);
	if (!err)
		walk(g, d, &l, group_of, all, ret);
	lists_deinit(&l);
	return err;
}

static int by_name(const void *a, const void *b, void *arg)
{
	const struct ma_type_total *types = arg;
	return strcmp(types[*(const uint32_t *)a].name, types[*(const uint32_t *)b].name);
}

/* Types of the same name are one group. */
struct ma_error *ma_dom_retained_by_type(struct ma_graph *g, const struct ma_dominators *d)
{
	struct ma_totals *t = &g->totals;
	size_t n = t->by_id_count, groups = 0;
	_cleanup_free_ uint32_t *order = calloc(n ? n : 1, sizeof(*order));
	_cleanup_free_ uint32_t *group_of = calloc(n ? n : 1, sizeof(*group_of));
	_cleanup_free_ uint64_t *sums = calloc(n ? n : 1, sizeof(*sums));
	if (!order || !group_of || !sums)
		return &ma_enomem;
	for (size_t i = 0; i < n; i++)
		order[i] = (uint32_t)i;
	qsort_r(order, n, sizeof(*order), by_name, t->by_id);
	for (size_t i = 0; i < n; i++) {
		groups += i && strcmp(t->by_id[order[i]].name, t->by_id[order[i - 1]].name) != 0;
		group_of[order[i]] = (uint32_t)groups;
	}
	MA_TRY(ma_dom_retained_by_group(g, d, group_of, sums, groups + 1));
	for (size_t i = 0; i < n; i++)
		t->by_id[i].retained = sums[group_of[i]];
	for (size_t i = 0; i < t->types_count; i++) { /* order is sorted by name */
		size_t lo = 0, hi = n;
		while (lo < hi) {
			size_t mid = lo + (hi - lo) / 2;
			if (strcmp(t->by_id[order[mid]].name, t->types[i].name) < 0)
				lo = mid + 1;
			else
				hi = mid;
		}
		if (lo < n)
			t->types[i].retained = t->by_id[order[lo]].retained;
	}
	return NULL;
}
