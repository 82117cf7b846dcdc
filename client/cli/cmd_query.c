// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "cli.h"
#include "query.h"
#include "snapshot_arg.h"

struct ma_error *ma_cmd_query(const struct ma_cli *cli)
{
	_cleanup_snap_ struct ma_snap *s = NULL;
	_cleanup_resolved_ struct ma_resolved snap = { 0 };
	MA_TRY(ma_cli_snapshot(cli, cli->args[0], &snap));
	MA_TRY(ma_snap_open(snap.path, &s));
	ma_cli_say_incomplete(snap.path, s);
	return ma_query_run(cli->out, s, cli->args[1],
			    cli->json  ? MA_QUERY_JSON
			    : cli->csv ? MA_QUERY_CSV
				       : MA_QUERY_TABLE);
}
