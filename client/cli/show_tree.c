// SPDX-License-Identifier: Apache-2.0
#include "show_tree.h"

#include "cleanup.h"
#include "process_tree.h"
#include "snapshot_arg.h"
#include "spinner.h"

#include <stdlib.h>
#include <string.h>

struct opened {
	struct ma_snap *snap;
};

static struct ma_error *open_all(const char *const *paths, struct opened *all, size_t count)
{
	ma_spinner_start("reading the snapshots");
	struct ma_error *err = NULL;
	for (size_t i = 0; !err && i < count; i++)
		err = ma_snap_open(paths[i], &all[i].snap);
	ma_spinner_stop();
	return err;
}

struct ma_error *ma_show_tree(const struct ma_cli *cli, const char *const *paths, const char *const *names,
			      size_t count)
{
	const struct ma_report_options opt = { .bytes = cli->bytes, .colour = cli->colour, .columns = cli->columns };
	_cleanup_free_ struct opened *all = calloc(count + 1, sizeof(*all));
	_cleanup_free_ struct ma_tree_member *members = calloc(count + 1, sizeof(*members));
	if (!count)
		return ma_errorf(MA_ERR_OS, "no snapshot of this tree is there any more");
	if (!all || !members)
		return &ma_enomem;
	struct ma_error *err = open_all(paths, all, count);
	for (size_t i = 0; !err && i < count; i++)
		members[i] = (struct ma_tree_member){ .name = names[i],
						      .path = paths[i],
						      .tab = ma_snap_tables(all[i].snap) };
	if (!err)
		err = cli->json ? ma_process_tree_json(cli->out, members, count)
				: ma_process_tree_text(cli->out, members, count, &opt);
	for (size_t i = 0; i < count; i++)
		ma_snap_close(all[i].snap);
	return err;
}

static struct ma_error *show_rows(const struct ma_cli *cli, const struct ma_catalogue_rows *rows)
{
	_cleanup_free_ const char **paths = calloc(rows->count + 1, sizeof(*paths)),
				  **names = calloc(rows->count + 1, sizeof(*names));
	size_t count = 0;
	if (!paths || !names)
		return &ma_enomem;
	for (size_t i = 0; i < rows->count; i++) {
		const struct ma_catalogue_row *row = &rows->v[i];
		if (row->state == MA_FILE_THERE) {
			paths[count] = row->path;
			names[count++] = row->id;
			continue;
		}
		_cleanup_free_ char *said = NULL;
		if (asprintf(&said, "snapshot %s of this tree is left out: %s is not there any more", row->id,
			     row->path) >= 0)
			ma_cli_say(said);
	}
	return ma_show_tree(cli, paths, names, count);
}

/* The number of the tree that the file belongs to; 0 = none. */
static struct ma_error *tree_of(struct ma_catalogue *c, const char *path, uint64_t *ret)
{
	_cleanup_rows_ struct ma_catalogue_rows rows = { 0 };
	_cleanup_free_ char *real = realpath(path, NULL);
	*ret = 0;
	MA_TRY(ma_catalogue_list(c, &(struct ma_catalogue_filter){ 0 }, &rows));
	for (size_t i = 0; real && i < rows.count; i++)
		if (rows.v[i].state == MA_FILE_THERE && !strcmp(rows.v[i].path, real))
			*ret = rows.v[i].tree;
	return NULL;
}

static struct ma_error *show_one(const struct ma_cli *cli)
{
	_cleanup_resolved_ struct ma_resolved snap = { 0 };
	_cleanup_catalogue_ struct ma_catalogue *c = NULL;
	_cleanup_rows_ struct ma_catalogue_rows rows = { 0 };
	uint64_t tree;
	MA_TRY(ma_cli_snapshot(cli, cli->args[0], &snap));
	MA_TRY(ma_catalogue_open_read(&c));
	MA_TRY(tree_of(c, snap.path, &tree));
	if (!tree)
		return ma_errorf(MA_ERR_USAGE,
				 "%s was not taken with --tree on this machine: name the snapshots of all processes",
				 cli->args[0]);
	MA_TRY(ma_catalogue_list(c, &(struct ma_catalogue_filter){ .tree = tree }, &rows));
	return show_rows(cli, &rows);
}

struct ma_error *ma_show_tree_of(const struct ma_cli *cli)
{
	size_t count = (size_t)cli->args_count;
	if (count == 1)
		return show_one(cli);
	_cleanup_free_ struct ma_resolved *snaps = calloc(count + 1, sizeof(*snaps));
	_cleanup_free_ const char **paths = calloc(count + 1, sizeof(*paths));
	if (!snaps || !paths)
		return &ma_enomem;
	struct ma_error *err = NULL;
	for (size_t i = 0; !err && i < count; i++) {
		err = ma_cli_snapshot(cli, cli->args[i], &snaps[i]);
		paths[i] = snaps[i].path;
	}
	if (!err)
		err = ma_show_tree(cli, paths, (const char *const *)cli->args, count);
	for (size_t i = 0; i < count; i++)
		ma_resolved_deinit(&snaps[i]);
	return err;
}
