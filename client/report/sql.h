// SPDX-License-Identifier: Apache-2.0
/* sql.h - a snapshot as tables of SQLite, read-only: nothing is copied into a database, the tables read the file.
 *
 *	objects(addr, type, size, refcnt, gc, place, length, hash, value), hidden: retained, dominator
 *	edges(src, dst, name)   types(type, count, bytes), hidden: retained
 *	modules(module, package, addr, retained, instances, bytes)
 *	waste(kind, type, count, bytes)   duplicates(type, size, count, bytes, example)
 *	frames(tid, depth, file, function, line)       memory(name, bytes)
 *	buffers(addr, bytes, counted, kind, owner)     native_words(addr, object, library)
 *	roots(kind, addr, name, type, size, refcnt, found, excess)
 *	heaps(arena, main, start, bytes, used_chunks, used, cached, free, top, used_resident, free_resident,
 *	      top_resident, trimmable)                 arenas(addr, touched, used, free, pools)
 *	allocations(addr, bytes, domain, site, file, line), hidden: object     sites(id, depth, file, line)
 *
 * A hidden column is not part of `*`: it has to be asked for by name, since it takes a tree over the whole graph.
 * refcnt is 0 for immortal objects; place is arena, malloc, static or other. */
#ifndef MA_SQL_H
#define MA_SQL_H

#include "buffers.h"
#include "modules.h"
#include "roots.h"
#include "sql_index.h"
#include "sql_retained.h"
#include "totals.h"
#include "waste.h"

#include <sqlite3.h>

struct ma_sql {
	sqlite3 *db;
	const struct ma_snap *snap;
	struct ma_totals totals;   /* made when first asked for */
	struct ma_buffers buffers; /* the same */
	struct ma_roots roots;     /* the same */
	struct ma_modules modules; /* the same */
	struct ma_waste waste;     /* the same; `example` of duplicates: addresses in example_addr */
	uint64_t example_addr[MA_DUPLICATES_MAX];
	struct ma_sql_objects objects; /* the same */
	struct ma_sql_edges edges;
	struct ma_sql_retained retained;
	struct ma_error *err; /* what stopped a table, in our words */
	bool have_totals, have_buffers, have_roots, have_modules, have_waste;
};

/* Opens; `s` must stay open. Only SELECT is allowed: no ATTACH, no PRAGMA, nothing that writes. */
MA_CHECK struct ma_error *ma_sql_open(const struct ma_snap *s, struct ma_sql **ret);
void ma_sql_close(struct ma_sql *sql);
/* Why preparing or stepping a statement ended with `rc`: what a table said, else SQLite's words. */
MA_CHECK struct ma_error *ma_sql_error(struct ma_sql *sql, int rc);

/* For the tables. */
int ma_sql_register_scans(struct ma_sql *sql);
int ma_sql_register_lists(struct ma_sql *sql);
int ma_sql_register_sites(struct ma_sql *sql);
/* Keeps `err` as the reason of the failure and returns the SQLite code to give up with. */
int ma_sql_fail(struct ma_sql *sql, struct ma_error *err);

#endif
