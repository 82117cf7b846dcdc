// SPDX-License-Identifier: Apache-2.0
/* sites.h - where memory was allocated, where tracemalloc was on: by line of the source, with what the objects are. */
#ifndef MA_SITES_H
#define MA_SITES_H

#include "graph.h"
#include "suspects.h"

#define MA_SITES_TOP 100 /* lines whose objects are told by type */

struct ma_site_line {
	struct ma_str file;    /* belongs to the snapshot; untrusted bytes; empty: it is not known where */
	uint32_t line;         /* 0 = not known */
	uint32_t was;          /* its position before they were sorted */
	uint64_t count, bytes; /* blocks of memory, as they were asked for: with the GC header of an object */
	uint64_t objects;      /* in these blocks; others are tables of dicts, items of lists, ... */
};

struct ma_site_types {
	struct ma_consists types[MA_CONSISTS_MAX]; /* most bytes first */
	size_t count;
};

struct ma_sites {
	struct ma_site_line *lines; /* most bytes first; none: tracemalloc was off */
	size_t lines_count;
	uint64_t count, bytes;                     /* of all lines */
	uint64_t untraced_objects, untraced_bytes; /* objects that no line is known of, and their sizes */
	uint32_t *line_of; /* by node: position in `lines` + 1; 0: it is older than tracemalloc. NULL without a graph */
	struct ma_site_types *top; /* what the objects of the first lines are, by their sizes */
	size_t top_count;
};

/* `g` is the graph of `s`, or NULL: then nothing is known of objects. 4 bytes an object where tracemalloc was on. */
MA_CHECK struct ma_error *ma_sites_create(const struct ma_snap *s, struct ma_graph *g, struct ma_sites *ret);
void ma_sites_deinit(struct ma_sites *x);

/* The object in a block: its number in `x`, or MA_NO_INDEX. */
uint32_t ma_sites_object(struct ma_addr_index *x, const struct ma_snap_trace *t);

#endif
