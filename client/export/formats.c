// SPDX-License-Identifier: Apache-2.0
/* The names of formats and tables, and who writes what. */
#include "cleanup.h"
#include "export.h"
#include "heapsnapshot.h"
#include "hprof.h"
#include "paths.h"

#include <string.h>
#include <strings.h>

static const struct {
	const char *name, *end;
	bool text;
} formats[] = {
#define MA_EXPORT(id, name, end, text) { name, end, text },
	MA_EXPORT_FORMATS(MA_EXPORT)
#undef MA_EXPORT
};

static const char *const tables[] = {
#define MA_EXPORT_TABLE(id, name, columns) name,
	MA_EXPORT_TABLES(MA_EXPORT_TABLE)
#undef MA_EXPORT_TABLE
};

const char *ma_export_format_name(enum ma_export_format format)
{
	return formats[format].name;
}

const char *ma_export_format_end(enum ma_export_format format)
{
	return formats[format].end;
}

bool ma_export_is_text(enum ma_export_format format)
{
	return formats[format].text;
}

bool ma_export_format_has_tables(enum ma_export_format format)
{
	return format == MA_EXPORT_JSON || format == MA_EXPORT_CSV || format == MA_EXPORT_ARROW;
}

bool ma_export_format_find(const char *name, enum ma_export_format *ret)
{
	for (size_t i = 0; i < MA_ARRAY_SIZE(formats); i++) {
		if (!strcmp(name, formats[i].name)) {
			*ret = (enum ma_export_format)i;
			return true;
		}
	}
	return false;
}

bool ma_export_format_guess(const char *path, enum ma_export_format *ret)
{
	size_t best = 0, len = strlen(path);
	for (size_t i = 0; i < MA_ARRAY_SIZE(formats); i++) { /* the longest: .speedscope.json is no .json */
		size_t n = strlen(formats[i].end);
		if (n <= best || len <= n + 1 || path[len - n - 1] != '.' ||
		    strcasecmp(path + len - n, formats[i].end) != 0)
			continue;
		best = n;
		*ret = (enum ma_export_format)i;
	}
	return best > 0;
}

const char *ma_export_table_name(enum ma_export_table table)
{
	return tables[table];
}

bool ma_export_table_find(const char *name, enum ma_export_table *ret)
{
	for (size_t i = 0; i < MA_ARRAY_SIZE(tables); i++) {
		if (!strcmp(name, tables[i])) {
			*ret = (enum ma_export_table)i;
			return true;
		}
	}
	return false;
}

static struct ma_error *write_paths(FILE *out, const struct ma_snap *s, enum ma_export_format format, const char *path)
{
	struct ma_path_groups p;
	MA_TRY(ma_export_path_groups(s, &p));
	struct ma_error *err = format == MA_EXPORT_COLLAPSED ? ma_export_collapsed(out, &p)
			       : format == MA_EXPORT_PPROF
				       ? ma_export_pprof(out, &p, ma_snap_tables(s)->meta.taken_realtime_ns)
				       : ma_export_speedscope(out, &p, path);
	ma_path_groups_deinit(&p);
	return err;
}

struct ma_error *ma_export_write(FILE *out, const struct ma_snap *s, enum ma_export_format format, const char *path)
{
	switch (format) {
	case MA_EXPORT_COLLAPSED:
	case MA_EXPORT_SPEEDSCOPE:
	case MA_EXPORT_PPROF:
		return write_paths(out, s, format, path);
	case MA_EXPORT_HEAPSNAPSHOT:
		return ma_export_heapsnapshot(out, s);
	case MA_EXPORT_HPROF:
		return ma_export_hprof(out, s);
	case MA_EXPORT_JSON:
	case MA_EXPORT_CSV:
	case MA_EXPORT_ARROW:
	case MA_EXPORT_COUNT:
		break;
	}
	return ma_errorf(MA_ERR_USAGE, "format %s is one of tables", ma_export_format_name(format));
}
