// SPDX-License-Identifier: Apache-2.0
#include "resume.h"

#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

static const char head[] = "memattach-resume 1 ";
#define HEX_BYTES (2 * MA_SIPHASH_KEY_BYTES)
#define NOTE_BYTES (sizeof(head) - 1 + HEX_BYTES + 1)

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static struct ma_error *read_note(int fd, struct ma_resume *r)
{
	char text[NOTE_BYTES + 1];
	if (read(fd, text, sizeof(text)) != (ssize_t)NOTE_BYTES || memcmp(text, head, sizeof(head) - 1))
		return ma_errorf(MA_ERR_BAD_DATA, "%s is no note of memattach", r->note);
	const char *hex = text + sizeof(head) - 1;
	for (unsigned i = 0; i < MA_SIPHASH_KEY_BYTES; i++) {
		int high = digit(hex[2 * i]), low = digit(hex[2 * i + 1]);
		if (high < 0 || low < 0)
			return ma_errorf(MA_ERR_BAD_DATA, "%s is no note of memattach", r->note);
		r->key[i] = (uint8_t)(high << 4 | low);
	}
	return NULL;
}

static struct ma_error *copy(const char *path, int to, uint64_t *bytes_ret)
{
	char data[16384];
	uint64_t at = 0;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return ma_error_os(errno, "cannot read %s", path);
	for (ssize_t n; (n = read(fd, data, sizeof(data))) != 0; at += (uint64_t)n)
		if (n < 0 || pwrite(to, data, (size_t)n, (off_t)at) != n)
			return ma_error_os(errno, "cannot copy %s", path);
	*bytes_ret = at;
	return NULL;
}

struct ma_error *ma_resume_begin(const char *path, int fd, struct ma_resume *ret, uint64_t *bytes_ret)
{
	ret->wanted = true;
	if (asprintf(&ret->part, "%s.part", path) < 0 || asprintf(&ret->note, "%s.part.resume", path) < 0)
		return &ma_enomem;
	_cleanup_close_ int note = open(ret->note, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (note < 0 && errno != ENOENT)
		return ma_error_os(errno, "cannot read %s", ret->note);
	if (note >= 0) {
		MA_TRY(read_note(note, ret));
		MA_TRY(copy(ret->part, fd, bytes_ret));
		ret->rest = true;
		return NULL;
	}
	if (getrandom(ret->key, sizeof(ret->key), 0) != (ssize_t)sizeof(ret->key))
		return ma_error_os(errno, "no random numbers");
	return NULL;
}

struct ma_error *ma_resume_note(const struct ma_resume *r)
{
	char text[NOTE_BYTES + 1];
	if (!r->wanted || r->rest)
		return NULL;
	memcpy(text, head, sizeof(head) - 1);
	for (unsigned i = 0; i < MA_SIPHASH_KEY_BYTES; i++)
		snprintf(text + sizeof(head) - 1 + 2 * (size_t)i, 3, "%02x", r->key[i]);
	text[NOTE_BYTES - 1] = '\n';
	_cleanup_close_ int fd = open(r->note, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text, NOTE_BYTES) != (ssize_t)NOTE_BYTES)
		return ma_error_os(errno, "cannot write %s", r->note);
	return NULL;
}

void ma_resume_end(const struct ma_resume *r, bool whole)
{
	if (!r->rest)
		return;
	unlink(r->note);
	if (whole)
		unlink(r->part);
}

void ma_resume_deinit(struct ma_resume *r)
{
	free(r->part);
	free(r->note);
	*r = (struct ma_resume){ 0 };
}
