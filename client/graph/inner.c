// SPDX-License-Identifier: Apache-2.0
#include "inner.h"

#include "cleanup.h"

#include <stdlib.h>
#include <string.h>

struct ma_error *ma_inner_create(const struct ma_graph *g, const uint32_t *classes, struct ma_inner *ret)
{
	size_t words = (size_t)g->count / 64 + 1;
	struct ma_inner x = { calloc(words, sizeof(*x.bits)), malloc(words * sizeof(*x.before)), 0 };
	if (!x.bits || !x.before) {
		ma_inner_deinit(&x);
		return &ma_enomem;
	}
	for (uint32_t i = 0; i < g->count; i++) {
		bool leads = g->start[i] != MA_GRAPH_NO_EDGES || (classes && classes[g->type[i]] != MA_NO_INDEX);
		x.bits[i / 64] |= (uint64_t)leads << i % 64;
	}
	for (size_t w = 0; w < words; w++) {
		x.before[w] = x.count;
		x.count += ma_ones(x.bits[w]);
	}
	*ret = x;
	return NULL;
}

void ma_inner_deinit(struct ma_inner *x)
{
	free(x->bits);
	free(x->before);
	memset(x, 0, sizeof(*x));
}
