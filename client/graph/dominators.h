// SPDX-License-Identifier: Apache-2.0
/* dominators.h - what would be freed: the dominator tree of the graph, and the retained size of every object.
 *
 * An object dominates another when every way from a root to the other leads through it. Its retained size is its own
 * and that of all objects it dominates. Roots are modules, what interpreters and frames hold, immortal objects, objects
 * with more references counted than found, and of what those do not reach: objects without a reference to them, then
 * one of each cycle. Borrowed edges are not in the graph, so weak references do not retain. The namespace of a module
 * belongs to the module alone, though each function of it refers to it: else no module would retain anything. */
#ifndef MA_DOMINATORS_H
#define MA_DOMINATORS_H

#include "tree.h"

#define MA_DOM_NONE UINT32_MAX /* in idom: no single object dominates it */

/* By node, what to know of it. */
#define MA_DOM_ROOT 1u
#define MA_DOM_NAMESPACE 2u /* edges to it count only from a MODULE */
#define MA_DOM_MODULE 4u
#define MA_DOM_LOOSE 8u /* nothing refers to it: a root before others, should no root lead to it */
/* Found by ma_dominators_compute: */
#define MA_DOM_SEEN 16u   /* an edge to it */
#define MA_DOM_SHARED 32u /* another one */
#define MA_DOM_LEAF 64u   /* it has no edge and is no root; what has the one edge to it dominates it */

struct ma_dominators {
	uint32_t *idom;     /* by node: the node next above it in the dominator tree, or MA_DOM_NONE */
	uint64_t *retained; /* by node: bytes */
};

/* Finds the roots. The graph's books must be open. 1 byte an object; the caller frees *ret. */
MA_CHECK struct ma_error *ma_dom_find_roots(struct ma_graph *g, uint8_t **ret);
/* Semi-NCA (Georgiadis, Tarjan, Werneck 2006) in preorder numbers, without recursion. `classes`: by type id the node of
 * the class that each instance refers to, or MA_NO_INDEX; NULL = none do. `flags` of roots that it had to choose are
 * set. Leaves have no number: more than half of most heaps. 4 bytes an object, 24 for each but leaves and 12 for each
 * edge between these that is not of the spanning tree while it runs, 12 bytes an object after. */
MA_CHECK struct ma_error *ma_dominators_compute(const struct ma_graph *g, const uint32_t *classes, uint8_t *flags,
						struct ma_dominators *ret);
/* Both, for a graph whose books are open; they are closed by it. */
MA_CHECK struct ma_error *ma_dominators_create(struct ma_graph *g, struct ma_dominators *ret);
/* The same without retained sizes: `retained` is NULL. */
MA_CHECK struct ma_error *ma_dominators_create_bare(struct ma_graph *g, struct ma_dominators *ret);
void ma_dominators_deinit(struct ma_dominators *d);

/* Takes out of `idom` what stands behind its node in t->order. A dominator is on every way, so it stands before; but of
 * what nothing known leads to, garbage above all, tree and dominators choose roots each in its own way, and there it
 * may be the other way round. `cuts`: what was taken out; the caller frees it, after an error, too. 1 byte an object.
 */
struct ma_dom_cut {
	uint32_t node, up;
};
MA_CHECK struct ma_error *ma_dom_follow_tree(struct ma_dominators *d, const struct ma_tree *t, struct ma_dom_cut **cuts,
					     size_t *cuts_count);
/* What a person would say holds a node: its dominator; where several objects share it, the next one on the shortest way
 * to it; or an enum ma_root. After ma_dom_follow_tree() it stands before the node in t->order. */
static inline uint32_t ma_holder_of(const struct ma_tree *t, const struct ma_dominators *d, uint32_t node)
{
	return d->idom[node] != MA_DOM_NONE ? d->idom[node] : t->parent[node];
}

/* Retained size by group: of all objects of a group together, no object counted twice. `group_of` has the group of each
 * type id, `ret` an element for each group. 12 bytes an object while it runs. */
MA_CHECK struct ma_error *ma_dom_retained_by_group(const struct ma_graph *g, const struct ma_dominators *d,
						   const uint32_t *group_of, uint64_t *ret, size_t groups);
/* Sets `retained` of totals.types and totals.by_id (there of all types of the same name together). */
MA_CHECK struct ma_error *ma_dom_retained_by_type(struct ma_graph *g, const struct ma_dominators *d);

#endif
