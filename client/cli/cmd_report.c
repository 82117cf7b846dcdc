// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "cli.h"
#include "show.h"

struct ma_error *ma_cmd_report(const struct ma_cli *cli)
{
	return ma_show_report(cli, cli->args[0], 0);
}
