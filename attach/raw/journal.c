// SPDX-License-Identifier: Apache-2.0
#include "buffer.h"
#include "cleanup.h"
#include "raw_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define HEAD "memattach undo 1"
#define FIRST_USER_ADDRESS UINT64_C(4096)

void ma_raw_boot_id(char ret[64])
{
	_cleanup_close_ int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	struct ma_error *err = proc >= 0 ? ma_proc_read(proc, "sys/kernel/random/boot_id", 60, &text, NULL) : NULL;
	snprintf(ret, 64, "%.*s", !err && text ? (int)strcspn(text, " \n") : 0, text ? text : "");
	ma_error_free(err);
}

static struct ma_error *compose(const struct ma_tracee *t, const struct ma_raw *raw, struct ma_buf *b)
{
	char boot[64];
	ma_raw_boot_id(boot);
	ma_buf_printf(b, HEAD "\nboot %s\npid %d start %" PRIu64 "\n", boot[0] ? boot : "-", t->pid, t->start_time);
	for (size_t i = 0; i < raw->count; i++)
		ma_buf_printf(b, "%" PRIx64 " %" PRIx64 "\n", raw->v[i].start, raw->v[i].end);
	ma_buf_str(b, "end\n");
	return ma_buf_error(b);
}

bool ma_raw_journal_parse(const char *text, struct ma_raw_journal *ret)
{
	char boot[64];
	int n = 0, used = 0;
	uint64_t start, end;
	memset(ret, 0, sizeof(*ret));
	if (sscanf(text, HEAD "\nboot %63s\npid %d start %" SCNu64 "\n%n", boot, &ret->pid, &ret->start_time, &n) !=
		    3 ||
	    !n || ret->pid <= 0)
		return false;
	memcpy(ret->boot, boot, sizeof(boot));
	for (text += n; sscanf(text, "%" SCNx64 " %" SCNx64 "%n", &start, &end, &used) == 2; text += used + 1) {
		if (text[used] != '\n' || ret->count == MA_RAW_RANGES_MAX || start < FIRST_USER_ADDRESS ||
		    start >= end || end >> 56 || start % MA_RAW_STEP || end % MA_RAW_STEP)
			return false;
		ret->v[ret->count].start = start;
		ret->v[ret->count++].end = end;
	}
	return !strcmp(text, "end\n");
}

static bool on_disk(int fd, const char *path, const struct ma_buf *b)
{
	char folder[sizeof(((struct ma_raw *)0)->journal)];
	struct stat st;
	if (flock(fd, LOCK_EX | LOCK_NB) || write(fd, b->data, b->len) != (ssize_t)b->len || fsync(fd))
		return false;
	snprintf(folder, sizeof(folder), "%s", path);
	_cleanup_close_ int dir = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* not taken for one that a dead tracer left, before it was locked */
	return dir >= 0 && !fsync(dir) && !fstat(fd, &st) && st.st_nlink == 1;
}

void ma_raw_journal_write(const struct ma_tracee *t, struct ma_raw *raw)
{
	char folder[80];
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(MA_RAW_JOURNAL_MAX);
	raw->journal[0] = 0;
	raw->journal_fd = -1;
	if (!raw->count)
		return;
	struct ma_error *err = compose(t, raw, &b);
	bool ok = !err && ma_private_folder(folder, sizeof(folder));
	ma_error_free(err);
	if (ok) {
		snprintf(raw->journal, sizeof(raw->journal), "%s/undo-%d-%" PRIu64 "-%d", folder, t->pid, t->start_time,
			 getpid());
		raw->journal_fd = open(raw->journal, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		ok = raw->journal_fd >= 0 && on_disk(raw->journal_fd, raw->journal, &b);
	}
	if (ok)
		return;
	raw->count = 0;
	ma_raw_journal_remove(raw);
}

bool ma_raw_journal_remove(struct ma_raw *raw)
{
	bool left = false;
	for (size_t i = 0; i < raw->count; i++)
		left = left || raw->v[i].set;
	if (raw->journal_fd >= 0) {
		if (!left)
			unlink(raw->journal);
		close(raw->journal_fd); /* and with it the lock */
	}
	raw->journal_fd = -1;
	raw->journal[0] = 0;
	return !left;
}
