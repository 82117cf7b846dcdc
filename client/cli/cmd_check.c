// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "cli.h"

#include <inttypes.h>
#include <memattach/snapshot.h>

struct ma_error *ma_cmd_check(const struct ma_cli *cli)
{
	uint64_t objects, edges;
	MA_TRY(ma_snap_check(cli->args[0], &objects, &edges));
	fprintf(cli->out, "whole: %" PRIu64 " objects, %" PRIu64 " edges\n", objects, edges);
	return NULL;
}
