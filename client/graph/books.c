// SPDX-License-Identifier: Apache-2.0
#include "books.h"

#include <string.h>

static void remember(struct ma_books *b, const struct ma_books_excess *e)
{
	size_t i = b->worst_count;
	while (i && b->worst[i - 1].found - b->worst[i - 1].refcnt < e->found - e->refcnt)
		i--;
	if (i == MA_BOOKS_WORST)
		return;
	if (b->worst_count < MA_BOOKS_WORST)
		b->worst_count++;
	memmove(&b->worst[i + 1], &b->worst[i], (b->worst_count - 1 - i) * sizeof(b->worst[0]));
	b->worst[i] = *e;
}

void ma_books_balance(const struct ma_graph *g, struct ma_books *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (uint32_t i = 0; i < g->count; i++) {
		if (g->refcnt[i] == MA_GRAPH_UNKNOWN)
			continue;
		ret->native += g->found[i] < g->refcnt[i];
		if (g->found[i] <= g->refcnt[i])
			continue;
		ret->excess++;
		struct ma_books_excess e = { ma_addr_index_addr(&g->index, i), g->type[i], g->refcnt[i], g->found[i] };
		remember(ret, &e);
	}
}
