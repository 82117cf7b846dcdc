// SPDX-License-Identifier: Apache-2.0
#include "edge_labels.h"

#include "cleanup.h"

static uint32_t make(enum ma_label_kind kind, uint64_t number)
{
	return (uint32_t)kind << MA_LABEL_BITS | (uint32_t)(number < MA_LABEL_MORE ? number : MA_LABEL_MORE);
}

static uint32_t label_of(struct ma_graph *g, const struct ma_snap_edge *e)
{
	switch (e->kind) {
	case MA_EDGE_NEXT:
	case MA_EDGE_AT:
		return make(MA_LABEL_INDEX, e->index);
	case MA_EDGE_NAMED:
		return make(e->name_id ? MA_LABEL_NAMED : MA_LABEL_PLAIN, e->name_id);
	case MA_EDGE_KEY:
		return make(MA_LABEL_KEY, 0);
	case MA_EDGE_VALUE:
		return make(MA_LABEL_VALUE, ma_addr_index_find(&g->index, e->key));
	case MA_EDGE_GUESSED:
		return make(MA_LABEL_GUESSED, 0);
	case MA_EDGE_PLAIN:
	case MA_EDGE_BORROWED:
		break;
	}
	return make(MA_LABEL_PLAIN, 0);
}

/* The same records in the same order and with the same choice as in graph.c: the targets say if it is so. */
static struct ma_error *fill(struct ma_graph *g, struct ma_snap_cursor *c, uint32_t *labels)
{
	struct ma_snap_object o;
	struct ma_snap_edge e;
	uint32_t at = 0;
	while (ma_snap_next_object(c, &o)) {
		if (ma_addr_index_find(&g->index, o.addr) == MA_NO_INDEX)
			continue;
		while (o.has_edges && ma_snap_next_edge(c, &e)) {
			if (e.kind == MA_EDGE_BORROWED)
				continue;
			uint32_t dst = ma_addr_index_find(&g->index, e.dst);
			if (dst == MA_NO_INDEX)
				continue;
			if (at == g->edges || (g->targets[at] & ~MA_GRAPH_LAST) != dst)
				return ma_errorf(MA_ERR_BAD_DATA, "changed while it was read");
			labels[at++] = label_of(g, &e);
		}
	}
	MA_TRY(ma_snap_cursor_error(c));
	return at == g->edges ? NULL : ma_errorf(MA_ERR_BAD_DATA, "changed while it was read");
}

struct ma_error *ma_edge_labels(struct ma_graph *g, uint32_t **ret)
{
	_cleanup_free_ uint32_t *labels = calloc(g->edges ? g->edges : 1, sizeof(*labels));
	struct ma_snap_cursor *c;
	if (!labels)
		return &ma_enomem;
	MA_TRY(ma_snap_cursor_create(g->snap, &c));
	struct ma_error *err = fill(g, c, labels);
	ma_snap_cursor_destroy(c);
	if (!err)
		*ret = ma_take_ptr(labels);
	return err;
}
