// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "cli.h"
#include "report.h"
#include "taking.h"

#include <errno.h>
#include <sys/mman.h>

struct ma_error *ma_cmd_stacks(const struct ma_cli *cli)
{
	char path[32];
	_cleanup_snap_ struct ma_snap *s = NULL;
	_cleanup_taking_ struct ma_taking taking = { .threads_only = true };
	struct ma_session_result result;
	MA_TRY(ma_target_open(cli, cli->args[0], &taking.target));
	/* without a name: nothing stays, however the command ends */
	_cleanup_close_ int fd = memfd_create("memattach-stacks", MFD_CLOEXEC);
	if (fd < 0)
		return ma_error_os(errno, "cannot make a file in memory");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	MA_TRY(ma_take_snapshot(cli, &taking, taking.target.pid, path, &result));
	MA_TRY(ma_snap_open(path, &s));
	const struct ma_report_options opt = { .path = path, .colour = cli->colour, .columns = cli->columns };
	return cli->json ? ma_stacks_json(cli->out, s) : ma_stacks_text(cli->out, s, &opt);
}
