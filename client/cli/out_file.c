// SPDX-License-Identifier: Apache-2.0
#include "out_file.h"

#include "cleanup.h"
#include "escape.h"
#include "human.h"
#include "out.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct ma_error *check_path(const char *path, const char *const *not_these, bool *replaces_ret)
{
	struct stat st, other;
	const char *slash = strrchr(path, '/');
	if (!*path || (slash && !slash[1]))
		return ma_errorf(MA_ERR_USAGE, "cannot write \"%s\": it names no file", path);
	*replaces_ret = stat(path, &st) == 0;
	if (!*replaces_ret)
		return NULL;
	if (!S_ISREG(st.st_mode)) /* a rename would replace the directory entry: /dev/null must stay what it is */
		return ma_errorf(MA_ERR_USAGE, "cannot write %s: it exists and is not a regular file", path);
	for (; *not_these; not_these++)
		if (stat(*not_these, &other) == 0 && st.st_dev == other.st_dev && st.st_ino == other.st_ino)
			return ma_errorf(MA_ERR_USAGE, "cannot write %s: it is the snapshot itself", path);
	return NULL;
}

/* A file without a name in the folder of `path`; -1 where there is no such thing. */
static int open_nameless(const char *path)
{
	_cleanup_free_ char *copy = strdup(path);
	return copy ? open(dirname(copy), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600) : -1;
}

struct ma_error *ma_out_file_open(const char *path, const char *const *not_these, struct ma_out_file *ret)
{
	bool replaces;
	MA_TRY(check_path(path, not_these, &replaces));
	_cleanup_free_ char *temp = NULL;
	_cleanup_close_ int fd = open_nameless(path);
	if (fd < 0) {
		if (asprintf(&temp, "%s.tmp-XXXXXX", path) < 0) {
			temp = NULL;
			return &ma_enomem;
		}
		fd = mkostemp(temp, O_CLOEXEC); /* mode 0600 and O_EXCL */
		if (fd < 0)
			return ma_error_os(errno, "cannot write %s", path);
	}
	*ret = (struct ma_out_file){
		.path = path, .temp = ma_take_ptr(temp), .fd = ma_take_fd(fd), .replaces = replaces
	};
	ret->f = ma_out_open(ret->fd, &ret->errnum);
	if (!ret->f) {
		ma_out_file_deinit(ret);
		return &ma_enomem;
	}
	return NULL;
}

/* Names a nameless file; linkat() does not replace, so it is renamed after. */
static struct ma_error *name_it(struct ma_out_file *o)
{
	char link[64];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", o->fd);
	if (asprintf(&o->temp, "%s.tmp-%d", o->path, (int)getpid()) < 0) {
		o->temp = NULL;
		return &ma_enomem;
	}
	if (linkat(AT_FDCWD, link, AT_FDCWD, o->temp, AT_SYMLINK_FOLLOW) == 0)
		return NULL;
	int errnum = errno;
	free(o->temp); /* it is not ours */
	o->temp = NULL;
	return ma_error_os(errnum, "cannot write %s", o->path);
}

struct ma_error *ma_out_file_commit(struct ma_out_file *o, uint64_t *bytes_ret)
{
	FILE *f = ma_take_ptr(o->f);
	struct stat st;
	struct ma_error *err = ma_out_close(f, &o->errnum);
	if (err)
		return ma_error_prefix(err, "%s", o->path);
	if (fstat(o->fd, &st) != 0)
		return ma_error_os(errno, "cannot write %s", o->path);
	if (!o->temp)
		MA_TRY(name_it(o));
	if (rename(o->temp, o->path) != 0)
		return ma_error_os(errno, "cannot rename %s to %s", o->temp, o->path);
	free(o->temp);
	o->temp = NULL;
	*bytes_ret = (uint64_t)st.st_size;
	return NULL;
}

struct ma_error *ma_out_file_say(FILE *out, const struct ma_out_file *o, uint64_t bytes, bool exact)
{
	_cleanup_buf_ struct ma_buf shown = MA_BUF_INIT(1 << 16);
	char size[MA_HUMAN_MAX];
	ma_escape_text(&shown, o->path, strlen(o->path));
	fprintf(out, "%s   %s%s\n", ma_buf_text(&shown), ma_human_bytes(size, bytes, exact),
		o->replaces ? "   replaced the file that was there" : "");
	return ma_buf_error(&shown);
}

void ma_out_file_deinit(struct ma_out_file *o)
{
	if (o->f)
		fclose(o->f);
	if (o->temp)
		unlink(o->temp);
	free(o->temp);
	if (o->path)
		close(o->fd);
	memset(o, 0, sizeof(*o));
}
