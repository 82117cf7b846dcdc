// SPDX-License-Identifier: Apache-2.0
#include "far.h"

#include "cleanup.h"
#include "remote.h"
#ifdef MA_HAVE_SSH
#include "ssh.h"
#endif

#include <string.h>

static struct ma_error *open_here(const char *text, struct ma_target *t)
{
	MA_TRY(ma_cli_parse_pid(text, &t->pid));
	return asprintf(&t->label, "pid %d", (int)t->pid) < 0 ? &ma_enomem : NULL;
}

#ifdef MA_HAVE_SSH
struct ma_far {
	struct ma_ssh *ssh;
	struct ma_stream stream;
	struct ma_remote remote;
	bool greeted;
};

static void far_close(struct ma_far *f)
{
	if (f->greeted)
		ma_remote_deinit(&f->remote);
	ma_ssh_close(f->ssh);
	free(f);
}

/* What is installed there first; a memattach of the same version that speaks another protocol is not ours: then the
 * helper. */
static struct ma_error *start(struct ma_far *f)
{
	bool copied = false;
	MA_TRY(ma_ssh_start(f->ssh, false, &copied));
	f->stream = ma_ssh_stream(f->ssh);
	struct ma_error *err = ma_remote_greet(&f->stream, &f->remote);
	if (err && err->code == MA_ERR_UNSUPPORTED && !copied) {
		ma_error_free(err);
		MA_TRY(ma_ssh_start(f->ssh, true, &copied));
		err = ma_remote_greet(&f->stream, &f->remote);
	}
	if (err)
		return ma_ssh_explain(f->ssh, err);
	f->greeted = true;
	return NULL;
}

static struct ma_error *open_far(const struct ma_cli *cli, const struct ma_remote_url *url, struct ma_target *t)
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
	t->far = calloc(1, sizeof(*t->far));
	if (!t->far)
		return &ma_enomem;
	MA_TRY(ma_ssh_connect(&options, &t->far->ssh));
	MA_TRY(start(t->far));
	t->pid = url->pid;
	return url->name ? ma_remote_find(&t->far->remote, url->name, &t->pid) : NULL;
}

struct ma_error *ma_target_open(const struct ma_cli *cli, const char *text, struct ma_target *ret)
{
	struct ma_target t = { 0 };
	struct ma_remote_url url = { 0 };
	if (!ma_remote_url_is(text)) {
		MA_TRY(open_here(text, &t));
		*ret = t;
		return NULL;
	}
	MA_TRY(ma_remote_url_parse(text, &url));
	struct ma_error *err = open_far(cli, &url, &t);
	if (err)
		err = ma_error_prefix(err, "%s", url.host);
	else if (asprintf(&t.label, "%s: pid %d", url.host, (int)t.pid) < 0)
		err = &ma_enomem;
	ma_remote_url_deinit(&url);
	if (err) {
		ma_target_close(&t);
		return err;
	}
	*ret = t;
	return NULL;
}

struct ma_error *ma_target_snapshot(const struct ma_cli *cli, struct ma_target *t,
				    const struct ma_session_options *options, struct ma_session_result *ret)
{
	if (!t->far)
		return ma_session_snapshot(options, ret);
	struct ma_error *err = ma_remote_snapshot(&t->far->remote, options, cli->limit_rate, ret);
	return err && err->code == MA_ERR_OS ? ma_ssh_explain(t->far->ssh, err) : err;
}

struct ma_error *ma_target_doctor(struct ma_target *t, struct ma_doctor *ret)
{
	return t->far ? ma_remote_doctor(&t->far->remote, t->pid, ret) : ma_session_doctor(t->pid, ret);
}
#else
static void far_close(struct ma_far *f)
{
	(void)f;
}

struct ma_error *ma_target_open(const struct ma_cli *cli, const char *text, struct ma_target *ret)
{
	struct ma_target t = { 0 };
	(void)cli;
	if (ma_remote_url_is(text))
		return ma_errorf(MA_ERR_UNSUPPORTED, "target '%s': this build has no SSH (MA_SSH)", text);
	MA_TRY(open_here(text, &t));
	*ret = t;
	return NULL;
}

struct ma_error *ma_target_snapshot(const struct ma_cli *cli, struct ma_target *t,
				    const struct ma_session_options *options, struct ma_session_result *ret)
{
	(void)cli;
	(void)t;
	return ma_session_snapshot(options, ret);
}

struct ma_error *ma_target_doctor(struct ma_target *t, struct ma_doctor *ret)
{
	return ma_session_doctor(t->pid, ret);
}
#endif

void ma_target_close(struct ma_target *t)
{
	if (t->far)
		far_close(t->far);
	free(t->label);
	*t = (struct ma_target){ 0 };
}
