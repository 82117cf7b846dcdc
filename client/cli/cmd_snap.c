// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "cli.h"
#include "escape.h"
#include "human.h"
#include "listing.h"
#include "show.h"
#include "snapshot_path.h"
#include "taking.h"

#include <string.h>

static struct ma_error *take(const struct ma_cli *cli, char **path_ret, struct ma_session_result *ret)
{
	pid_t pid;
	_cleanup_free_ char *path = NULL;
	MA_TRY(ma_cli_parse_pid(cli->args[0], &pid));
	if (!cli->output) {
		MA_TRY(ma_snapshot_path_default(pid, &path));
	} else {
		path = strdup(cli->output);
		if (!path)
			return &ma_enomem;
	}
	MA_TRY(ma_take_snapshot(cli, pid, path, false, ret));
	*path_ret = ma_take_ptr(path);
	return NULL;
}

struct ma_error *ma_cmd_target(const struct ma_cli *cli)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_row_ struct ma_catalogue_row row = { 0 };
	struct ma_session_result result;
	MA_TRY(take(cli, &path, &result));
	ma_list_snapshot(cli, path, 0, &row);
	/* who chose a name for it goes on with that name */
	return ma_show_report(cli, path, cli->output ? "" : row.id, result.total_ns);
}

struct ma_error *ma_cmd_snap(const struct ma_cli *cli)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_buf_ struct ma_buf shown = MA_BUF_INIT(1 << 16);
	_cleanup_row_ struct ma_catalogue_row row = { 0 };
	struct ma_session_result result;
	char size[MA_HUMAN_MAX], total[MA_HUMAN_MAX], pause[MA_HUMAN_MAX];
	MA_TRY(take(cli, &path, &result));
	ma_list_snapshot(cli, path, 0, &row);
	ma_escape_text(&shown, path, strlen(path));
	fprintf(cli->out, "%s   %s   %s   stopped %s%s%s\n", ma_buf_text(&shown),
		ma_human_bytes(size, result.file_bytes, false), ma_human_duration(total, result.total_ns),
		ma_human_duration(pause, result.attach.pause_ns), row.id[0] ? "   " : "", row.id);
	return NULL;
}
