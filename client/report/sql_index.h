// SPDX-License-Identifier: Apache-2.0
/* sql_index.h - objects and edges in memory, found by address: what a join of the SQL tables needs, since a pass over
 * the file for each row would never end. Made when a query asks for the third time. */
#ifndef MA_SQL_INDEX_H
#define MA_SQL_INDEX_H

#include "addr_index.h"
#include "buffer.h"

#include <memattach/snapshot.h>

struct ma_sql_value {
	uint64_t length, hash;
	size_t text; /* in ma_sql_objects.texts */
	uint32_t text_bytes;
	uint8_t kind;
	bool known, has_text;
};

struct ma_sql_objects { /* 17 bytes an object and the index; 4 more, and 32 for each value, where there are values */
	bool made;
	struct ma_addr_index index;
	uint64_t *size;
	uint32_t *type, *refcnt; /* refcnt saturates */
	uint8_t *flags;          /* enum ma_place, 4 = gc */
	uint32_t *value;         /* position in values + 1, 0 = none; NULL in a snapshot without values */
	struct ma_sql_value *values;
	size_t values_count, values_cap;
	struct ma_buf texts;
};
MA_CHECK struct ma_error *ma_sql_objects_make(struct ma_sql_objects *x, const struct ma_snap *s);
void ma_sql_objects_deinit(struct ma_sql_objects *x);
/* The object at `addr`; false when there is none. */
bool ma_sql_objects_find(struct ma_sql_objects *x, uint64_t addr, struct ma_snap_object *ret);

/* The value of the object at `addr`; false when there is none. *ret points into the index. */
bool ma_sql_objects_value(struct ma_sql_objects *x, uint64_t addr, struct ma_snap_value *ret);

struct ma_sql_edge {
	uint64_t src, dst;
	uint64_t arg; /* index, name id or key, times 8, + enum ma_edge_kind (a key is a multiple of 8 as it is) */
};

struct ma_sql_edges { /* 32 bytes an edge */
	bool made;
	struct ma_sql_edge *edges;
	size_t count;
	uint32_t *by_src, *by_dst; /* positions in edges, sorted */
};
MA_CHECK struct ma_error *ma_sql_edges_make(struct ma_sql_edges *x, const struct ma_snap *s);
void ma_sql_edges_deinit(struct ma_sql_edges *x);
/* Position in by_src (or by_dst) of the first edge from (or to) `addr`, or of the first one behind it. */
size_t ma_sql_edges_find(const struct ma_sql_edges *x, bool by_dst, uint64_t addr);
struct ma_snap_edge ma_sql_edge_unpack(const struct ma_sql_edge *e);

#endif
