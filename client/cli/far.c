// SPDX-License-Identifier: Apache-2.0
#include "far.h"

#include "cleanup.h"
#include "far_link.h"

#include <string.h>

static struct ma_error *open_here(const char *text, struct ma_target *t)
{
	MA_TRY(ma_cli_parse_pid(text, &t->pid));
	return asprintf(&t->label, "pid %d", (int)t->pid) < 0 ? &ma_enomem : NULL;
}

static struct ma_error *open_link(const struct ma_cli *cli, const struct ma_remote_url *url, struct ma_far *f)
{
	if (url->tls) {
#ifdef MA_HAVE_TLS
		return ma_far_open_tls(cli, url, f);
#else
		return ma_errorf(MA_ERR_UNSUPPORTED, "this build has no TLS (MA_TLS)");
#endif
	}
#ifdef MA_HAVE_SSH
	return ma_far_open_ssh(cli, url, f);
#else
	(void)cli;
	(void)f;
	return ma_errorf(MA_ERR_UNSUPPORTED, "this build has no SSH (MA_SSH)");
#endif
}

static struct ma_error *open_far(const struct ma_cli *cli, const struct ma_remote_url *url, struct ma_target *t)
{
	t->far = calloc(1, sizeof(*t->far));
	if (!t->far)
		return &ma_enomem;
	MA_TRY(open_link(cli, url, t->far));
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
	return err && err->code == MA_ERR_OS && t->far->explain ? t->far->explain(t->far->link, err) : err;
}

struct ma_error *ma_target_doctor(struct ma_target *t, struct ma_doctor *ret)
{
	return t->far ? ma_remote_doctor(&t->far->remote, t->pid, ret) : ma_session_doctor(t->pid, ret);
}
void ma_target_close(struct ma_target *t)
{
	if (t->far) {
		if (t->far->greeted)
			ma_remote_deinit(&t->far->remote);
		if (t->far->close)
			t->far->close(t->far->link);
		free(t->far);
	}
	free(t->label);
	*t = (struct ma_target){ 0 };
}
