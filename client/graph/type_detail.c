// SPDX-License-Identifier: Apache-2.0
#include "type_detail.h"

#include <stdlib.h>
#include <string.h>

static void take_example(const struct ma_trees *t, struct ma_type_detail *d, uint32_t node)
{
	size_t i = d->examples_count;
	while (i && t->dom.retained[d->examples[i - 1]] < t->dom.retained[node])
		i--;
	if (i == MA_EXAMPLES_MAX)
		return;
	if (d->examples_count < MA_EXAMPLES_MAX)
		d->examples_count++;
	memmove(&d->examples[i + 1], &d->examples[i], (d->examples_count - 1 - i) * sizeof(d->examples[0]));
	d->examples[i] = node;
}

static struct ma_error *build(const struct ma_trees *t, const bool *wanted, struct ma_type_detail *d)
{
	struct ma_way ways[MA_EXAMPLES_MAX] = { 0 };
	for (uint32_t i = 0; i < t->graph->count; i++) {
		if (!wanted[t->graph->type[i]])
			continue;
		uint64_t size = ma_graph_size(t->graph, i);
		unsigned class = size ? 63 - (unsigned)__builtin_clzll(size) : 0;
		d->sizes[class].count++;
		d->sizes[class].bytes += size;
		take_example(t, d, i);
	}
	for (size_t i = 0; i < d->examples_count; i++)
		ways[i].node = d->examples[i];
	struct ma_error *err = ma_ways_name(t->graph, &t->tree, ways, d->examples_count);
	for (size_t i = 0; i < d->examples_count; i++)
		d->paths[i] = ways[i].path; /* they change hands, after an error, too */
	return err ? err : ma_merged_ways_create(t, wanted, &d->merged);
}

struct ma_error *ma_type_detail_create(const struct ma_trees *t, const bool *wanted, struct ma_type_detail *ret)
{
	struct ma_type_detail d = { 0 };
	struct ma_error *err = build(t, wanted, &d);
	if (err) {
		ma_type_detail_deinit(&d);
		return err;
	}
	*ret = d;
	return NULL;
}

void ma_type_detail_deinit(struct ma_type_detail *d)
{
	for (size_t i = 0; i < d->examples_count; i++)
		free(d->paths[i]);
	ma_merged_ways_deinit(&d->merged);
	memset(d, 0, sizeof(*d));
}
