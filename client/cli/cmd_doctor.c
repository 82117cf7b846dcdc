// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "cli.h"
#include "escape.h"
#include "far.h"
#include "human.h"

#include <inttypes.h>
#include <string.h>

#define LABEL_COLUMNS 24

/* "  label   text", the text untrusted and folded between words at the width of the terminal. */
static void row(const struct ma_cli *cli, const char *label, const char *text)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(1 << 16);
	ma_escape_text(&b, text, strlen(text));
	fprintf(cli->out, "  %-*s", LABEL_COLUMNS - 2, label);
	size_t room = cli->columns > LABEL_COLUMNS + 20 ? cli->columns - LABEL_COLUMNS : 56, column = 0;
	for (const char *p = ma_buf_text(&b); *p;) {
		size_t word = strcspn(p, " ");
		if (column && column + 1 + word > room) {
			fprintf(cli->out, "\n%*s", LABEL_COLUMNS, "");
			column = 0;
		}
		fprintf(cli->out, "%s%.*s", column ? " " : "", (int)word, p);
		column += word + (column > 0);
		p += word;
		p += strspn(p, " ");
	}
	fputc('\n', cli->out);
}

__attribute__((format(printf, 3, 4))) static void rowf(const struct ma_cli *cli, const char *label, const char *fmt,
						       ...)
{
	char text[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	row(cli, label, text);
}

/* Writes to the whole copied memory; the kernel copies a page at the first write after the fork. */
static void row_headroom(const struct ma_cli *cli, const struct ma_doctor *d)
{
	char most[MA_HUMAN_MAX], left[MA_HUMAN_MAX];
	ma_human_bytes(most, d->rss_anon, false);
	if (d->cgroup_limit)
		rowf(cli, "memory headroom", "copy-on-write may add up to %s; the cgroup has %s left", most,
		     ma_human_bytes(left, d->cgroup_limit - d->cgroup_usage, false));
	else
		rowf(cli, "memory headroom", "copy-on-write may add up to %s; its cgroup has no limit", most);
}

static void print_text(const struct ma_cli *cli, const struct ma_doctor *d)
{
	char took[MA_HUMAN_MAX], small[MA_HUMAN_MAX], huge[MA_HUMAN_MAX], who[64];
	_cleanup_buf_ struct ma_buf head = MA_BUF_INIT(1 << 16);
	const char *what = d->build ? d->build : d->command;
	ma_escape_text(&head, what, strlen(what));
	who[0] = 0;
	if (d->pid_inside != d->pid)
		snprintf(who, sizeof(who), "   in a container (pid %d inside)", d->pid_inside);
	fprintf(cli->out, "pid %d   %s%s\n", d->pid, ma_buf_text(&head), who);
	if (d->build)
		row(cli, "command", d->command);
	rowf(cli, "may I attach?", "%s%s", d->may_attach ? "" : "no: ", d->may_attach_text);
	row(cli, "layouts", d->layouts);
	if (d->supported) {
		ma_human_bytes(small, d->small_page_bytes, false);
		ma_human_duration(took, d->estimate_ns);
		if (d->huge_page_bytes)
			rowf(cli, "expected stop", "about %s: %s in 4 KiB pages, %s in huge pages, %u thread%s", took,
			     small, ma_human_bytes(huge, d->huge_page_bytes, false), d->threads,
			     d->threads == 1 ? "" : "s");
		else
			rowf(cli, "expected stop", "about %s: %s in 4 KiB pages, %u thread%s", took, small, d->threads,
			     d->threads == 1 ? "" : "s");
		if (d->raw_bytes)
			rowf(cli, "raw data", "%s in large ranges without a Python object: about %s of the stop",
			     ma_human_bytes(small, d->raw_bytes, false), ma_human_duration(took, d->raw_saved_ns));
		row_headroom(cli, d);
		if (d->cpu_quota > 0)
			rowf(cli, "CPU quota", "%.2f cores; the copy is moved out of it where that is permitted",
			     d->cpu_quota);
	}
	if (d->left_kept_out)
		row(cli, "to be undone",
		    "a memattach that was killed left memory kept out of its children, which may crash: the next "
		    "snapshot, "
		    "of any process, gives it back");
	row(cli, "anything in the way", d->in_the_way);
	if (d->note)
		row(cli, "worth knowing", d->note);
	if (d->may_attach && d->supported && !d->obstacle)
		fprintf(cli->out, "next  memattach %s | memattach stacks %s\n", cli->args[0], cli->args[0]);
}

static void field(struct ma_buf *b, const char *name, const char *value)
{
	ma_buf_printf(b, ",\n  \"%s\": ", name);
	if (value)
		ma_escape_json(b, value, strlen(value));
	else
		ma_buf_str(b, "null");
}

static struct ma_error *print_json(const struct ma_cli *cli, const struct ma_doctor *d)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(1 << 20);
	ma_buf_printf(&b, "{\n  \"schema\": 1,\n  \"pid\": %d,\n  \"pid_inside\": %d", d->pid, d->pid_inside);
	field(&b, "command", d->command);
	field(&b, "python", d->python);
	field(&b, "build", d->build);
	ma_buf_printf(&b, ",\n  \"would_work\": %s", d->may_attach && d->supported && !d->obstacle ? "true" : "false");
	ma_buf_printf(&b, ",\n  \"may_attach\": %s", d->may_attach ? "true" : "false");
	field(&b, "may_attach_text", d->may_attach_text);
	ma_buf_printf(&b, ",\n  \"supported\": %s", d->supported ? "true" : "false");
	field(&b, "layouts", d->layouts);
	ma_buf_printf(&b, ",\n  \"obstacle\": %s", d->obstacle ? "true" : "false");
	field(&b, "in_the_way", d->in_the_way);
	field(&b, "note", d->note);
	ma_buf_printf(&b, ",\n  \"left_kept_out\": %s", d->left_kept_out ? "true" : "false");
	ma_buf_printf(&b, ",\n  \"estimate_ns\": %" PRIu64 ",\n  \"small_page_bytes\": %" PRIu64, d->estimate_ns,
		      d->small_page_bytes);
	ma_buf_printf(&b, ",\n  \"huge_page_bytes\": %" PRIu64 ",\n  \"rss_anon_bytes\": %" PRIu64, d->huge_page_bytes,
		      d->rss_anon);
	ma_buf_printf(&b, ",\n  \"raw_bytes\": %" PRIu64 ",\n  \"raw_saved_ns\": %" PRIu64, d->raw_bytes,
		      d->raw_saved_ns);
	ma_buf_printf(&b, ",\n  \"cgroup_limit_bytes\": %" PRIu64 ",\n  \"cgroup_usage_bytes\": %" PRIu64,
		      d->cgroup_limit, d->cgroup_usage);
	ma_buf_printf(&b, ",\n  \"cpu_quota_millicores\": %.0f,\n  \"threads\": %u\n}\n", d->cpu_quota * 1000,
		      d->threads);
	MA_TRY(ma_buf_error(&b));
	fwrite(b.data, 1, b.len, cli->out);
	return NULL;
}

/* The exit code of the attach that would fail, with its reason. */
static struct ma_error *verdict(const struct ma_doctor *d)
{
	if (!d->may_attach)
		return ma_errorf(MA_ERR_PERMISSION, "%s", d->may_attach_text);
	if (!d->supported)
		return ma_errorf(MA_ERR_UNSUPPORTED, "%s", d->layouts);
	if (d->obstacle)
		return ma_errorf(MA_ERR_UNSUPPORTED, "%s", d->in_the_way);
	return NULL;
}

struct ma_error *ma_cmd_doctor(const struct ma_cli *cli)
{
	_cleanup_target_ struct ma_target target = { 0 };
	struct ma_doctor d = { 0 };
	MA_TRY(ma_target_open(cli, cli->args[0], &target));
	if (target.core)
		return ma_errorf(MA_ERR_USAGE, "%s: a core file needs no doctor: nothing is attached to", target.label);
	struct ma_error *err = ma_target_doctor(&target, &d);
	if (!err) {
		if (cli->json)
			err = print_json(cli, &d);
		else
			print_text(cli, &d);
	}
	if (!err)
		err = verdict(&d);
	ma_doctor_deinit(&d);
	return err ? ma_error_prefix(err, "%s", target.label) : NULL;
}
