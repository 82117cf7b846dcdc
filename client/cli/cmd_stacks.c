// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "cli.h"
#include "report.h"
#include "snapshot_path.h"
#include "taking.h"

struct ma_error *ma_cmd_stacks(const struct ma_cli *cli)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_snap_ struct ma_snap *s = NULL;
	_cleanup_taking_ struct ma_taking taking = { .threads_only = true };
	struct ma_session_result result;
	MA_TRY(ma_target_open(cli, cli->args[0], &taking.target));
	MA_TRY(ma_snapshot_path_temporary(&path));
	struct ma_error *err = ma_take_snapshot(cli, &taking, taking.target.pid, path, &result);
	if (!err)
		err = ma_snap_open(path, &s);
	ma_snapshot_path_discard(path);
	if (err)
		return err;
	const struct ma_report_options opt = { .path = path, .colour = cli->colour, .columns = cli->columns };
	return cli->json ? ma_stacks_json(cli->out, s) : ma_stacks_text(cli->out, s, &opt);
}
