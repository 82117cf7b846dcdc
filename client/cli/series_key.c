// SPDX-License-Identifier: Apache-2.0
#include "series_key.h"

#include "cleanup.h"
#include "data_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#define KEY_FILE "values.key"

static struct ma_error *random_key(uint8_t key[MA_SIPHASH_KEY_BYTES])
{
	for (;;) {
		ssize_t n = getrandom(key, MA_SIPHASH_KEY_BYTES, 0); /* never short for so few bytes (getrandom(2)) */
		if (n == (ssize_t)MA_SIPHASH_KEY_BYTES)
			return NULL;
		if (n >= 0 || errno != EINTR)
			return ma_error_os(n < 0 ? errno : EIO, "cannot make a key for hashes");
	}
}

/* MA_ERR_OS with ENOENT when there is none. */
static struct ma_error *read_key(const char *path, uint8_t key[MA_SIPHASH_KEY_BYTES])
{
	struct stat st;
	uint8_t bytes[MA_SIPHASH_KEY_BYTES + 1];
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st))
		return ma_error_os(errno, "cannot read %s", path);
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077))
		return ma_errorf(MA_ERR_PERMISSION, "%s is not a file of this user alone (mode 0600)", path);
	ssize_t n;
	do
		n = read(fd, bytes, sizeof(bytes));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return ma_error_os(errno, "cannot read %s", path);
	if (n != (ssize_t)MA_SIPHASH_KEY_BYTES)
		return ma_errorf(MA_ERR_BAD_DATA, "%s has not %u bytes", path, MA_SIPHASH_KEY_BYTES);
	memcpy(key, bytes, MA_SIPHASH_KEY_BYTES);
	return NULL;
}

/* Another memattach may do the same now: link() lets one of them win, whole. */
static struct ma_error *make_key(const char *path, uint8_t key[MA_SIPHASH_KEY_BYTES])
{
	_cleanup_free_ char *temp = NULL;
	if (asprintf(&temp, "%s.tmp-XXXXXX", path) < 0)
		return &ma_enomem;
	MA_TRY(random_key(key));
	_cleanup_close_ int fd = mkostemp(temp, O_CLOEXEC); /* 0600 */
	if (fd < 0)
		return ma_error_os(errno, "cannot make %s", temp);
	struct ma_error *err = NULL;
	if (write(fd, key, MA_SIPHASH_KEY_BYTES) != (ssize_t)MA_SIPHASH_KEY_BYTES || fsync(fd))
		err = ma_error_os(errno ? errno : EIO, "cannot write %s", temp);
	else if (link(temp, path))
		err = errno == EEXIST ? read_key(path, key) : ma_error_os(errno, "cannot make %s", path);
	unlink(temp);
	return err;
}

static struct ma_error *stored_key(uint8_t key[MA_SIPHASH_KEY_BYTES])
{
	_cleanup_free_ char *folder = NULL, *path = NULL;
	MA_TRY(ma_data_folder_make(&folder));
	if (asprintf(&path, "%s/%s", folder, KEY_FILE) < 0)
		return &ma_enomem;
	struct ma_error *err = read_key(path, key);
	if (!err || err->errnum != ENOENT)
		return err;
	ma_error_free(err);
	return make_key(path, key);
}

struct ma_error *ma_series_key_get(uint8_t key[MA_SIPHASH_KEY_BYTES], char **note_ret)
{
	_cleanup_error_ struct ma_error *err = stored_key(key);
	*note_ret = NULL;
	if (!err)
		return NULL;
	if (asprintf(note_ret, "hashes of values match those of no other snapshot: %s", err->message) < 0) {
		*note_ret = NULL;
		return &ma_enomem;
	}
	return random_key(key);
}
