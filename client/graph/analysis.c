// SPDX-License-Identifier: Apache-2.0
#include "analysis.h"

#include "cleanup.h"

#include <stdlib.h>
#include <string.h>

static struct ma_error *count_roots(struct ma_analysis *a)
{
	struct ma_roots roots;
	MA_TRY(ma_roots_compute(a->graph, &roots));
	memcpy(a->roots, roots.of_kind, sizeof(a->roots));
	ma_roots_deinit(&roots);
	return NULL;
}

static struct ma_error *find_held(struct ma_analysis *a)
{
	struct ma_error *err = ma_sites_create(a->snap, a->graph, &a->sites);
	if (!err)
		err = ma_held_create(a->graph, &a->sites, &a->held);
	free(a->sites.line_of); /* what is shown needs it no more */
	a->sites.line_of = NULL;
	return err;
}

/* What is wasted and who holds what are found side by side. */
static struct ma_error *look_closer(struct ma_analysis *a)
{
	struct ma_waste_job *job;
	MA_TRY(ma_waste_start(a->graph, &job));
	struct ma_error *err = find_held(a), *waste_err = ma_waste_finish(job, &a->waste);
	if (!err)
		return waste_err;
	ma_error_free(waste_err);
	return err;
}

static struct ma_error *build(struct ma_analysis *a)
{
	MA_TRY(ma_graph_create(a->snap, a->with_held, &a->graph));
	ma_books_balance(a->graph, &a->books);
	MA_TRY(ma_buffers_compute(a->snap, &a->buffers));
	MA_TRY(ma_memory_compute(a->snap, &a->graph->totals, &a->buffers, &a->memory));
	MA_TRY(ma_fragments_compute(a->graph, &a->fragments));
	MA_TRY(ma_native_held_compute(a->graph, &a->native));
	MA_TRY(count_roots(a));
	if (a->with_held)
		MA_TRY(look_closer(a));
	ma_graph_close_books(a->graph);
	return NULL;
}

struct ma_error *ma_analysis_create(const struct ma_snap *s, bool with_held, struct ma_analysis *ret)
{
	struct ma_analysis a = { .snap = s, .with_held = with_held };
	struct ma_error *err = build(&a);
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
