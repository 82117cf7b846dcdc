// SPDX-License-Identifier: Apache-2.0
/* books.h - the proof in every snapshot: counted references to an object never exceed its reference count. */
#ifndef MA_BOOKS_H
#define MA_BOOKS_H

#include "graph.h"

#define MA_BOOKS_WORST 8

struct ma_books_excess {
	uint64_t addr;
	uint32_t type_id;
	uint32_t refcnt, found;
};

struct ma_books {
	uint64_t excess; /* objects with more references found than counted; immortals aside */
	uint64_t native; /* objects with fewer found than counted: something outside the graph holds them */
	struct ma_books_excess worst[MA_BOOKS_WORST]; /* largest difference first */
	size_t worst_count;
};

/* Compares; the graph's books must be open (ma_graph_close_books not yet called). */
void ma_books_balance(const struct ma_graph *g, struct ma_books *ret);

#endif
