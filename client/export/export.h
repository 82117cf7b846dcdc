// SPDX-License-Identifier: Apache-2.0
/* export.h - a snapshot in the file formats of other tools. What each file has in it is in docs/export.md.
 *
 * Everything is written forward, so that a pipe does as well as a file. Write errors show in ferror(out). */
#ifndef MA_EXPORT_H
#define MA_EXPORT_H

#include <memattach/snapshot.h>
#include <stdio.h>

/* MA_EXPORT(id, name on the command line, usual end of a file name, text?) */
#define MA_EXPORT_FORMATS(MA_EXPORT)                                  \
	MA_EXPORT(JSON, "json", "json", true)                         \
	MA_EXPORT(CSV, "csv", "csv", true)                            \
	MA_EXPORT(ARROW, "arrow", "arrow", false)                     \
	MA_EXPORT(COLLAPSED, "collapsed", "collapsed", true)          \
	MA_EXPORT(SPEEDSCOPE, "speedscope", "speedscope.json", true)  \
	MA_EXPORT(PPROF, "pprof", "pb.gz", false)                     \
	MA_EXPORT(HEAPSNAPSHOT, "heapsnapshot", "heapsnapshot", true) \
	MA_EXPORT(HPROF, "hprof", "hprof", false)

enum ma_export_format {
#define MA_EXPORT(id, name, end, text) MA_EXPORT_##id,
	MA_EXPORT_FORMATS(MA_EXPORT)
#undef MA_EXPORT
		MA_EXPORT_COUNT
};

/* In the order in which a folder of all of them is written. MA_EXPORT_TABLE(id, name, columns) */
#define MA_EXPORT_TABLES(MA_EXPORT_TABLE)                                                                \
	MA_EXPORT_TABLE(OBJECTS, "objects",                                                              \
			"addr, type, size, refcnt, gc, place, length, hash, value, retained, dominator") \
	MA_EXPORT_TABLE(EDGES, "edges", "src, dst, name")                                                \
	MA_EXPORT_TABLE(TYPES, "types", "type, count, bytes, retained")                                  \
	MA_EXPORT_TABLE(FRAMES, "frames", "tid, depth, file, function, line")                            \
	MA_EXPORT_TABLE(MEMORY, "memory", "name, bytes")

enum ma_export_table {
#define MA_EXPORT_TABLE(id, name, columns) MA_TABLE_##id,
	MA_EXPORT_TABLES(MA_EXPORT_TABLE)
#undef MA_EXPORT_TABLE
		MA_TABLE_COUNT
};

const char *ma_export_format_name(enum ma_export_format format);
const char *ma_export_format_end(enum ma_export_format format);
/* May it go to a terminal? */
bool ma_export_is_text(enum ma_export_format format);
/* By name; false when there is none of that name. */
bool ma_export_format_find(const char *name, enum ma_export_format *ret);
/* By the end of a file name, ".csv"; false when it is none of ours. */
bool ma_export_format_guess(const char *path, enum ma_export_format *ret);
bool ma_export_format_has_tables(enum ma_export_format format);
const char *ma_export_table_name(enum ma_export_table table);
bool ma_export_table_find(const char *name, enum ma_export_table *ret);

/* The snapshot as tables, opened once for all that are written of it. `s` must stay open. */
struct ma_sql;
/* One table, in a format that has tables. */
MA_CHECK struct ma_error *ma_export_write_table(FILE *out, struct ma_sql *sql, enum ma_export_format format,
						enum ma_export_table table);
/* The whole snapshot as one object of JSON: "report" (as `memattach report --json`; `path` is the snapshot's name in
 * it) and an array of objects for each table. */
MA_CHECK struct ma_error *ma_export_json(FILE *out, struct ma_sql *sql, const char *path);
/* The whole snapshot, in a format that has no tables. */
MA_CHECK struct ma_error *ma_export_write(FILE *out, const struct ma_snap *s, enum ma_export_format format,
					  const char *path);
/* `statement` over the tables as an Arrow IPC file. */
MA_CHECK struct ma_error *ma_export_arrow(FILE *out, struct ma_sql *sql, const char *statement);

#endif
