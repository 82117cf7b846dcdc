// SPDX-License-Identifier: Apache-2.0
/* tree.h - a breadth-first tree over the graph: each object hangs below the first object on a shortest way from a
 * module, a frame, the interpreter, or, for what those do not reach, from what native code holds. */
#ifndef MA_TREE_H
#define MA_TREE_H

#include "bits.h"
#include "graph.h"

/* In parent: the node is a root. */
enum ma_root {
	MA_ROOT_MODULE = 0xfffffff0u,
	MA_ROOT_LOCAL = 0xfffffff1u,  /* a local of a frame, or a frame that is an object (up to 3.10) */
	MA_ROOT_INTERP = 0xfffffff2u, /* held by an interpreter's own structures */
	MA_ROOT_NATIVE = 0xfffffff3u, /* more references counted than found: held by C code */
	MA_ROOT_LOST = 0xfffffff4u,   /* in cycles that nothing else reaches: garbage not collected yet */
	MA_ROOT_NONE = 0xffffffffu,   /* not visited; none is left so by ma_tree_create */
};
#define MA_IS_ROOT(parent) ((parent) >= MA_ROOT_MODULE)

struct ma_tree {
	uint32_t *parent; /* node or enum ma_root */
	uint32_t *order;  /* all nodes, parents before children */
	uint32_t count;
};

/* 8 bytes an object. */
MA_CHECK struct ma_error *ma_tree_create(struct ma_graph *g, struct ma_tree *ret);
void ma_tree_deinit(struct ma_tree *t);

/* Each instance of a class holds it. That reference is not among the edges: by type id the node of the class, or
 * MA_NO_INDEX where instances hold none (static types) or it is not known. The caller frees it. NULL when memory is
 * out. */
uint32_t *ma_class_nodes(struct ma_graph *g);
/* The nodes that lead anywhere, by edges or to their class (`classes` as above): in most heaps fewer than half. */
MA_CHECK struct ma_error *ma_tree_inner(const struct ma_graph *g, const uint32_t *classes, struct ma_bits *ret);

#endif
