// SPDX-License-Identifier: Apache-2.0
#include "snapshot_arg.h"

#include "cleanup.h"
#include "escape.h"

#include <string.h>

#ifdef MA_HAVE_ATTACH
#include <memattach/session.h>
#endif

void ma_cli_say(const char *text)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(1 << 16);
	ma_escape_text(&b, text, strlen(text));
	fprintf(stderr, "memattach: %s\n", ma_buf_text(&b));
}

void ma_cli_say_incomplete(const char *path, const struct ma_snap *s)
{
	const struct ma_snap_tables *tab = ma_snap_tables(s);
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(1 << 16);
	if (tab->complete)
		return;
	ma_buf_printf(&b, "%s is incomplete: %s", path, tab->missing ? tab->missing : "the file is damaged");
	ma_cli_say(ma_buf_text(&b));
}

struct ma_error *ma_cli_snapshot(const struct ma_cli *cli, const char *word, struct ma_resolved *ret)
{
	const struct ma_catalogue_filter which = { .pid = cli->pid, .name = cli->name };
	MA_TRY(ma_resolve(word, &which, time(NULL), ret));
	if (ret->said)
		ma_cli_say(ret->said);
#ifdef MA_HAVE_ATTACH
	ma_session_limit_memory(); /* the file says how much is made of it, and may come from anywhere */
#endif
	return NULL;
}
