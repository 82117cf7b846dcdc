// SPDX-License-Identifier: Apache-2.0
/* Tables: what `memattach query` sees, row by row. */
#include "cleanup.h"
#include "export.h"
#include "query.h"
#include "report.h"
#include "sql.h"

static const char *const statements[] = {
#define MA_EXPORT_TABLE(id, name, columns) "SELECT " columns " FROM " name,
	MA_EXPORT_TABLES(MA_EXPORT_TABLE)
#undef MA_EXPORT_TABLE
};

struct ma_error *ma_export_write_table(FILE *out, struct ma_sql *sql, enum ma_export_format format,
				       enum ma_export_table table)
{
	if (format == MA_EXPORT_ARROW)
		return ma_export_arrow(out, sql, statements[table]);
	if (format == MA_EXPORT_CSV || format == MA_EXPORT_JSON)
		return ma_query_sql(out, sql, statements[table],
				    format == MA_EXPORT_CSV ? MA_QUERY_CSV : MA_QUERY_JSON);
	return ma_errorf(MA_ERR_USAGE, "format %s has no tables", ma_export_format_name(format));
}

struct ma_error *ma_export_json(FILE *out, struct ma_sql *sql, const char *path)
{
	/* the small ones first: who reads only the beginning has them */
	static const enum ma_export_table order[] = { MA_TABLE_MEMORY, MA_TABLE_FRAMES, MA_TABLE_TYPES,
						      MA_TABLE_OBJECTS, MA_TABLE_EDGES };
	const struct ma_report_options opt = { .path = path };
	struct ma_analysis a;
	MA_TRY(ma_analysis_create(sql->snap, true, &a));
	fputs("{\"report\": ", out);
	struct ma_error *err = ma_report_json(out, &a, &opt);
	ma_analysis_deinit(&a);
	for (size_t i = 0; !err && i < MA_ARRAY_SIZE(order); i++) {
		fprintf(out, ",\n\"%s\": ", ma_export_table_name(order[i]));
		err = ma_query_sql(out, sql, statements[order[i]], MA_QUERY_JSON);
	}
	if (!err)
		fputs("}\n", out);
	return err;
}
