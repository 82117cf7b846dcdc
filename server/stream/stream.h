// SPDX-License-Identifier: Apache-2.0
/* stream.h - bytes to and from another machine or process. A backend fills in the two functions: fd_stream.c for
 * descriptors, server/ssh for a channel of SSH. */
#ifndef MA_STREAM_H
#define MA_STREAM_H

#include <memattach/error.h>
#include <memattach/types.h>
#include <stddef.h>
#include <stdint.h>

struct ma_stream {
	void *arg;
	/* At least one byte and at most `bytes`, or *got_ret 0: the other side has ended. MA_ERR_TIMEOUT when nothing
	 * came within timeout_ms (below 0: no limit). A signal ends the wait early, as a timeout. */
	struct ma_error *(*read)(void *arg, void *data, size_t bytes, int timeout_ms, size_t *got_ret);
	/* All of them. MA_ERR_TIMEOUT when not one byte could be written within timeout_ms. */
	struct ma_error *(*write)(void *arg, const void *data, size_t bytes, int timeout_ms);
};

/* Over two descriptors, which stay the caller's and must outlive the stream. */
struct ma_fd_stream {
	int in, out;
};
struct ma_stream ma_fd_stream(struct ma_fd_stream *fds);

#endif
