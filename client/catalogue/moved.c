// SPDX-License-Identifier: Apache-2.0
#include "moved.h"

#include "cleanup.h"
#include "data_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILES_MAX 65536 /* looked at in one folder */

static bool is_lost(const struct ma_catalogue_row *row)
{
	return row->state != MA_FILE_THERE;
}

static bool is_same_snapshot(const struct ma_catalogue_row *a, const struct ma_catalogue_row *b)
{
	return a->taken_ns == b->taken_ns && a->file_bytes == b->file_bytes && ma_catalogue_same_process(a, b);
}

/* Is `path` the file of `row`? Then row->path and its state say so. */
static struct ma_error *try_file(const char *path, struct ma_catalogue_row *row, bool *found_ret)
{
	_cleanup_row_ struct ma_catalogue_row there = { 0 };
	_cleanup_error_ struct ma_error *err = ma_catalogue_read(path, &there);
	if (err) /* no snapshot, or none that may be read */
		return err->code == MA_ERR_NO_MEMORY ? ma_take_ptr(err) : NULL;
	if (!is_same_snapshot(&there, row))
		return NULL;
	free(row->path);
	row->path = ma_take_ptr(there.path);
	row->state = MA_FILE_THERE;
	*found_ret = true;
	return NULL;
}

static struct ma_error *look_in(const char *folder, struct ma_catalogue_rows *rows, bool *found)
{
	DIR *dir = opendir(folder);
	struct ma_error *err = !dir && errno == ENOMEM ? &ma_enomem : NULL;
	struct dirent *entry;
	for (size_t files = 0; !err && dir && files < FILES_MAX && (entry = readdir(dir)); files++) {
		struct stat st;
		_cleanup_free_ char *path = NULL;
		if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
			continue;
		for (size_t i = 0; i < rows->count && !err; i++) {
			if (!is_lost(&rows->v[i]) || rows->v[i].file_bytes != (uint64_t)st.st_size)
				continue;
			if (!path && asprintf(&path, "%s/%s", folder, entry->d_name) < 0) {
				path = NULL;
				err = &ma_enomem;
			} else {
				err = try_file(path, &rows->v[i], &found[i]);
			}
		}
	}
	if (dir)
		closedir(dir);
	return err;
}

/* The folders of all rows, each once, and the data folder; *count_ret of them. The caller frees all. */
static struct ma_error *folders_of(const struct ma_catalogue_rows *rows, char ***ret, size_t *count_ret)
{
	char **folders = calloc(rows->count + 1, sizeof(*folders));
	size_t n = 0;
	if (!folders)
		return &ma_enomem;
	*ret = folders;
	*count_ret = 0;
	_cleanup_error_ struct ma_error *err = ma_data_folder(&folders[0]);
	if (!err)
		n = 1;
	for (size_t i = 0; i < rows->count; i++) {
		const char *slash = strrchr(rows->v[i].path, '/');
		size_t known = 0, len = slash ? (size_t)(slash - rows->v[i].path) : 0;
		while (known < n && (strncmp(folders[known], rows->v[i].path, len) != 0 || folders[known][len]))
			known++;
		if (!len || known < n)
			continue;
		folders[n] = strndup(rows->v[i].path, len);
		if (!folders[n++]) {
			*count_ret = n;
			return &ma_enomem;
		}
	}
	*count_ret = n;
	return NULL;
}

static struct ma_error *search(struct ma_catalogue_rows *rows, bool *found)
{
	char **folders = NULL;
	size_t count = 0;
	struct ma_error *err = folders_of(rows, &folders, &count);
	for (size_t i = 0; i < count && !err; i++)
		err = look_in(folders[i], rows, found);
	for (size_t i = 0; i < count; i++)
		free(folders[i]);
	free(folders);
	return err;
}

static void write_down(const struct ma_catalogue_rows *rows, const bool *found)
{
	_cleanup_catalogue_ struct ma_catalogue *c = NULL;
	_cleanup_error_ struct ma_error *err = ma_catalogue_open(&c);
	if (!err)
		err = ma_catalogue_move(c, rows, found);
}

struct ma_error *ma_moved_find(struct ma_catalogue_rows *rows)
{
	_cleanup_free_ bool *found = calloc(rows->count + 1, sizeof(*found));
	size_t lost = 0, still = 0;
	if (!found)
		return &ma_enomem;
	for (size_t i = 0; i < rows->count; i++)
		lost += is_lost(&rows->v[i]);
	if (!lost)
		return NULL;
	MA_TRY(search(rows, found));
	for (size_t i = 0; i < rows->count; i++)
		still += is_lost(&rows->v[i]);
	if (still < lost)
		write_down(rows, found);
	return NULL;
}

struct ma_error *ma_moved_seen(const char *path)
{
	_cleanup_catalogue_ struct ma_catalogue *c = NULL;
	_cleanup_rows_ struct ma_catalogue_rows rows = { 0 };
	struct stat st;
	if (stat(path, &st) || !S_ISREG(st.st_mode) || !st.st_size)
		return NULL;
	MA_TRY(ma_catalogue_open_read(&c));
	MA_TRY(ma_catalogue_list(c, &(struct ma_catalogue_filter){ .file_bytes = (uint64_t)st.st_size }, &rows));
	_cleanup_free_ bool *found = calloc(rows.count + 1, sizeof(*found));
	if (!found)
		return &ma_enomem;
	for (size_t i = 0; i < rows.count; i++) {
		if (!is_lost(&rows.v[i]))
			continue;
		MA_TRY(try_file(path, &rows.v[i], &found[i]));
		if (found[i]) {
			write_down(&rows, found);
			break;
		}
	}
	return NULL;
}
