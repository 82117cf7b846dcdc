// SPDX-License-Identifier: Apache-2.0
#include "targets.h"

#include "buffer.h"
#include "catalogue.h"
#include "cleanup.h"
#include "human.h"

#include <memattach/session.h>
#include <stdlib.h>
#include <string.h>

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

/* May it be one that we could attach to? One that may not be looked at may be: the attach then says why not. */
static struct ma_error *is_python(pid_t pid, bool *ret)
{
	struct ma_doctor d = { 0 };
	_cleanup_error_ struct ma_error *err = ma_session_doctor(pid, &d);
	*ret = !err && (d.supported || !d.may_attach);
	ma_doctor_deinit(&d);
	return err && err->code == MA_ERR_NO_MEMORY ? ma_take_ptr(err) : NULL;
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
		MA_TRY(is_python(row->pid, &python));
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

/* ------------------------------------------------------------------ --tree */

static struct ma_error *add_children(const struct ma_process_rows *all, struct ma_targets *t)
{
	_cleanup_targets_ struct ma_targets seen = {
		0
	}; /* those that are no Python, too: children may be below them */
	bool python;
	pid_t top = t->pids[0];
	if (!find(all, top))
		return ma_errorf(MA_ERR_TARGET_GONE, "pid %d: no such process", (int)top);
	t->count = 0;
	MA_TRY(add(&seen, top));
	for (size_t i = 0; i < seen.count; i++) {
		if (seen.pids[i] == getpid())
			continue;
		MA_TRY(is_python(seen.pids[i], &python));
		if (python)
			MA_TRY(add(t, seen.pids[i]));
		for (size_t k = 0; k < all->count; k++)
			if (all->v[k].ppid == seen.pids[i])
				MA_TRY(add(&seen, all->v[k].pid));
	}
	if (!t->count)
		return ma_errorf(MA_ERR_UNSUPPORTED, "pid %d: neither it nor a process below it is a supported Python",
				 (int)top);
	return NULL;
}

struct ma_error *ma_targets_find(const struct ma_cli *cli, struct ma_targets *ret)
{
	_cleanup_targets_ struct ma_targets t = { 0 };
	_cleanup_processes_ struct ma_process_rows all = { 0 };
	if (!cli->args_count == !cli->name)
		return ma_errorf(MA_ERR_USAGE, "which process? say its PID or --name PATTERN");
	if (cli->tree && cli->args_count > 1)
		return ma_errorf(MA_ERR_USAGE, "--tree takes one process and those below it");
	for (int i = 0; i < cli->args_count; i++) {
		pid_t pid;
		MA_TRY(ma_cli_parse_pid(cli->args[i], &pid));
		MA_TRY(add(&t, pid));
	}
	if (cli->name || cli->tree)
		MA_TRY(ma_session_processes(&all));
	if (cli->name)
		MA_TRY(find_name(cli, &all, &t));
	if (cli->tree)
		MA_TRY(add_children(&all, &t));
	*ret = t;
	t = (struct ma_targets){ 0 };
	return NULL;
}
