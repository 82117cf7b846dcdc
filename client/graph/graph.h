// SPDX-License-Identifier: Apache-2.0
/* graph.h - the objects of a snapshot as flat arrays: node = rank in address order, edges forward.
 *
 * Two passes over the file. 24 bytes an object while the books are open, 12 after ma_graph_close_books(), 4 bytes
 * an edge. Edges of kind `borrowed` and edges to addresses that are no known object are not in it. */
#ifndef MA_GRAPH_H
#define MA_GRAPH_H

#include "addr_index.h"
#include "totals.h"

#define MA_GRAPH_LAST (UINT32_C(1) << 31)      /* in targets: last of its run */
#define MA_GRAPH_CONTINUED (UINT32_C(1) << 31) /* in start: more runs stand in `more` */
#define MA_GRAPH_NO_EDGES (MA_GRAPH_LAST - 1)  /* in start */
#define MA_GRAPH_UNKNOWN UINT32_MAX            /* in refcnt: immortal, or over 32 bits: never compared */

struct ma_graph_more { /* a further run of edges of an object (MA_OX_CONT) */
	uint32_t node, start;
};

struct ma_graph_module { /* an entry of sys.modules */
	uint32_t node, name_id;
};

struct ma_graph_keys { /* edges of kind `key` in one record */
	uint32_t node, keys;
};
#define MA_GRAPH_LONG 64 /* only of records with so many edges, and of further ones */

struct ma_graph_big {
	uint32_t node;
	uint64_t size;
};

struct ma_graph {
	const struct ma_snap *snap;
	struct ma_totals totals;
	struct ma_addr_index index;
	bool with_edges;
	uint32_t count;
	uint32_t *type;  /* type id, 0 = lost */
	uint32_t *size;  /* UINT32_MAX: stands in `big` */
	uint32_t *start; /* first edge in targets, or MA_GRAPH_NO_EDGES; MA_GRAPH_CONTINUED */
	uint32_t *targets;
	uint32_t edges;             /* in targets */
	uint32_t *chunk_edges;      /* by chunk of the file: edges in targets before it; one more for the end */
	struct ma_graph_more *more; /* by node */
	size_t more_count;
	struct ma_graph_big *big; /* by node */
	size_t big_count;
	struct ma_graph_keys *keys; /* by node */
	size_t keys_count;
	struct ma_graph_module *modules; /* of the first interpreter that has them */
	size_t modules_count;
	uint32_t *guessed; /* a node for each guessed edge to it, in file order; NULL when the books are closed */
	size_t guessed_count;
	uint32_t *interned; /* strings in the table of interned ones: a dict that does not own them; the same */
	size_t interned_count;
	uint32_t *static_types; /* nodes; the same */
	size_t static_types_count;
	uint32_t *refcnt, *found; /* the books: see books.h; NULL when closed */
	uint64_t *native;         /* when they are: a bit for each node, see ma_graph_native() */
	uint64_t dangling;        /* counted edges to no known object */
	uint64_t unknown;         /* those, and guessed ones */
	uint64_t implied;         /* edges of instances to their heap types */
};

/* Builds it; `s` must stay open as long as it lives. Without `edges` there are no targets (no node has edges then), but
 * totals and books are whole. MA_ERR_LIMIT above 2^31 - 2 objects or edges. */
MA_CHECK struct ma_error *ma_graph_create(const struct ma_snap *s, bool edges, struct ma_graph **ret);
void ma_graph_destroy(struct ma_graph *g);
static inline void ma_graph_destroy_p(struct ma_graph **g)
{
	ma_graph_destroy(*g);
}
#define _cleanup_graph_ __attribute__((__cleanup__(ma_graph_destroy_p)))
void ma_graph_close_books(struct ma_graph *g);
uint64_t ma_graph_big_size(const struct ma_graph *g, uint32_t node);
static inline uint64_t ma_graph_size(const struct ma_graph *g, uint32_t node)
{
	return g->size[node] != UINT32_MAX ? g->size[node] : ma_graph_big_size(g, node);
}
/* Are more references counted than found, or is it immortal? Guessed ones are not found. The books may be closed. */
static inline bool ma_graph_native(const struct ma_graph *g, uint32_t node)
{
	if (!g->refcnt)
		return g->native[node / 64] >> node % 64 & 1;
	return g->refcnt[node] == MA_GRAPH_UNKNOWN || g->found[node] < g->refcnt[node];
}

/* All edges of one node: struct ma_graph_iter it = ma_graph_edges(g, n); while (ma_graph_next(&it, &dst)) ... */
struct ma_graph_iter {
	const struct ma_graph *g;
	uint32_t at, node; /* at = MA_GRAPH_NO_EDGES: the run is at its end */
	size_t more;       /* position in g->more of the next run; SIZE_MAX = none */
};
struct ma_graph_iter ma_graph_edges(const struct ma_graph *g, uint32_t node);

/* Values of a dict, keys of a set, items, attributes: as many as its edges but for keys of a dict. False when only the
 * file says it: of few edges, or where the file does not have each object. */
bool ma_graph_elements(const struct ma_graph *g, uint32_t node, uint64_t *ret);

bool ma_graph_next_run(struct ma_graph_iter *it);
static inline bool ma_graph_next(struct ma_graph_iter *it, uint32_t *dst_ret)
{
	if (it->at == MA_GRAPH_NO_EDGES && (it->more == SIZE_MAX || !ma_graph_next_run(it)))
		return false;
	uint32_t t = it->g->targets[it->at++];
	if (t & MA_GRAPH_LAST)
		it->at = MA_GRAPH_NO_EDGES;
	*dst_ret = t & ~MA_GRAPH_LAST;
	return true;
}

#endif
