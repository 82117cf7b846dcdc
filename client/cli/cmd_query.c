// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "cli.h"
#include "query.h"

struct ma_error *ma_cmd_query(const struct ma_cli *cli)
{
	_cleanup_snap_ struct ma_snap *s = NULL;
	MA_TRY(ma_snap_open(cli->args[0], &s));
	return ma_query_run(cli->out, s, cli->args[1],
			    cli->json  ? MA_QUERY_JSON
			    : cli->csv ? MA_QUERY_CSV
				       : MA_QUERY_TABLE);
}
