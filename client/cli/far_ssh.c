// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "far_link.h"
#include "ssh.h"

static void far_close(void *link)
{
	ma_ssh_close(link);
}

static struct ma_error *far_explain(void *link, struct ma_error *err)
{
	return ma_ssh_explain(link, err);
}

/* What is installed there first; a memattach of the same version that speaks another protocol is not ours: then the
 * helper. */
static struct ma_error *start(struct ma_ssh *ssh, struct ma_far *f)
{
	bool copied = false;
	MA_TRY(ma_ssh_start(ssh, false, &copied));
	f->stream = ma_ssh_stream(ssh);
	struct ma_error *err = ma_remote_greet(&f->stream, &f->remote);
	if (err && err->code == MA_ERR_UNSUPPORTED && !copied) {
		ma_error_free(err);
		MA_TRY(ma_ssh_start(ssh, true, &copied));
		err = ma_remote_greet(&f->stream, &f->remote);
	}
	if (err)
		return ma_ssh_explain(ssh, err);
	f->greeted = true;
	return NULL;
}

struct ma_error *ma_far_open_ssh(const struct ma_cli *cli, const struct ma_remote_url *url, struct ma_far *f)
{
	const struct ma_ssh_options options = {
		.host = url->host,
		.user = url->user,
		.port = url->port,
		.identity = cli->identity,
		.known_hosts = cli->known_hosts,
		.config = cli->ssh_config,
		.sudo = cli->sudo,
	};
	struct ma_ssh *ssh = NULL;
	MA_TRY(ma_ssh_connect(&options, &ssh));
	f->link = ssh;
	f->close = far_close;
	f->explain = far_explain;
	return start(ssh, f);
}
