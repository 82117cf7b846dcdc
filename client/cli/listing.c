// SPDX-License-Identifier: Apache-2.0
#include "listing.h"

#include "cleanup.h"
#include "data_folder.h"
#include "snapshot_arg.h"

#include <stdlib.h>

struct ma_error *ma_listing_keep(struct ma_catalogue *c, const struct ma_catalogue_rows *rows, size_t of, uint64_t keep,
				 uint64_t *removed_ret, uint64_t *bytes_ret)
{
	uint64_t newer = 0;
	for (size_t i = rows->count; i-- > 0;) {
		const struct ma_catalogue_row *row = &rows->v[i];
		if (row->state != MA_FILE_THERE || !ma_catalogue_same_process(row, &rows->v[of]) || newer++ < keep)
			continue;
		MA_TRY(ma_catalogue_remove(c, row));
		++*removed_ret;
		*bytes_ret += row->file_bytes;
	}
	return NULL;
}

static struct ma_error *keep_newest(const struct ma_cli *cli, struct ma_catalogue *c, const struct ma_catalogue_row *of)
{
	_cleanup_rows_ struct ma_catalogue_rows rows = { 0 };
	uint64_t removed = 0, bytes = 0;
	MA_TRY(ma_catalogue_list(c, &(struct ma_catalogue_filter){ .pid = of->pid }, &rows));
	for (size_t i = 0; i < rows.count; i++)
		if (ma_catalogue_same_process(&rows.v[i], of))
			return ma_listing_keep(c, &rows, i, cli->keep, &removed, &bytes);
	return NULL;
}

void ma_list_snapshot(const struct ma_cli *cli, const char *path, uint64_t tree, struct ma_catalogue_row *ret)
{
	_cleanup_catalogue_ struct ma_catalogue *c = NULL;
	_cleanup_free_ char *folder = NULL, *text = NULL;
	*ret = (struct ma_catalogue_row){ 0 };
	_cleanup_error_ struct ma_error *err = ma_data_folder(&folder);
	if (err)
		return;
	err = ma_catalogue_open(&c);
	if (!err)
		err = ma_catalogue_add(c, path, tree, ret);
	const char *what = "the snapshot is not in the catalogue";
	if (!err && cli->keep != MA_KEEP_ALL) {
		what = "older snapshots are still there";
		err = keep_newest(cli, c, ret);
	}
	if (err && asprintf(&text, "%s: %s", what, err->message) >= 0)
		ma_cli_say(text);
}
