// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "cli.h"
#include "show.h"
#include "snapshot_arg.h"

struct ma_error *ma_cmd_report(const struct ma_cli *cli)
{
	_cleanup_resolved_ struct ma_resolved snap = { 0 };
	MA_TRY(ma_cli_snapshot(cli, cli->args[0], &snap));
	return ma_show_report(cli, snap.path, snap.id, 0);
}
