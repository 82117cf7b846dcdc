// SPDX-License-Identifier: Apache-2.0
/* out_file.h - a file that a command makes: nothing stands under its name until it is whole. */
#ifndef MA_OUT_FILE_H
#define MA_OUT_FILE_H

#include <memattach/types.h>
#include <stdio.h>

struct ma_error;

struct ma_out_file {
	FILE *f; /* write here; errors show at commit */
	const char *path;
	char *temp; /* its name until it is whole; NULL while it has none */
	int fd, errnum;
	bool replaces; /* there is a file of that name */
};

/* A file that will be `path` (which must outlive *ret), mode 0600. It has no name, where the file system can do
 * that, so that nothing stays of it when memattach is killed. MA_ERR_USAGE when `path` is something else than a file,
 * or is one of the snapshots `not_these` (paths up to a NULL). */
MA_CHECK struct ma_error *ma_out_file_open(const char *path, const char *const *not_these, struct ma_out_file *ret);
/* Gives it its name; a file of that name is replaced. *bytes_ret: its size. */
MA_CHECK struct ma_error *ma_out_file_commit(struct ma_out_file *o, uint64_t *bytes_ret);
/* One line: what was written. `exact`: all digits of its size. */
MA_CHECK struct ma_error *ma_out_file_say(FILE *out, const struct ma_out_file *o, uint64_t bytes, bool exact);
/* Removes it unless committed. All zero is allowed. */
void ma_out_file_deinit(struct ma_out_file *o);

#endif
