// SPDX-License-Identifier: Apache-2.0
#include "output_file.h"

#include "cleanup.h"
#include "fault_point.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static struct ma_error *check_place(const char *path, bool *unnamed_ret)
{
	struct stat st;
	const char *slash = strrchr(path, '/');
	*unnamed_ret = false;
	if (!*path || (slash && !slash[1]))
		return ma_errorf(MA_ERR_USAGE, "cannot write \"%s\": it names no file", path);
	if (stat(path, &st) == 0) {
		if (!S_ISREG(st.st_mode))
			return ma_errorf(MA_ERR_USAGE, "cannot write %s: it exists and is not a regular file", path);
		/* some file systems count no links at all */
		*unnamed_ret = st.st_nlink == 0 && !strncmp(path, "/proc/self/fd/", 14);
	}
	return NULL;
}

struct ma_error *ma_output_file_create(const char *path, struct ma_output_file *ret)
{
	bool unnamed;
	MA_TRY(check_place(path, &unnamed));
	_cleanup_free_ char *copy = strdup(path);
	_cleanup_free_ char *temp = NULL;
	if (!copy || (!unnamed && asprintf(&temp, "%s.tmp-XXXXXX", path) < 0))
		return &ma_enomem;
	int fd = unnamed ? open(path, O_RDWR | O_TRUNC | O_CLOEXEC)
			 : mkostemp(temp, O_CLOEXEC); /* mode 0600 and O_EXCL */
	if (fd < 0)
		return ma_error_os(errno, "cannot write %s", path);
	*ret = (struct ma_output_file){ ma_take_ptr(copy), ma_take_ptr(temp), fd };
	ma_fault_point(FILE_CREATED);
	return NULL;
}

struct ma_error *ma_output_file_publish(struct ma_output_file *f, const char *suffix)
{
	_cleanup_free_ char *name = NULL;
	if (asprintf(&name, "%s%s", f->path, suffix) < 0)
		return &ma_enomem;
	ma_fault_point(BLOCKS_WRITTEN);
	if (fsync(f->fd) != 0)
		return ma_error_os(errno, "cannot write %s", name);
	/* network file systems tell about a full disk here only */
	if (close(ma_take_fd(f->fd)) != 0 && errno != EINTR)
		return ma_error_os(errno, "cannot write %s", name);
	ma_fault_point(FILE_SYNCED);
	if (f->temp && rename(f->temp, name) != 0)
		return ma_error_os(errno, "cannot rename %s to %s", f->temp, name);
	free(ma_take_ptr(f->temp));
	ma_fault_point(FILE_RENAMED);
	return NULL;
}

void ma_output_file_deinit(struct ma_output_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	if (f->temp)
		unlink(f->temp);
	free(f->temp);
	free(f->path);
	*f = (struct ma_output_file){ .fd = -1 };
}
