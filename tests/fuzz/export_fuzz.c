// SPDX-License-Identifier: Apache-2.0
/* What is made of a snapshot whose checksums are right and whose contents are not: exports, the HTML report, a diff.
 * The input is that of snapshot_blocks_fuzz.c, and so is the corpus. */
#include "cleanup.h"
#include "diff_report.h"
#include "export.h"
#include "fuzz.h"
#include "html.h"
#include "process_tree.h"
#include "snapshot_bytes.h"
#include "sql.h"
#include "ways.h"

#include <string.h>

static void exports(FILE *out, const struct ma_snap *s)
{
	struct ma_sql *sql;
	for (int i = 0; i < MA_EXPORT_COUNT; i++)
		if (!ma_export_format_has_tables((enum ma_export_format)i))
			ma_error_free(ma_export_write(out, s, (enum ma_export_format)i, "x.mem"));
	struct ma_error *err = ma_sql_open(s, &sql);
	if (!err) {
		ma_error_free(ma_export_json(out, sql, "x.mem"));
		for (int i = 0; i < MA_TABLE_COUNT; i++) {
			ma_error_free(ma_export_write_table(out, sql, MA_EXPORT_CSV, (enum ma_export_table)i));
			ma_error_free(ma_export_write_table(out, sql, MA_EXPORT_ARROW, (enum ma_export_table)i));
		}
		ma_sql_close(sql);
	}
	ma_error_free(err);
}

static void html(FILE *out, const struct ma_snap *s)
{
	const struct ma_report_options opt = { .path = "x.mem", .columns = 80 };
	const struct ma_html_more more = { 0 };
	struct ma_path_groups groups;
	struct ma_analysis a;
	struct ma_error *err = ma_html_groups(s, &groups);
	if (err) {
		ma_error_free(err);
		return;
	}
	err = ma_analysis_create(s, true, &a);
	if (!err) {
		err = ma_report_html(out, &a, &groups, &more, &opt);
		ma_analysis_deinit(&a);
	}
	ma_error_free(err);
	ma_path_groups_deinit(&groups);
}

static void compare(FILE *out, const struct ma_snap *s)
{
	const struct ma_diff_names names = { "a", NULL, "b" };
	const struct ma_report_options opt = { .path = "x.mem", .columns = 80 };
	const struct ma_tree_member member = { "a", "a", ma_snap_tables(s) };
	struct ma_diff d;
	struct ma_error *err = ma_diff_create(s, NULL, s, &d);
	if (!err) {
		err = ma_diff_text(out, &d, &names, &opt);
		ma_error_free(err);
		err = ma_diff_json(out, &d, &names);
		ma_diff_deinit(&d);
	}
	ma_error_free(err);
	ma_error_free(ma_process_tree_text(out, &member, 1, &opt));
	ma_error_free(ma_process_tree_json(out, &member, 1));
	ma_error_free(ma_report_ways(out, s, "*", true, &opt));
	ma_error_free(ma_report_ways(out, s, "dict", false, &opt));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(4 << 20);
	struct ma_snap *s;
	snap_put_input(&b, data, size);
	if (b.failed)
		return 0;
	struct ma_error *err = snap_bytes_open(b.data, b.len, &s);
	if (err) {
		ma_error_free(err);
		return 0;
	}
	FILE *out = fopen("/dev/null", "w");
	if (out) {
		exports(out, s);
		html(out, s);
		compare(out, s);
		fclose(out);
	}
	ma_snap_close(s);
	return 0;
}
