// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "cli.h"
#include "snapshot_arg.h"
#include "spinner.h"
#include "ways.h"

struct ma_error *ma_cmd_paths(const struct ma_cli *cli)
{
	_cleanup_snap_ struct ma_snap *s = NULL;
	_cleanup_resolved_ struct ma_resolved snap = { 0 };
	MA_TRY(ma_cli_snapshot(cli, cli->args[0], &snap));
	MA_TRY(ma_snap_open(snap.path, &s));
	const struct ma_report_options opt = { .path = snap.path, .bytes = cli->bytes, .columns = cli->columns };
	ma_spinner_start("reading the snapshot");
	struct ma_error *err = ma_report_ways(cli->out, s, cli->args[1], cli->json, &opt);
	ma_spinner_stop();
	return err;
}
