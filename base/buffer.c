// SPDX-License-Identifier: Apache-2.0
#include "buffer.h"

#include "varint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ma_buf_deinit(struct ma_buf *b)
{
	free(b->data);
	b->data = NULL;
	b->len = b->cap = 0;
}

bool ma_buf_reserve(struct ma_buf *b, size_t bytes)
{
	if (b->failed)
		return false;
	if (bytes > b->limit || b->len > b->limit - bytes) {
		b->failed = true;
		return false;
	}
	size_t need = b->len + bytes + 1;
	if (need <= b->cap)
		return true;
	size_t cap = b->cap < 128 ? 128 : b->cap * 2;
	while (cap < need)
		cap *= 2;
	char *data = realloc(b->data, cap);
	if (!data) {
		b->failed = b->no_memory = true;
		return false;
	}
	b->data = data;
	b->cap = cap;
	return true;
}

void ma_buf_add(struct ma_buf *b, const void *data, size_t bytes)
{
	if (!ma_buf_reserve(b, bytes))
		return;
	if (bytes)
		memcpy(b->data + b->len, data, bytes);
	b->len += bytes;
	b->data[b->len] = 0;
}

void ma_buf_str(struct ma_buf *b, const char *s)
{
	ma_buf_add(b, s, strlen(s));
}

void ma_buf_printf(struct ma_buf *b, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		b->failed = true;
	else if (ma_buf_reserve(b, (size_t)n)) {
		vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
}

void ma_buf_u8(struct ma_buf *b, uint8_t v)
{
	ma_buf_add(b, &v, sizeof(v));
}

void ma_buf_u32(struct ma_buf *b, uint32_t v)
{
	ma_buf_add(b, &v, sizeof(v)); /* files are little-endian, as are x86-64 and aarch64 Linux */
}

void ma_buf_u64(struct ma_buf *b, uint64_t v)
{
	ma_buf_add(b, &v, sizeof(v));
}

void ma_buf_varint(struct ma_buf *b, uint64_t v)
{
	uint8_t tmp[MA_VARINT_MAX];
	uint8_t *end = ma_varint_put(tmp, v);
	ma_buf_add(b, tmp, (size_t)(end - tmp));
}

const char *ma_buf_text(const struct ma_buf *b)
{
	return b->data ? b->data : "";
}

struct ma_error *ma_buf_error(const struct ma_buf *b)
{
	if (!b->failed)
		return NULL;
	return ma_errorf(MA_ERR_NO_MEMORY, "a buffer grew past its limit of %zu bytes or memory is out", b->limit);
}
