// SPDX-License-Identifier: Apache-2.0
/* memattach export: the snapshot in another tool's format, into a file, a folder of tables, or standard output. */
#include "cleanup.h"
#include "cli.h"
#include "export.h"
#include "out_file.h"
#include "snapshot_arg.h"
#include "spinner.h"
#include "sql.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

struct export
{
	const struct ma_cli *cli;
	const char *from, *to; /* to: NULL = standard output */
	enum ma_export_format format;
	bool whole; /* no table in particular */
	bool all;   /* each table into a file of its own, in the folder `to` */
	enum ma_export_table table;
};

/* "json, csv, arrow" */
static const char *format_names(struct ma_buf *b)
{
	for (int i = 0; i < MA_EXPORT_COUNT; i++)
		ma_buf_printf(b, "%s%s", i ? ", " : "", ma_export_format_name((enum ma_export_format)i));
	return ma_buf_text(b);
}

static struct ma_error *choose_format(struct export *x)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(4096);
	if (x->cli->format && !ma_export_format_find(x->cli->format, &x->format))
		return ma_errorf(MA_ERR_USAGE, "--format '%s' is not known; there are %s", x->cli->format,
				 format_names(&b));
	if (!x->cli->format && !(x->to && ma_export_format_guess(x->to, &x->format)))
		return ma_errorf(MA_ERR_USAGE, "in which format? --format wants one of %s", format_names(&b));
	return NULL;
}

static bool names_folder(const char *path)
{
	struct stat st;
	size_t len = strlen(path);
	return (len && path[len - 1] == '/') || (stat(path, &st) == 0 && S_ISDIR(st.st_mode));
}

static struct ma_error *choose_table(struct export *x)
{
	const char *name = x->cli->table;
	bool folder = x->to && names_folder(x->to);
	if (!ma_export_format_has_tables(x->format))
		return name ? ma_errorf(MA_ERR_USAGE, "format %s has no tables: leave --table out",
					ma_export_format_name(x->format))
			    : NULL;
	x->whole = !name && x->format == MA_EXPORT_JSON && !folder;
	x->all = name ? !strcmp(name, "all") : folder;
	if (x->all && !x->to)
		return ma_errorf(MA_ERR_USAGE, "--table all wants a folder: -o FOLDER");
	x->table = MA_TABLE_OBJECTS;
	if (name && !x->all && !ma_export_table_find(name, &x->table))
		return ma_errorf(MA_ERR_USAGE,
				 "--table '%s' is not known; there are objects, edges, types, frames, memory, all",
				 name);
	return NULL;
}

static struct ma_error *write_one(const struct export *x, FILE *out, const struct ma_snap *s)
{
	struct ma_sql *sql;
	if (!ma_export_format_has_tables(x->format))
		return ma_export_write(out, s, x->format, x->from);
	MA_TRY(ma_sql_open(s, &sql));
	struct ma_error *err =
		x->whole ? ma_export_json(out, sql, x->from) : ma_export_write_table(out, sql, x->format, x->table);
	ma_sql_close(sql);
	return err;
}

static struct ma_error *to_file(const struct export *x, const char *path, const struct ma_snap *s, struct ma_sql *sql)
{
	struct ma_out_file o = { 0 };
	uint64_t bytes;
	const char *const not_this[] = { x->from, NULL };
	MA_TRY(ma_out_file_open(path, not_this, &o));
	ma_spinner_start("exporting");
	struct ma_error *err = sql ? ma_export_write_table(o.f, sql, x->format, x->table) : write_one(x, o.f, s);
	ma_spinner_stop();
	if (!err)
		err = ma_out_file_commit(&o, &bytes);
	if (!err)
		err = ma_out_file_say(x->cli->out, &o, bytes, x->cli->bytes);
	ma_out_file_deinit(&o);
	return err;
}

static struct ma_error *to_folder(struct export *x, const struct ma_snap *s)
{
	struct ma_sql *sql;
	if (mkdir(x->to, 0700) != 0 && errno != EEXIST)
		return ma_error_os(errno, "cannot make the folder %s", x->to);
	MA_TRY(ma_sql_open(s, &sql));
	struct ma_error *err = NULL;
	for (int i = 0; !err && i < MA_TABLE_COUNT; i++) {
		_cleanup_free_ char *path = NULL;
		x->table = (enum ma_export_table)i;
		size_t len = strlen(x->to);
		if (asprintf(&path, "%s%s%s.%s", x->to, x->to[len - 1] == '/' ? "" : "/",
			     ma_export_table_name(x->table), ma_export_format_end(x->format)) < 0) {
			path = NULL;
			err = &ma_enomem;
		}
		if (!err)
			err = to_file(x, path, s, sql);
	}
	ma_sql_close(sql);
	return err;
}

struct ma_error *ma_cmd_export(const struct ma_cli *cli)
{
	_cleanup_snap_ struct ma_snap *s = NULL;
	_cleanup_resolved_ struct ma_resolved snap = { 0 };
	struct export x = { .cli = cli };
	if (cli->args_count > 1 && cli->output)
		return ma_errorf(MA_ERR_USAGE, "where to, %s or %s?", cli->args[1], cli->output);
	x.to = cli->output ? cli->output : cli->args_count > 1 ? cli->args[1] : NULL;
	if (x.to && (!*x.to || !strcmp(x.to, "-")))
		x.to = NULL;
	MA_TRY(choose_format(&x));
	MA_TRY(choose_table(&x));
	if (!x.to && !ma_export_is_text(x.format) && isatty(STDOUT_FILENO))
		return ma_errorf(MA_ERR_USAGE, "format %s is not for a terminal: -o FILE",
				 ma_export_format_name(x.format));
	MA_TRY(ma_cli_snapshot(cli, cli->args[0], &snap));
	x.from = snap.path;
	MA_TRY(ma_snap_open(x.from, &s));
	if (x.all && x.to)
		return to_folder(&x, s);
	return x.to ? to_file(&x, x.to, s, NULL) : write_one(&x, cli->out, s);
}
