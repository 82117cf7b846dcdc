// SPDX-License-Identifier: Apache-2.0
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

static struct ma_error *wait_for(int fd, short events, int timeout_ms, const char *what)
{
	struct pollfd p = { .fd = fd, .events = events };
	int n = poll(&p, 1, timeout_ms);
	if (n < 0 && errno != EINTR)
		return ma_error_os(errno, "cannot wait for the other side");
	if (n <= 0)
		return ma_errorf(MA_ERR_TIMEOUT, "the other side %s", what);
	return NULL;
}

static struct ma_error *fd_read(void *arg, void *data, size_t bytes, int timeout_ms, size_t *got_ret)
{
	const struct ma_fd_stream *s = arg;
	struct ma_error *err = wait_for(s->in, POLLIN, timeout_ms, "is silent");
	if (err)
		return err;
	ssize_t n = read(s->in, data, bytes);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return ma_errorf(MA_ERR_TIMEOUT, "the other side is silent");
	if (n < 0)
		return ma_error_os(errno, "cannot read from the other side");
	*got_ret = (size_t)n;
	return NULL;
}

/* The descriptor may be one that blocks, and then poll() promises room for one byte only (of a pipe: PIPE_BUF). So
 * that the limit holds, no more than that is written at once. */
static struct ma_error *fd_write(void *arg, const void *data, size_t bytes, int timeout_ms)
{
	const struct ma_fd_stream *s = arg;
	const char *p = data;
	const int flags = fcntl(s->out, F_GETFL);
	const size_t most = flags >= 0 && (flags & O_NONBLOCK) ? bytes : 4096;
	while (bytes) {
		struct ma_error *err = wait_for(s->out, POLLOUT, timeout_ms, "takes nothing");
		if (err)
			return err;
		ssize_t n = write(s->out, p, bytes < most ? bytes : most);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return ma_error_os(errno, "cannot write to the other side");
		p += n;
		bytes -= (size_t)n;
	}
	return NULL;
}

struct ma_stream ma_fd_stream(struct ma_fd_stream *fds)
{
	return (struct ma_stream){ fds, fd_read, fd_write };
}
