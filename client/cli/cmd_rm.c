// SPDX-License-Identifier: Apache-2.0
#include "catalogue.h"
#include "cleanup.h"
#include "cli.h"
#include "human.h"
#include "listing.h"
#include "snapshot_arg.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct removed {
	uint64_t count, bytes;
};

static struct ma_error *remove_id(struct ma_catalogue *c, const char *id, struct removed *sum)
{
	_cleanup_rows_ struct ma_catalogue_rows rows = { 0 };
	MA_TRY(ma_catalogue_list(c, &(struct ma_catalogue_filter){ .id = id }, &rows));
	if (!rows.count)
		return ma_errorf(MA_ERR_OS, "'%s' is not the id of a snapshot (memattach ls)", id);
	MA_TRY(ma_catalogue_remove(c, &rows.v[0]));
	sum->count++;
	if (rows.v[0].state == MA_FILE_THERE)
		sum->bytes += rows.v[0].file_bytes;
	return NULL;
}

/* All ids are tried; the first error is the command's, the others are said. */
static struct ma_error *remove_ids(const struct ma_cli *cli, struct ma_catalogue *c, struct removed *sum)
{
	struct ma_error *first = NULL;
	for (int i = 0; i < cli->args_count; i++) {
		struct ma_error *err = remove_id(c, cli->args[i], sum);
		if (err && first) {
			ma_cli_say(err->message);
			ma_error_free(err);
		} else if (err) {
			first = err;
		}
	}
	return first;
}

/* Each process once, at its newest row. */
static struct ma_error *keep_newest(const struct ma_cli *cli, struct ma_catalogue *c, struct removed *sum)
{
	const struct ma_catalogue_filter which = { .pid = cli->pid, .name = cli->name };
	_cleanup_rows_ struct ma_catalogue_rows rows = { 0 };
	MA_TRY(ma_catalogue_list(c, &which, &rows));
	for (size_t i = 0; i < rows.count; i++) {
		bool newest = true;
		for (size_t k = i + 1; newest && k < rows.count; k++)
			newest = !ma_catalogue_same_process(&rows.v[i], &rows.v[k]);
		if (newest)
			MA_TRY(ma_listing_keep(c, &rows, i, cli->keep, &sum->count, &sum->bytes));
	}
	return NULL;
}

struct ma_error *ma_cmd_rm(const struct ma_cli *cli)
{
	_cleanup_catalogue_ struct ma_catalogue *c = NULL;
	struct removed sum = { 0 };
	char bytes[MA_HUMAN_MAX];
	bool keep = cli->keep != MA_KEEP_ALL;
	if (keep == (cli->args_count > 0))
		return ma_errorf(MA_ERR_USAGE, "which? usage: memattach rm ID... or memattach rm --keep N [--pid PID]");
	if (!keep && (cli->pid || cli->name))
		return ma_errorf(MA_ERR_USAGE, "--pid and --name go with --keep: memattach rm --keep 0 --pid PID");
	MA_TRY(ma_catalogue_open(&c));
	struct ma_error *err = keep ? keep_newest(cli, c, &sum) : remove_ids(cli, c, &sum);
	if (sum.count || !err)
		fprintf(cli->out, "removed %" PRIu64 " snapshot%s, %s\n", sum.count, sum.count == 1 ? "" : "s",
			ma_human_bytes(bytes, sum.bytes, false));
	return err;
}
