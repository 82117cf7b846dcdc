// SPDX-License-Identifier: Apache-2.0
#include "targets.h"

#include "buffer.h"
#include "catalogue.h"
#include "cleanup.h"
#include "human.h"

#include <memattach/session.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LISTED_MAX 8      /* processes in the message of a name that means several, */
#define LISTED_COLUMNS 40 /* and how much of each command line */

#define _cleanup_processes_ __attribute__((__cleanup__(ma_session_processes_free)))

void ma_targets_deinit(struct ma_targets *t)
{
	free(t->pids);
	*t = (struct ma_targets){ 0 };
}

static struct ma_error *add(struct ma_targets *t, pid_t pid)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->pids[i] == pid)
			return NULL;
	pid_t *pids = reallocarray(t->pids, t->count + 1, sizeof(*pids));
	if (!pids)
		return &ma_enomem;
	t->pids = pids;
	pids[t->count++] = pid;
	return NULL;
}

static const struct ma_process_row *find(const struct ma_process_rows *all, pid_t pid)
{
	for (size_t i = 0; i < all->count; i++)
		if (all->v[i].pid == pid)
			return &all->v[i];
	return NULL;
}

/* Is `pid` the process `top` or below it? */
static bool below(const struct ma_process_rows *all, pid_t pid, pid_t top)
{
	/* a list that was read while processes came and went might hold a ring */
	for (size_t steps = 0; pid > 0 && steps <= all->count; steps++) {
		if (pid == top)
			return true;
		const struct ma_process_row *row = find(all, pid);
		pid = row ? row->ppid : 0;
	}
	return false;
}

/* ------------------------------------------------------------------ --name */

static struct ma_error *several(const struct ma_process_rows *all, const struct ma_targets *t, const char *name)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(1 << 16);
	pid_t top = 0;
	for (size_t i = 0; i < t->count; i++) {
		bool over = true;
		const struct ma_process_row *row = find(all, t->pids[i]);
		for (size_t k = 0; k < t->count; k++)
			over = over && below(all, t->pids[k], t->pids[i]);
		top = over ? t->pids[i] : top;
		if (i < LISTED_MAX && row)
			ma_buf_printf(&b, "%s%d (%.*s)", i ? ", " : "", (int)row->pid, LISTED_COLUMNS,
				      ma_human_program(row->command));
	}
	if (t->count > LISTED_MAX)
		ma_buf_printf(&b, " and %zu more", t->count - LISTED_MAX);
	if (top)
		ma_buf_printf(&b, "; all together: --tree %d", (int)top);
	return ma_errorf(MA_ERR_USAGE, "%zu Python processes match '%s': %s", t->count, name, ma_buf_text(&b));
}

static struct ma_error *find_name(const struct ma_cli *cli, const struct ma_process_rows *all, struct ma_targets *t)
{
	for (size_t i = 0; i < all->count; i++) {
		const struct ma_process_row *row = &all->v[i];
		bool python;
		/* sudo, sh -c and the like have the pattern in their own command lines */
		if (!ma_catalogue_name_matches(cli->name, row->command) || below(all, getpid(), row->pid))
			continue;
		MA_TRY(ma_session_is_python(row->pid, &python));
		if (python)
			MA_TRY(add(t, row->pid));
	}
	if (!t->count)
		return ma_errorf(MA_ERR_TARGET_GONE, "no Python process has '%s' in its command line", cli->name);
	if (t->count == 1)
		return NULL;
	/* with --tree: the one that the others are below */
	for (size_t i = 0; cli->tree && i < t->count; i++) {
		bool over = true;
		for (size_t k = 0; k < t->count; k++)
			over = over && below(all, t->pids[k], t->pids[i]);
		if (over) {
			t->pids[0] = t->pids[i];
			t->count = 1;
			return NULL;
		}
	}
	return several(all, t, cli->name);
}

/* ------------------------------------------------------------------ all */

static struct ma_error *find_family(const struct ma_cli *cli, struct ma_targets *t)
{
	const struct ma_family family = { cli->cgroup ? 0 : t->pids[0], cli->cgroup };
	free(ma_take_ptr(t->pids));
	t->count = 0;
	return ma_session_family(&family, &t->pids, &t->count);
}

static struct ma_error *find_here(const struct ma_cli *cli, struct ma_targets *t)
{
	_cleanup_processes_ struct ma_process_rows all = { 0 };
	for (int i = 0; i < cli->args_count; i++) {
		pid_t pid;
		MA_TRY(ma_cli_parse_pid(cli->args[i], &pid));
		MA_TRY(add(t, pid));
	}
	if (cli->name) {
		MA_TRY(ma_session_processes(&all));
		MA_TRY(find_name(cli, &all, t));
	}
	return cli->tree || cli->cgroup ? find_family(cli, t) : NULL;
}

static struct ma_error *check_resume(const struct ma_cli *cli, bool far)
{
	_cleanup_free_ char *note = NULL;
	if (!far)
		return ma_errorf(MA_ERR_USAGE, "--resume and --linger go with ssh:// and tls://");
	if (!cli->resume || !cli->output || cli->every_s || cli->tree)
		return ma_errorf(MA_ERR_USAGE, "%s goes with one process and -o FILE%s",
				 cli->resume ? "--resume" : "--linger", cli->resume ? "" : " --resume");
	if (!strncmp(cli->args[0], "tls://", 6))
		return cli->linger_s ? ma_errorf(MA_ERR_USAGE,
						 "--linger goes with ssh://: memattachd has a --keep of its own")
				     : NULL;
	if (asprintf(&note, "%s.part.resume", cli->output) < 0) {
		note = NULL;
		return &ma_enomem;
	}
	if (!cli->linger_s && access(note, F_OK))
		return ma_errorf(
			MA_ERR_USAGE,
			"--resume over ssh:// begins with --linger TIME: for so long the far side may keep what "
			"a cut link leaves, else nothing of ours stays there");
	return NULL;
}

/* A core file is no process: what chooses or paces processes does not go with it. */
static struct ma_error *find_core(const struct ma_cli *cli, const char *path, struct ma_target *target,
				  struct ma_targets *t)
{
	if (cli->args_count > 1 || cli->name || cli->cgroup || cli->tree || cli->every_s || cli->max_pause_ns ||
	    cli->resume)
		return ma_errorf(MA_ERR_USAGE,
				 "a core file stands alone, and has no --tree, --every, --max-pause or --resume");
	target->core = path;
	return add(t, 0);
}

static struct ma_error *check(const struct ma_cli *cli, bool *far_ret)
{
	bool far = false;
	for (int i = 0; i < cli->args_count; i++)
		far = far || ma_remote_url_is(cli->args[i]);
	*far_ret = far;
	if ((cli->args_count > 0) + !!cli->name + !!cli->cgroup != 1)
		return far ? ma_errorf(MA_ERR_USAGE,
				       "with ssh:// and tls:// it is .../name:PATTERN and .../cgroup:PATH")
			   : ma_errorf(MA_ERR_USAGE, "which process? say its PID, --name PATTERN or --cgroup PATH");
	if (cli->resume || cli->linger_s)
		MA_TRY(check_resume(cli, far));
	if (far && cli->args_count > 1)
		return ma_errorf(MA_ERR_USAGE, "of another machine there can be one target only");
	if (cli->tree && cli->cgroup)
		return ma_errorf(MA_ERR_USAGE, "a control group has no --tree: all of its processes are meant");
	if (cli->tree && cli->args_count > 1)
		return ma_errorf(MA_ERR_USAGE, "--tree takes one process and those below it");
	return NULL;
}

struct ma_error *ma_targets_find(const struct ma_cli *cli, struct ma_target *far, struct ma_targets *ret)
{
	_cleanup_targets_ struct ma_targets t = { 0 };
	bool is_far;
	const char *core = cli->args_count ? ma_cli_core(cli->args[0]) : NULL;
	if (core) {
		MA_TRY(find_core(cli, core, far, &t));
		*ret = t;
		t = (struct ma_targets){ 0 };
		return NULL;
	}
	if (cli->exe)
		return ma_errorf(MA_ERR_USAGE, "--exe goes with core:FILE");
	MA_TRY(check(cli, &is_far));
	if (is_far && !ma_target_is_far(far))
		MA_TRY(ma_remote_url_parse(cli->args[0], &far->url));
	t.headed = cli->tree || far->url.tree;
	t.together = t.headed || cli->cgroup || far->url.cgroup;
	if (t.together && cli->resume)
		return ma_errorf(MA_ERR_USAGE, "--resume goes with one process and -o FILE");
	MA_TRY(is_far ? ma_target_list(cli, far, cli->tree, &t.pids, &t.count) : find_here(cli, &t));
	*ret = t;
	t = (struct ma_targets){ 0 };
	return NULL;
}
