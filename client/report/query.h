// SPDX-License-Identifier: Apache-2.0
/* query.h - runs one SELECT over a snapshot (sql.h) and prints its rows. */
#ifndef MA_QUERY_H
#define MA_QUERY_H

#include <memattach/snapshot.h>
#include <stdio.h>

struct ma_sql;

enum ma_query_format { MA_QUERY_TABLE, MA_QUERY_CSV, MA_QUERY_JSON };

/* Write errors show in ferror(out); it stops early then. MA_ERR_USAGE for SQL that is wrong or does more than SELECT.
 */
MA_CHECK struct ma_error *ma_query_run(FILE *out, const struct ma_snap *s, const char *statement,
				       enum ma_query_format format);
/* The same over tables that are open already (sql.h). */
MA_CHECK struct ma_error *ma_query_sql(FILE *out, struct ma_sql *sql, const char *statement,
				       enum ma_query_format format);

#endif
