// SPDX-License-Identifier: Apache-2.0
#include "round.h"

#include "cleanup.h"
#include "escape.h"
#include "human.h"
#include "listing.h"
#include "snapshot_path.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

void ma_taken_deinit(struct ma_taken *t)
{
	free(t->path);
	ma_catalogue_row_deinit(&t->row);
	*t = (struct ma_taken){ 0 };
}

static struct ma_error *choose_path(const struct ma_cli *cli, pid_t pid, const char *folder, char **ret)
{
	if (folder || !cli->output)
		return ma_snapshot_path_default(folder, pid, ret);
	*ret = strdup(cli->output);
	return *ret ? NULL : &ma_enomem;
}

struct ma_error *ma_take_listed(const struct ma_cli *cli, struct ma_taking *taking, pid_t pid, const char *folder,
				uint64_t tree, struct ma_taken *ret)
{
	_cleanup_free_ char *path = NULL;
	struct ma_session_result result;
	MA_TRY(choose_path(cli, pid, folder, &path));
	MA_TRY(ma_take_snapshot(cli, taking, pid, path, &result));
	ret->result = result;
	ma_list_snapshot(cli, path, tree, &ret->row);
	ret->path = ma_take_ptr(path);
	return NULL;
}

void ma_taken_print(const struct ma_cli *cli, const struct ma_taken *t)
{
	_cleanup_buf_ struct ma_buf shown = MA_BUF_INIT(1 << 16);
	char size[MA_HUMAN_MAX], total[MA_HUMAN_MAX], pause[MA_HUMAN_MAX];
	ma_escape_text(&shown, t->path, strlen(t->path));
	bool stopped = t->result.attach.pause_ns; /* a core file's process was not */
	fprintf(cli->out, "%s   %s   %s%s%s%s%s\n", ma_buf_text(&shown),
		ma_human_bytes(size, t->result.file_bytes, false), ma_human_duration(total, t->result.total_ns),
		stopped ? "   stopped " : "", stopped ? ma_human_duration(pause, t->result.attach.pause_ns) : "",
		t->row.id[0] ? "   " : "", t->row.id);
}

struct ma_error *ma_folder_for_many(const struct ma_cli *cli, const char **ret)
{
	struct stat st;
	if (cli->output && (stat(cli->output, &st) || !S_ISDIR(st.st_mode)))
		return ma_errorf(MA_ERR_USAGE, "-o wants a folder for more than one snapshot: %s is none", cli->output);
	*ret = cli->output;
	return NULL;
}

struct ma_error *ma_tree_number(uint64_t *ret)
{
	uint64_t n = 0;
	while (!n)
		if (getrandom(&n, sizeof(n), 0) != (ssize_t)sizeof(n))
			return ma_error_os(errno, "cannot make a number for the tree");
	*ret = n;
	return NULL;
}
