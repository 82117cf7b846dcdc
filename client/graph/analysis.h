// SPDX-License-Identifier: Apache-2.0
/* analysis.h - all that a report shows about one snapshot, computed once. */
#ifndef MA_ANALYSIS_H
#define MA_ANALYSIS_H

#include "books.h"
#include "buffers.h"
#include "fragments.h"
#include "graph.h"
#include "holders.h"
#include "memory.h"
#include "native_held.h"
#include "roots.h"
#include "sites.h"
#include "waste.h"

struct ma_analysis {
	const struct ma_snap *snap;
	struct ma_graph *graph; /* its books are closed */
	struct ma_books books;
	struct ma_memory memory;
	struct ma_fragments fragments;
	struct ma_buffers buffers;
	struct ma_native_held native;
	size_t roots[MA_ROOT_KIND_COUNT]; /* how many of each kind */
	bool with_held;
	struct ma_held held;   /* empty unless asked for; with it `retained` of the types is set */
	struct ma_waste waste; /* the same */
	struct ma_sites sites; /* the same */
};

/* `with_held`: also who holds what, what each type retains and what is wasted (trees over the graph: twice the time).
 * `s` must stay open. */
MA_CHECK struct ma_error *ma_analysis_create(const struct ma_snap *s, bool with_held, struct ma_analysis *ret);
void ma_analysis_deinit(struct ma_analysis *a);

#endif
