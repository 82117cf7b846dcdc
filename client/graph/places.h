// SPDX-License-Identifier: Apache-2.0
/* places.h - where in the file the edges of an object stand, so that a look at the records of a few objects unpacks a
 * few chunks and not the whole file. For ma_snap_cursor_only(). */
#ifndef MA_PLACES_H
#define MA_PLACES_H

#include "graph.h"

struct ma_places {
	const struct ma_graph *g;
	uint8_t *wanted; /* by chunk */
};

/* No chunk is wanted, but where the graph does not have each edge of the file, all are. */
MA_CHECK struct ma_error *ma_places_create(const struct ma_graph *g, struct ma_places *ret);
void ma_places_deinit(struct ma_places *p);
#define _cleanup_places_ __attribute__((__cleanup__(ma_places_deinit)))
/* The records with edges of `node`. MA_NO_INDEX is allowed. */
void ma_places_add(struct ma_places *p, uint32_t node);
/* Those of them with an edge to `dst`. */
void ma_places_add_edge(struct ma_places *p, uint32_t node, uint32_t dst);
/* Each record with an edge to one of the nodes whose bit is set. */
void ma_places_add_referrers(struct ma_places *p, const uint64_t *bits);

#endif
