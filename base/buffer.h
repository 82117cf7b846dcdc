// SPDX-License-Identifier: Apache-2.0
/* buffer.h - a byte buffer that grows up to a limit it is born with. Appends after a failure do
 * nothing; ma_buf_error() tells at the end. The bytes are always followed by a NUL, so a buffer of
 * text is a C string. */
#ifndef MA_BUFFER_H
#define MA_BUFFER_H

#include <memattach/error.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ma_buf {
	char *data; /* NULL until the first append */
	size_t len, cap, limit;
	bool failed;
	bool no_memory; /* it failed, and not at its limit */
};

#define MA_BUF_INIT(limit_)                        \
	{                                          \
		NULL, 0, 0, (limit_), false, false \
	}

void ma_buf_deinit(struct ma_buf *b);
/* Room for `bytes` more; false when over the limit or out of memory. */
bool ma_buf_reserve(struct ma_buf *b, size_t bytes);
void ma_buf_add(struct ma_buf *b, const void *data, size_t bytes);
void ma_buf_str(struct ma_buf *b, const char *s);
void ma_buf_printf(struct ma_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void ma_buf_u8(struct ma_buf *b, uint8_t v);
void ma_buf_u32(struct ma_buf *b, uint32_t v);
void ma_buf_u64(struct ma_buf *b, uint64_t v);
void ma_buf_varint(struct ma_buf *b, uint64_t v);
const char *ma_buf_text(const struct ma_buf *b); /* never NULL */
struct ma_error *ma_buf_error(const struct ma_buf *b) __attribute__((warn_unused_result));

#define _cleanup_buf_ __attribute__((__cleanup__(ma_buf_deinit)))

#endif
