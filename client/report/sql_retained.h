// SPDX-License-Identifier: Apache-2.0
/* sql_retained.h - retained sizes for the SQL tables. Made when a query uses a column that needs them. */
#ifndef MA_SQL_RETAINED_H
#define MA_SQL_RETAINED_H

#include "dominators.h"

struct ma_sql_retained {        /* 24 bytes an object and 4 an edge, after up to 65 bytes an object while it is made */
	struct ma_graph *graph; /* totals.types have their retained sizes */
	struct ma_dominators dom;
};

/* Nothing when it is made already. */
MA_CHECK struct ma_error *ma_sql_retained_make(struct ma_sql_retained *x, const struct ma_snap *s);
void ma_sql_retained_deinit(struct ma_sql_retained *x);

/* false when there is no such object. *dominator_ret is 0 where no single object dominates it. */
bool ma_sql_retained_find(const struct ma_sql_retained *x, uint64_t addr, uint64_t *retained_ret,
			  uint64_t *dominator_ret);

#endif
