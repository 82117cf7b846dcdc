// SPDX-License-Identifier: Apache-2.0
#include "analysis.h"

#include <stdlib.h>
#include <string.h>

struct ma_error *ma_analysis_create(const struct ma_snap *s, bool with_held, struct ma_analysis *ret)
{
	struct ma_analysis a = { .snap = s, .with_held = with_held };
	struct ma_error *err = ma_graph_create(s, with_held, &a.graph);
	if (!err) {
		ma_books_balance(a.graph, &a.books);
		err = ma_buffers_compute(s, &a.buffers);
		if (!err)
			err = ma_memory_compute(s, &a.graph->totals, &a.buffers, &a.memory);
		if (!err)
			err = ma_fragments_compute(a.graph, &a.fragments);
		if (!err)
			err = ma_native_held_compute(a.graph, &a.native);
		struct ma_roots roots = { 0 };
		if (!err)
			err = ma_roots_compute(a.graph, &roots);
		memcpy(a.roots, roots.of_kind, sizeof(a.roots));
		ma_roots_deinit(&roots);
		if (!err && with_held)
			err = ma_waste_create(a.graph, &a.waste);
		if (!err && with_held)
			err = ma_sites_create(s, a.graph, &a.sites);
		if (!err && with_held)
			err = ma_held_create(a.graph, &a.sites, &a.held);
		free(a.sites.line_of); /* what is shown needs it no more */
		a.sites.line_of = NULL;
		ma_graph_close_books(a.graph);
	}
	if (err) {
		ma_analysis_deinit(&a);
		return err;
	}
	*ret = a;
	return NULL;
}

void ma_analysis_deinit(struct ma_analysis *a)
{
	ma_waste_deinit(&a->waste);
	ma_held_deinit(&a->held);
	ma_sites_deinit(&a->sites);
	ma_buffers_deinit(&a->buffers);
	ma_native_held_deinit(&a->native);
	ma_graph_destroy(a->graph);
	memset(a, 0, sizeof(*a));
}
