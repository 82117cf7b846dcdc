// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "cli.h"
#include "round.h"
#include "series.h"
#include "show.h"

struct ma_error *ma_cmd_target(const struct ma_cli *cli)
{
	_cleanup_targets_ struct ma_targets targets = { 0 };
	_cleanup_taking_ struct ma_taking taking = { 0 };
	_cleanup_taken_ struct ma_taken t = { 0 };
	MA_TRY(ma_targets_find(cli, &targets));
	MA_TRY(ma_take_listed(cli, &taking, targets.pids[0], NULL, 0, &t));
	/* who chose a name for it goes on with that name */
	return ma_show_report(cli, t.path, cli->output ? "" : t.row.id, t.result.total_ns);
}

struct ma_error *ma_cmd_snap(const struct ma_cli *cli)
{
	_cleanup_targets_ struct ma_targets targets = { 0 };
	MA_TRY(ma_targets_find(cli, &targets));
	return ma_take_series(cli, &targets);
}
