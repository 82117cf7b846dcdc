// SPDX-License-Identifier: Apache-2.0
/* graph_build.h - how a graph comes from the file: two passes, each by up to MA_GRAPH_PARTS threads. */
#ifndef MA_GRAPH_BUILD_H
#define MA_GRAPH_BUILD_H

#include "graph.h"

#define MA_GRAPH_PARTS 2

/* Of an empty graph with `snap` and `with_edges`. `parts`: threads; 0 = as many as the file is worth. What comes of it
 * is the same. After an error what is there is freed by ma_graph_destroy(). */
MA_CHECK struct ma_error *ma_graph_build(struct ma_graph *g, unsigned parts);
int ma_graph_big_by_node(const void *a, const void *b);

#endif
