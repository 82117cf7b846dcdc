// SPDX-License-Identifier: Apache-2.0
/* far_link.h - what leads to another machine: far_ssh.c or far_tls.c opens it, far.c uses it. */
#ifndef MA_FAR_LINK_H
#define MA_FAR_LINK_H

#include "far.h"

struct ma_far {
	void *link;
	void (*close)(void *link);
	/* Adds to an error what the link knows about it; may be NULL. */
	struct ma_error *(*explain)(void *link, struct ma_error *err);
	struct ma_stream stream;
	struct ma_remote remote;
	bool greeted;
};

/* Connect, check who is there, and greet. `f` is closed by ma_target_unlink() also after an error. */
MA_CHECK struct ma_error *ma_far_open_ssh(const struct ma_cli *cli, const struct ma_remote_url *url, struct ma_far *f);
MA_CHECK struct ma_error *ma_far_open_tls(const struct ma_cli *cli, const struct ma_remote_url *url, struct ma_far *f);

#endif
