// SPDX-License-Identifier: Apache-2.0
/* hprof.h - HPROF 1.0.2, the heap dump of Java: for Eclipse MAT, VisualVM, hprof-analyzer. */
#ifndef MA_HPROF_H
#define MA_HPROF_H

#include "graph.h"

#include <stdio.h>

/* 18 bytes an object and 4 an edge beside the graph while it runs. */
MA_CHECK struct ma_error *ma_export_hprof(FILE *out, const struct ma_snap *s);

/* A type as a class: named references are fields; all other references stand in an array, `items`; what an object has
 * beyond its fields is in an array of bytes, `data`, since all instances of a class have the same size. */
#define MA_HPROF_NAMES 32
struct ma_hprof_class {
	uint64_t count, least, most;    /* instances, the smallest and the largest of them in bytes */
	uint32_t names[MA_HPROF_NAMES]; /* name ids */
	uint32_t names_count;           /* those that became fields, after ma_hprof_classes() */
	bool items, data;
	uint32_t pads; /* fields without a meaning, up to the smallest instance */
};

/* By type id; the caller frees *ret. `labels` as of edge_labels.h. */
MA_CHECK struct ma_error *ma_hprof_classes(const struct ma_graph *g, const uint32_t *labels,
					   struct ma_hprof_class **ret);
/* Of an instance in the file, with the header of an object in MAT's books. */
uint64_t ma_hprof_fixed_bytes(const struct ma_hprof_class *c);

#endif
