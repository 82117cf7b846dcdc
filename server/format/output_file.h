// SPDX-License-Identifier: Apache-2.0
/* output_file.h - a file that gets its name when it is whole: PATH.tmp-XXXXXX until then (0600, O_EXCL).
 * A path that leads to a file without a name (/proc/self/fd/N of a memfd) is that file. */
#ifndef MA_OUTPUT_FILE_H
#define MA_OUTPUT_FILE_H

#include <memattach/error.h>
#include <memattach/types.h>

struct ma_output_file {
	char *path, *temp; /* temp NULL: there is no such file, or it has its name, or none */
	int fd;
};

/* An unwritable place shows here. A place that is there and no regular file is refused: a rename would replace
 * /dev/null. */
MA_CHECK struct ma_error *ma_output_file_create(const char *path, struct ma_output_file *ret);
/* Syncs, closes, and renames to the path and `suffix`. */
MA_CHECK struct ma_error *ma_output_file_publish(struct ma_output_file *f, const char *suffix);
/* Removes it unless it was published. */
void ma_output_file_deinit(struct ma_output_file *f);

#endif
