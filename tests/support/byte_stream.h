// SPDX-License-Identifier: Apache-2.0
/* byte_stream.h - what a peer says, from memory: the read function of a struct ma_stream whose argument is this. */
#ifndef MA_TEST_BYTE_STREAM_H
#define MA_TEST_BYTE_STREAM_H

#include <memattach/error.h>
#include <stdint.h>
#include <string.h>

struct byte_stream {
	const uint8_t *data;
	size_t left, most; /* most: bytes that one read gives; 0 = all that are left */
};

static inline struct ma_error *byte_stream_read(void *arg, void *data, size_t bytes, int timeout_ms, size_t *got_ret)
{
	struct byte_stream *b = arg;
	size_t n = b->most && b->left > b->most ? b->most : b->left;
	(void)timeout_ms;
	n = n < bytes ? n : bytes;
	memcpy(data, b->data, n);
	b->data += n;
	b->left -= n;
	*got_ret = n;
	return NULL;
}

#endif
