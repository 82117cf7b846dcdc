// SPDX-License-Identifier: Apache-2.0
#include "targets.h"

#include "cleanup.h"

#include <stdlib.h>

void ma_targets_deinit(struct ma_targets *t)
{
	free(t->pids);
	*t = (struct ma_targets){ 0 };
}

static struct ma_error *add(struct ma_targets *t, pid_t pid)
{
	pid_t *pids = reallocarray(t->pids, t->count + 1, sizeof(*pids));
	if (!pids)
		return &ma_enomem;
	t->pids = pids;
	for (size_t i = 0; i < t->count; i++)
		if (pids[i] == pid)
			return NULL;
	pids[t->count++] = pid;
	return NULL;
}

struct ma_error *ma_targets_find(const struct ma_cli *cli, struct ma_targets *ret)
{
	_cleanup_targets_ struct ma_targets t = { 0 };
	for (int i = 0; i < cli->args_count; i++) {
		pid_t pid;
		MA_TRY(ma_cli_parse_pid(cli->args[i], &pid));
		MA_TRY(add(&t, pid));
	}
	*ret = t;
	t = (struct ma_targets){ 0 };
	return NULL;
}
