// SPDX-License-Identifier: Apache-2.0
/* read.c - whole files below a directory fd of /proc/PID. */
#include "buffer.h"
#include "cleanup.h"
#include "proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Far above pid_max (4,194,304 is the kernel's own limit): a bound, not a rule. */
#define TASKS_MAX 4194304
#define CMDLINE_MAX 4096

/* A dead process's directory stays open but has no files: then ENOENT means that the target is gone, else that this
 * kernel has no such file. */
static int gone_errno(int dir, int errnum)
{
	if (errnum == ENOENT && faccessat(dir, "stat", F_OK, 0) < 0)
		return ESRCH;
	return errnum;
}

struct ma_error *ma_proc_read(int dir, const char *file, size_t limit, char **ret, size_t *bytes_ret)
{
	_cleanup_close_ int fd = openat(dir, file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return ma_error_os(gone_errno(dir, errno), "%s", file);
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(limit);
	for (;;) {
		/* Sizes in /proc are 0; a buffer of the kernel's own growth (4 KiB, then doubled) needs few calls. */
		size_t room = b.cap > b.len + 1 ? b.cap - b.len - 1 : 0;
		if (room < 2048)
			room = b.len < 4096 ? 4096 : b.len;
		if (room > limit - b.len)
			room = limit - b.len;
		if (!room) {
			char more;
			ssize_t n = read(fd, &more, 1);
			if (n == 0)
				break;
			if (n < 0 && errno == EINTR)
				continue;
			return ma_errorf(MA_ERR_LIMIT, "%s is longer than %zu bytes", file, limit);
		}
		if (!ma_buf_reserve(&b, room))
			return &ma_enomem;
		ssize_t n = read(fd, b.data + b.len, room);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ma_error_os(gone_errno(dir, errno), "%s", file);
		if (n == 0)
			break;
		b.len += (size_t)n;
	}
	if (!ma_buf_reserve(&b, 0))
		return &ma_enomem;
	b.data[b.len] = 0;
	if (bytes_ret)
		*bytes_ret = b.len;
	*ret = ma_take_ptr(b.data);
	return NULL;
}

static void closedir_p(DIR **d)
{
	if (*d)
		closedir(*d);
}

struct ma_error *ma_tasks_read(int dir, pid_t **ret, size_t *count_ret)
{
	_cleanup_close_ int fd = openat(dir, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return ma_error_os(gone_errno(dir, errno), "task");
	_cleanup_(closedir_p) DIR *d = fdopendir(fd);
	if (!d)
		return ma_error_os(errno, "task");
	fd = -1; /* d owns it */
	_cleanup_free_ pid_t *v = NULL;
	size_t count = 0, cap = 0;
	for (;;) {
		errno = 0;
		struct dirent *e = readdir(d);
		if (!e && errno)
			return ma_error_os(gone_errno(dir, errno), "task");
		if (!e)
			break;
		pid_t tid = 0;
		const char *p = e->d_name;
		while (*p >= '0' && *p <= '9' && tid <= TASKS_MAX)
			tid = tid * 10 + (*p++ - '0');
		if (*p || tid <= 0)
			continue; /* "." and ".." */
		if (count == cap) {
			if (cap >= TASKS_MAX)
				return ma_errorf(MA_ERR_LIMIT, "task: more than %d entries", TASKS_MAX);
			cap = cap ? cap * 2 : 64;
			pid_t *more = realloc(v, cap * sizeof(*v));
			if (!more)
				return &ma_enomem;
			v = more;
		}
		v[count++] = tid;
	}
	if (!count) /* an empty task folder is what a reaped process leaves in an open directory */
		return ma_error_os(ESRCH, "task");
	*ret = ma_take_ptr(v);
	*count_ret = count;
	return NULL;
}

struct ma_error *ma_cmdline_read(int dir, char **ret)
{
	_cleanup_close_ int fd = openat(dir, "cmdline", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return ma_error_os(gone_errno(dir, errno), "cmdline");
	_cleanup_free_ char *text = malloc(CMDLINE_MAX + 1);
	if (!text)
		return &ma_enomem;
	size_t len = 0;
	while (len < CMDLINE_MAX) {
		ssize_t n = read(fd, text + len, CMDLINE_MAX - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ma_error_os(gone_errno(dir, errno), "cmdline");
		if (n == 0)
			break;
		len += (size_t)n;
	}
	/* A program that overwrote its arguments (setproctitle) leaves a tail of NULs. */
	while (len && (text[len - 1] == 0 || text[len - 1] == ' '))
		len--;
	for (size_t i = 0; i < len; i++)
		if (!text[i])
			text[i] = ' ';
	text[len] = 0;
	if (len) {
		*ret = ma_take_ptr(text);
		return NULL;
	}
	_cleanup_free_ char *comm = NULL;
	size_t bytes;
	MA_TRY(ma_proc_read(dir, "comm", CMDLINE_MAX, &comm, &bytes));
	if (bytes && comm[bytes - 1] == '\n')
		comm[bytes - 1] = 0;
	char *named;
	if (asprintf(&named, "[%s]", comm) < 0)
		return &ma_enomem;
	*ret = named;
	return NULL;
}
