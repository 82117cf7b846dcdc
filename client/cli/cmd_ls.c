// SPDX-License-Identifier: Apache-2.0
#include "catalogue.h"
#include "cleanup.h"
#include "cli.h"
#include "escape.h"
#include "human.h"
#include "moved.h"
#include "report.h"
#include "when.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const states[] = {
	[MA_FILE_THERE] = "there", [MA_FILE_MISSING] = "missing", [MA_FILE_OTHER] = "other"
};

static struct ma_error *print_row(const struct ma_cli *cli, const struct ma_catalogue_row *row)
{
	static const char fixed[] = "3f2a  2026-11-21 10:05:02    4242   1.42 GB   8,020,114   10.1 MB  ";
	_cleanup_buf_ struct ma_buf command = MA_BUF_INIT(1 << 16);
	char rss[MA_HUMAN_MAX], objects[MA_HUMAN_MAX], size[MA_HUMAN_MAX], taken[MA_WHEN_TEXT_MAX];
	const char *program = ma_human_what_runs(row->command);
	ma_escape_text(&command, program, strlen(program));
	if (command.data)
		ma_text_fit(command.data, cli->columns > sizeof(fixed) + 12 ? cli->columns - sizeof(fixed) + 1 : 12);
	fprintf(cli->out, "%-4s  %-19s %7" PRIu64 " %9s %11s %9s  %s%s\n", row->id, ma_when_text(taken, row->taken_ns),
		row->pid, ma_human_bytes(rss, row->rss_bytes, cli->bytes), ma_human_count(objects, row->objects),
		row->state == MA_FILE_THERE ? ma_human_bytes(size, row->file_bytes, cli->bytes) : states[row->state],
		row->complete ? "" : "(cut off) ", ma_buf_text(&command));
	return command.no_memory ? &ma_enomem : NULL;
}

/* The two newest of one process whose files are there: what one would compare. */
static const struct ma_catalogue_row *one_before(const struct ma_catalogue_rows *rows, size_t of)
{
	for (size_t i = of; i-- > 0;)
		if (rows->v[i].state == MA_FILE_THERE && ma_catalogue_same_process(&rows->v[i], &rows->v[of]))
			return &rows->v[i];
	return NULL;
}

static void print_next(const struct ma_cli *cli, const struct ma_catalogue_rows *rows)
{
	size_t last = rows->count, missing = 0;
	for (size_t i = 0; i < rows->count; i++) {
		if (rows->v[i].state == MA_FILE_THERE)
			last = i;
		else
			missing++;
	}
	if (missing)
		fprintf(cli->out, "%zu of them %s not there any more: memattach ls --prune drops %s\n", missing,
			missing == 1 ? "is" : "are", missing == 1 ? "it" : "them");
	if (last == rows->count)
		return;
	const struct ma_catalogue_row *before = one_before(rows, last);
	fprintf(cli->out, "next  memattach report %s", rows->v[last].id);
	if (before)
		fprintf(cli->out, " | memattach diff %s %s", before->id, rows->v[last].id);
	fprintf(cli->out, " | memattach rm %s\n", rows->v[0].id);
}

static struct ma_error *print_text(const struct ma_cli *cli, const struct ma_catalogue_rows *rows)
{
	if (!rows->count) {
		fprintf(cli->out, "no snapshots%s; memattach PID takes one\n",
			cli->pid || cli->name ? " of that process" : "");
		return NULL;
	}
	fprintf(cli->out, "%-4s  %-19s %7s %9s %11s %9s  %s\n", "ID", "TAKEN", "PID", "RESIDENT", "OBJECTS", "FILE",
		"PROCESS");
	for (size_t i = 0; i < rows->count; i++)
		MA_TRY(print_row(cli, &rows->v[i]));
	print_next(cli, rows);
	return NULL;
}

static void text_field(struct ma_buf *b, const char *name, const char *value)
{
	ma_buf_printf(b, ", \"%s\": ", name);
	ma_escape_json(b, value, strlen(value));
}

static void number_field(struct ma_buf *b, const char *name, uint64_t value)
{
	ma_buf_printf(b, ", \"%s\": %" PRIu64, name, value > INT64_MAX ? INT64_MAX : value);
}

static void json_row(struct ma_buf *b, const struct ma_catalogue_row *row)
{
	char time[MA_HUMAN_MAX], values[MA_HUMAN_MAX];
	const struct ma_snap_meta meta = { .values = row->values_mode, .values_limit = row->values_limit };
	ma_buf_str(b, "{\"id\": ");
	ma_escape_json(b, row->id, strlen(row->id));
	text_field(b, "path", row->path);
	text_field(b, "state", states[row->state]);
	text_field(b, "taken_at", ma_human_time(time, row->taken_ns));
	text_field(b, "host", row->host);
	number_field(b, "pid", row->pid);
	text_field(b, "started_at", ma_human_time(time, row->started_ns));
	text_field(b, "command", row->command);
	text_field(b, "python", row->python);
	number_field(b, "objects", row->objects);
	number_field(b, "bytes", row->bytes);
	number_field(b, "rss_bytes", row->rss_bytes);
	text_field(b, "values", ma_values_name(values, &meta));
	number_field(b, "file_bytes", row->file_bytes);
	if (row->tree)
		ma_buf_printf(b, ", \"tree\": \"%016" PRIx64 "\"", row->tree);
	else
		ma_buf_str(b, ", \"tree\": null");
	ma_buf_printf(b, ", \"complete\": %s}", row->complete ? "true" : "false");
}

static struct ma_error *print_json(const struct ma_cli *cli, const struct ma_catalogue_rows *rows)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(1 << 30);
	ma_buf_str(&b, "[");
	for (size_t i = 0; i < rows->count; i++) {
		ma_buf_str(&b, i ? ",\n " : "\n ");
		json_row(&b, &rows->v[i]);
	}
	ma_buf_str(&b, rows->count ? "\n]\n" : "]\n");
	MA_TRY(ma_buf_error(&b));
	fwrite(b.data, 1, b.len, cli->out);
	return NULL;
}

/* Drops the rows whose file is not there. */
static struct ma_error *prune(const struct ma_catalogue_filter *which)
{
	_cleanup_catalogue_ struct ma_catalogue *c = NULL;
	_cleanup_rows_ struct ma_catalogue_rows rows = { 0 };
	MA_TRY(ma_catalogue_open(&c));
	MA_TRY(ma_catalogue_list(c, which, &rows));
	MA_TRY(ma_moved_find(&rows));
	for (size_t i = 0; i < rows.count; i++)
		if (rows.v[i].state != MA_FILE_THERE)
			MA_TRY(ma_catalogue_forget(c, rows.v[i].id));
	return NULL;
}

struct ma_error *ma_cmd_ls(const struct ma_cli *cli)
{
	const struct ma_catalogue_filter which = { .pid = cli->pid, .name = cli->name };
	_cleanup_catalogue_ struct ma_catalogue *c = NULL;
	_cleanup_rows_ struct ma_catalogue_rows rows = { 0 };
	if (cli->prune)
		MA_TRY(prune(&which));
	MA_TRY(ma_catalogue_open_read(&c));
	MA_TRY(ma_catalogue_list(c, &which, &rows));
	MA_TRY(ma_moved_find(&rows));
	if (cli->json)
		return print_json(cli, &rows);
	return print_text(cli, &rows);
}
