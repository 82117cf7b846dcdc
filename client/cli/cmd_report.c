// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "cli.h"
#include "show.h"
#include "show_html.h"
#include "show_tree.h"
#include "snapshot_arg.h"

static struct ma_error *show_html(const struct ma_cli *cli, const struct ma_resolved *snap)
{
	_cleanup_snap_ struct ma_snap *s = NULL;
	MA_TRY(ma_snap_open(snap->path, &s));
	return ma_show_html(cli, s, snap->path, snap->id, NULL, NULL);
}

struct ma_error *ma_cmd_report(const struct ma_cli *cli)
{
	if (cli->tree)
		return ma_show_tree_of(cli);
	if (cli->args_count != 1)
		return ma_errorf(MA_ERR_USAGE, "usage: memattach report SNAP, or report --tree SNAP...");
	_cleanup_resolved_ struct ma_resolved snap = { 0 };
	MA_TRY(ma_cli_snapshot(cli, cli->args[0], &snap));
	if (cli->html)
		return show_html(cli, &snap);
	return ma_show_report(cli, snap.path, snap.id, 0);
}
