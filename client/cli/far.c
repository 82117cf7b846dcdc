// SPDX-License-Identifier: Apache-2.0
#include "far.h"

#include "cleanup.h"
#include "far_link.h"

#include <string.h>

static struct ma_error *open_here(const char *text, struct ma_target *t)
{
	t->core = ma_cli_core(text);
	if (t->core)
		return asprintf(&t->label, "%s", text) < 0 ? &ma_enomem : NULL;
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

bool ma_target_is_far(const struct ma_target *t)
{
	return t->url.host != NULL;
}

static struct ma_error *name_host(const struct ma_target *t, struct ma_error *err)
{
	return err ? ma_error_prefix(err, "%s", t->url.host) : NULL;
}

struct ma_error *ma_target_link(const struct ma_cli *cli, struct ma_target *t)
{
	if (t->far)
		return NULL;
	t->far = calloc(1, sizeof(*t->far));
	if (!t->far)
		return &ma_enomem;
	struct ma_error *err = open_link(cli, &t->url, t->far);
	if (err)
		ma_target_unlink(t);
	return name_host(t, err);
}

void ma_target_unlink(struct ma_target *t)
{
	if (!t->far)
		return;
	if (t->far->greeted)
		ma_remote_deinit(&t->far->remote);
	if (t->far->close)
		t->far->close(t->far->link);
	free(ma_take_ptr(t->far));
}

static struct ma_error *list_far(const struct ma_target *t, bool tree, pid_t **ret, size_t *count_ret)
{
	struct ma_family family = { 0, t->url.cgroup };
	pid_t pid = t->url.pid;
	if (t->url.cgroup && tree)
		return ma_errorf(MA_ERR_USAGE, "a control group has no --tree: all of its processes are meant");
	if (t->url.name)
		MA_TRY(ma_remote_find(&t->far->remote, t->url.name, tree, &pid));
	if (tree)
		family.tree = pid;
	if (tree || t->url.cgroup)
		return ma_remote_family(&t->far->remote, &family, ret, count_ret);
	*ret = malloc(sizeof(**ret));
	if (!*ret)
		return &ma_enomem;
	**ret = pid;
	*count_ret = 1;
	return NULL;
}

struct ma_error *ma_target_list(const struct ma_cli *cli, struct ma_target *t, bool tree, pid_t **ret,
				size_t *count_ret)
{
	MA_TRY(ma_target_link(cli, t));
	struct ma_error *err = list_far(t, tree || t->url.tree, ret, count_ret);
	if (err)
		ma_target_unlink(t);
	return name_host(t, err);
}

static struct ma_error *open_far(const struct ma_cli *cli, const char *text, struct ma_target *t)
{
	_cleanup_free_ pid_t *pids = NULL;
	size_t count;
	MA_TRY(ma_remote_url_parse(text, &t->url));
	if (t->url.tree || t->url.cgroup)
		return ma_errorf(MA_ERR_USAGE, "target '%s': of one process only", text);
	MA_TRY(ma_target_list(cli, t, false, &pids, &count));
	t->pid = pids[0];
	return asprintf(&t->label, "%s: pid %d", t->url.host, (int)t->pid) < 0 ? &ma_enomem : NULL;
}

struct ma_error *ma_target_open(const struct ma_cli *cli, const char *text, struct ma_target *ret)
{
	struct ma_target t = { 0 };
	struct ma_error *err = ma_remote_url_is(text) ? open_far(cli, text, &t) : open_here(text, &t);
	if (err) {
		ma_target_close(&t);
		return err;
	}
	*ret = t;
	return NULL;
}

/* *again_ret: the link had broken before. */
static struct ma_error *snapshot_far(const struct ma_cli *cli, struct ma_target *t,
				     const struct ma_session_options *options, struct ma_session_result *ret,
				     bool *again_ret)
{
	const bool held = t->far;
	MA_TRY(ma_target_link(cli, t));
	const struct ma_remote_link link = { cli->limit_rate, cli->resume, (uint32_t)cli->linger_s };
	struct ma_error *err = ma_remote_snapshot(&t->far->remote, options, &link, ret);
	if (err && err->code == MA_ERR_OS && t->far->explain)
		err = t->far->explain(t->far->link, err);
	*again_ret = err && err->code == MA_ERR_OS && held && t->far->remote.broken && !t->far->remote.heard;
	if (t->far->remote.broken)
		ma_target_unlink(t);
	return err;
}

struct ma_error *ma_target_snapshot(const struct ma_cli *cli, struct ma_target *t,
				    const struct ma_session_options *options, struct ma_session_result *ret)
{
	bool again = false;
	if (!ma_target_is_far(t))
		return ma_session_snapshot(options, ret);
	struct ma_error *err = snapshot_far(cli, t, options, ret, &again);
	if (!again)
		return err;
	ma_error_free(err);
	return snapshot_far(cli, t, options, ret, &again);
}

struct ma_error *ma_target_doctor(struct ma_target *t, struct ma_doctor *ret)
{
	return t->far ? ma_remote_doctor(&t->far->remote, t->pid, ret) : ma_session_doctor(t->pid, ret);
}

void ma_target_close(struct ma_target *t)
{
	ma_target_unlink(t);
	ma_remote_url_deinit(&t->url);
	free(t->label);
	*t = (struct ma_target){ 0 };
}
