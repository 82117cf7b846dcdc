// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "cli.h"
#include "snapshot_arg.h"
#include "spinner.h"

#include <inttypes.h>
#include <memattach/snapshot.h>

struct ma_error *ma_cmd_check(const struct ma_cli *cli)
{
	uint64_t objects, edges;
	_cleanup_resolved_ struct ma_resolved snap = { 0 };
	MA_TRY(ma_cli_snapshot(cli, cli->args[0], &snap));
	ma_spinner_start("checking");
	struct ma_error *err = ma_snap_check(snap.path, &objects, &edges);
	ma_spinner_stop();
	if (err)
		return err;
	fprintf(cli->out, "whole: %" PRIu64 " objects, %" PRIu64 " edges\n", objects, edges);
	return NULL;
}
