// SPDX-License-Identifier: Apache-2.0
#include "sql_retained.h"

#include "cleanup.h"

#include <string.h>

struct ma_error *ma_sql_retained_make(struct ma_sql_retained *x, const struct ma_snap *s)
{
	struct ma_graph *g;
	struct ma_dominators dom = { 0 };
	if (x->graph)
		return NULL;
	MA_TRY(ma_graph_create(s, true, &g));
	struct ma_error *err = ma_dominators_create(g, &dom);
	if (!err)
		err = ma_dom_retained_by_type(g, &dom);
	if (err) {
		ma_dominators_deinit(&dom);
		ma_graph_destroy(g);
		return err;
	}
	x->graph = g;
	x->dom = dom;
	return NULL;
}

void ma_sql_retained_deinit(struct ma_sql_retained *x)
{
	ma_dominators_deinit(&x->dom);
	ma_graph_destroy(x->graph);
	memset(x, 0, sizeof(*x));
}

bool ma_sql_retained_find(const struct ma_sql_retained *x, uint64_t addr, uint64_t *retained_ret,
			  uint64_t *dominator_ret)
{
	uint32_t node = x->graph ? ma_addr_index_find(&x->graph->index, addr) : MA_NO_INDEX;
	if (node == MA_NO_INDEX)
		return false;
	uint32_t up = x->dom.idom[node];
	*retained_ret = x->dom.retained[node];
	*dominator_ret = up == MA_DOM_NONE ? 0 : ma_addr_index_addr(&x->graph->index, up);
	return true;
}
