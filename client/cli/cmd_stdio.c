// SPDX-License-Identifier: Apache-2.0
#include "cli.h"

#ifdef MA_HAVE_ATTACH
#include <memattach/session.h>
#include <unistd.h>

struct ma_error *ma_cmd_stdio(void)
{
	if (isatty(STDIN_FILENO) || isatty(STDOUT_FILENO))
		return ma_errorf(MA_ERR_USAGE,
				 "--stdio speaks a protocol to a program: it is what memattach ssh:// starts "
				 "on the far side");
	return ma_session_serve(STDIN_FILENO, STDOUT_FILENO, NULL);
}
#else
struct ma_error *ma_cmd_stdio(void)
{
	return ma_errorf(MA_ERR_UNSUPPORTED, "this build reads snapshots only: it can not attach to a process");
}
#endif
