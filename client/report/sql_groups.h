// SPDX-License-Identifier: Apache-2.0
/* sql_groups.h - all objects in the order of the names of their types, for GROUP BY type: SQLite then has nothing to
 * sort. One pass over the file packs the columns that are wanted: a few bytes an object. */
#ifndef MA_SQL_GROUPS_H
#define MA_SQL_GROUPS_H

#include <memattach/snapshot.h>

/* Columns of the table, by their number in it. */
#define MA_SQL_ADDR 1u
#define MA_SQL_SIZE 4u
#define MA_SQL_REFCNT 8u
#define MA_SQL_GC 16u
#define MA_SQL_PLACE 32u

struct ma_sql_groups;

/* `s` must stay open. Of the columns not in `columns` nothing is kept. */
MA_CHECK struct ma_error *ma_sql_groups_create(const struct ma_snap *s, unsigned columns, struct ma_sql_groups **ret);
void ma_sql_groups_destroy(struct ma_sql_groups *g);
/* Back before the first object. */
void ma_sql_groups_rewind(struct ma_sql_groups *g);
/* The next object; false at the end. type_id is always there. */
bool ma_sql_groups_next(struct ma_sql_groups *g, struct ma_snap_object *ret);

#endif
