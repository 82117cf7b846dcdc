// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "cli.h"
#include "diff_report.h"
#include "show_html.h"
#include "snapshot_arg.h"
#include "spinner.h"

#include <fnmatch.h>
#include <string.h>

/* Is a growth point at `wanted`, or below it? With a * or ? it is a pattern for the whole path. */
static bool is_at(const char *path, const char *wanted)
{
	size_t n = strlen(wanted);
	if (strpbrk(wanted, "*?"))
		return !fnmatch(wanted, path, FNM_NOESCAPE);
	return !strncmp(path, wanted, n) && (!path[n] || path[n] == '.' || path[n] == '[');
}

static struct ma_error *check_path(const struct ma_cli *cli, const struct ma_diff *d)
{
	char b[MA_HUMAN_MAX];
	for (size_t i = 0; i < d->growths.count && d->growths.points[i].bytes > 0; i++) {
		const struct ma_growth *g = &d->growths.points[i];
		if (is_at(g->path, cli->fail_growth))
			return ma_errorf(MA_ERR_LIMIT, "%s grew by %s", g->path,
					 ma_human_bytes(b, (uint64_t)g->bytes, cli->bytes));
	}
	return NULL;
}

/* The limits that the user set: MA_ERR_LIMIT when one is passed. */
static struct ma_error *check_limits(const struct ma_cli *cli, const struct ma_diff *d)
{
	const struct {
		const char *what;
		uint64_t then, now;
	} sums[] = {
		{ "Python objects", d->old_bytes, d->new_bytes },
		{ "resident memory", d->old_rss, d->new_rss },
	};
	char b1[MA_HUMAN_MAX], b2[MA_HUMAN_MAX];
	for (size_t i = 0; cli->fail_over && i < sizeof(sums) / sizeof(sums[0]); i++)
		if (sums[i].now > sums[i].then && sums[i].now - sums[i].then > cli->fail_over)
			return ma_errorf(MA_ERR_LIMIT, "%s grew by %s, more than %s", sums[i].what,
					 ma_human_bytes(b1, sums[i].now - sums[i].then, cli->bytes),
					 ma_human_bytes(b2, cli->fail_over, cli->bytes));
	return cli->fail_growth ? check_path(cli, d) : NULL;
}

/* `new`: the snapshot that it ends at. */
static struct ma_error *print(const struct ma_cli *cli, const struct ma_diff *d, const struct ma_diff_names *names,
			      const struct ma_resolved *new)
{
	const struct ma_report_options opt = { .bytes = cli->bytes, .colour = cli->colour, .columns = cli->columns };
	if (cli->json)
		return ma_diff_json(cli->out, d, names);
	if (cli->html)
		return ma_show_html(cli, d->new_snap, new->path, new->id, d, names);
	return ma_diff_text(cli->out, d, names, &opt);
}

struct ma_error *ma_cmd_diff(const struct ma_cli *cli)
{
	_cleanup_resolved_ struct ma_resolved which_old = { 0 }, which_middle = { 0 }, which_new = { 0 };
	_cleanup_snap_ struct ma_snap *old = NULL, *middle = NULL, *new = NULL;
	struct ma_diff d;
	MA_TRY(ma_cli_snapshot(cli, cli->args[0], &which_old));
	MA_TRY(ma_cli_snapshot(cli, cli->args[cli->args_count - 1], &which_new));
	if (cli->args_count > 2) {
		MA_TRY(ma_cli_snapshot(cli, cli->args[1], &which_middle));
		MA_TRY(ma_snap_open(which_middle.path, &middle));
	}
	MA_TRY(ma_snap_open(which_old.path, &old));
	MA_TRY(ma_snap_open(which_new.path, &new));
	const struct ma_diff_names names = { which_old.path, which_middle.path, which_new.path };
	ma_spinner_start("comparing the snapshots");
	struct ma_error *err = ma_diff_create(old, middle, new, &d);
	ma_spinner_stop();
	if (err)
		return err;
	err = print(cli, &d, &names, &which_new);
	if (!err)
		err = check_limits(cli, &d);
	ma_diff_deinit(&d);
	return err;
}
