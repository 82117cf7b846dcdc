// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "cli.h"
#include "interrupt.h"
#include "round.h"
#include "series.h"
#include "show.h"
#include "show_tree.h"
#include "snapshot_arg.h"

/* A snapshot of each, as near together as it can be done one after the other: each copy costs the program memory and
 * the machine a CPU, and the shares of pages are known only while there is one. */
static struct ma_error *take_all(const struct ma_cli *cli, const struct ma_targets *targets, struct ma_taking *taking,
				 struct ma_taken *taken, size_t *count_ret)
{
	const char *folder;
	uint64_t tree;
	MA_TRY(ma_folder_for_many(cli, &folder));
	MA_TRY(ma_tree_number(&tree));
	for (size_t i = 0; i < targets->count; i++) {
		struct ma_error *err = ma_take_listed(cli, taking, targets->pids[i], folder, tree, &taken[*count_ret]);
		if (!err) {
			++*count_ret;
			continue;
		}
		/* children end, or may be forbidden; the first of a tree is the one that was asked for */
		bool last = i + 1 == targets->count && !*count_ret;
		if ((!i && targets->headed) || last || err->code == MA_ERR_CANCELLED)
			return err;
		ma_cli_say(err->message);
		ma_error_free(err);
	}
	return NULL;
}

static struct ma_error *show_all(const struct ma_cli *cli, const struct ma_taken *taken, size_t count)
{
	_cleanup_free_ const char **paths = calloc(count, sizeof(*paths)), **names = calloc(count, sizeof(*names));
	if (!paths || !names)
		return &ma_enomem;
	for (size_t i = 0; i < count; i++) {
		paths[i] = taken[i].path;
		names[i] = taken[i].row.id[0] ? taken[i].row.id : taken[i].path;
	}
	return ma_show_tree(cli, paths, names, count);
}

static struct ma_error *report_all(const struct ma_cli *cli, const struct ma_targets *targets, struct ma_taking *taking)
{
	size_t count = 0;
	_cleanup_free_ struct ma_taken *taken = calloc(targets->count, sizeof(*taken));
	if (!taken)
		return &ma_enomem;
	ma_interrupt_catch(false);
	struct ma_error *err = take_all(cli, targets, taking, taken, &count);
	ma_interrupt_release();
	if (!err)
		err = show_all(cli, taken, count);
	for (size_t i = 0; i < count; i++)
		ma_taken_deinit(&taken[i]);
	return err;
}

struct ma_error *ma_cmd_target(const struct ma_cli *cli)
{
	_cleanup_targets_ struct ma_targets targets = { 0 };
	_cleanup_taking_ struct ma_taking taking = { 0 };
	_cleanup_taken_ struct ma_taken t = { 0 };
	MA_TRY(ma_targets_find(cli, &taking.target, &targets));
	if (targets.together)
		return report_all(cli, &targets, &taking);
	MA_TRY(ma_take_listed(cli, &taking, targets.pids[0], NULL, 0, &t));
	/* who chose a name for it goes on with that name */
	return ma_show_report(cli, t.path, cli->output ? "" : t.row.id, t.result.total_ns);
}

struct ma_error *ma_cmd_snap(const struct ma_cli *cli)
{
	_cleanup_targets_ struct ma_targets targets = { 0 };
	_cleanup_taking_ struct ma_taking taking = { 0 };
	MA_TRY(ma_targets_find(cli, &taking.target, &targets));
	return ma_take_series(cli, &targets, &taking);
}
