// SPDX-License-Identifier: Apache-2.0
/* edge_labels.h - the names of all edges of a graph, 4 bytes each. */
#ifndef MA_EDGE_LABELS_H
#define MA_EDGE_LABELS_H

#include "graph.h"

/* A label is one of these and a number of 29 bits; what is larger has the number MA_LABEL_MORE. */
enum ma_label_kind {
	MA_LABEL_PLAIN = 0,
	MA_LABEL_NAMED = 1, /* name id */
	MA_LABEL_INDEX = 2, /* of a list, tuple, ... */
	MA_LABEL_KEY = 3,   /* it is a key */
	MA_LABEL_VALUE = 4, /* node of its key; MA_LABEL_MORE = not known */
	MA_LABEL_GUESSED = 5,
};
#define MA_LABEL_BITS 29
#define MA_LABEL_MORE ((UINT32_C(1) << MA_LABEL_BITS) - 1)

static inline enum ma_label_kind ma_label_kind(uint32_t label)
{
	return (enum ma_label_kind)(label >> MA_LABEL_BITS);
}

static inline uint32_t ma_label_number(uint32_t label)
{
	return label & MA_LABEL_MORE;
}

/* By position in g->targets; the caller frees *ret. One pass over the file. */
MA_CHECK struct ma_error *ma_edge_labels(struct ma_graph *g, uint32_t **ret);

/* ma_graph_next() with the edge's label. */
static inline bool ma_labelled_next(struct ma_graph_iter *it, const uint32_t *labels, uint32_t *dst_ret,
				    uint32_t *label_ret)
{
	if (it->at == MA_GRAPH_NO_EDGES && (it->more == SIZE_MAX || !ma_graph_next_run(it)))
		return false;
	*label_ret = labels[it->at];
	return ma_graph_next(it, dst_ret);
}

#endif
