// SPDX-License-Identifier: Apache-2.0
#include "record.h"

#include "varint.h"

#include <limits.h>
#include <math.h>
#include <memattach/siphash.h>
#include <stdlib.h>

static size_t size_of(unsigned type)
{
	switch (type) {
	case MA_FIELD_BOOL:
		return 1;
	case MA_FIELD_U32:
	case MA_FIELD_PID:
		return 4;
	case MA_FIELD_KEY:
		return MA_SIPHASH_KEY_BYTES;
	default:
		return 8;
	}
}

static void put(struct ma_buf *b, const struct ma_field *f, const char *at)
{
	static const char zero[MA_SIPHASH_KEY_BYTES];
	const char *text = NULL;
	size_t n = size_of(f->type);
	if (f->type == MA_FIELD_TEXT) {
		memcpy(&text, at, sizeof(text));
		if (!text)
			return;
		n = strnlen(text, MA_RECORD_TEXT_MAX);
		at = text;
	} else if (!memcmp(at, zero, n)) {
		return;
	}
	ma_buf_varint(b, f->tag);
	ma_buf_varint(b, n);
	ma_buf_add(b, at, n);
}

void ma_record_put(struct ma_buf *b, const struct ma_field *fields, size_t count, const void *record)
{
	for (size_t i = 0; i < count; i++)
		put(b, &fields[i], (const char *)record + fields[i].off);
}

static struct ma_error *wrong(const struct ma_field *f)
{
	return ma_errorf(MA_ERR_BAD_DATA, "field %u of a message is not what it should be", f->tag);
}

static struct ma_error *get_text(const struct ma_field *f, const uint8_t *data, size_t bytes, char *at)
{
	char *old;
	if (bytes > MA_RECORD_TEXT_MAX || memchr(data, 0, bytes))
		return wrong(f);
	char *text = strndup((const char *)data, bytes);
	if (!text)
		return &ma_enomem;
	memcpy(&old, at, sizeof(old));
	free(old);
	memcpy(at, &text, sizeof(text));
	return NULL;
}

static struct ma_error *get(const struct ma_field *f, const uint8_t *data, size_t bytes, char *at)
{
	uint32_t u32;
	double number;
	if (f->type == MA_FIELD_TEXT)
		return get_text(f, data, bytes, at);
	if (bytes != size_of(f->type))
		return wrong(f);
	switch (f->type) {
	case MA_FIELD_BOOL:
		if (data[0] > 1)
			return wrong(f);
		break;
	case MA_FIELD_PID:
		memcpy(&u32, data, 4);
		if (u32 > INT_MAX)
			return wrong(f);
		break;
	case MA_FIELD_DOUBLE:
		memcpy(&number, data, 8);
		if (!isfinite(number))
			return wrong(f);
		break;
	default:
		break;
	}
	memcpy(at, data, bytes);
	return NULL;
}

struct ma_error *ma_record_get(const void *data, size_t bytes, const struct ma_field *fields, size_t count,
			       void *record)
{
	struct ma_cursor c;
	ma_cursor_init(&c, data, bytes);
	while (ma_cursor_left(&c)) {
		uint64_t tag = ma_cursor_varint(&c), length = ma_cursor_varint(&c);
		const uint8_t *value = ma_cursor_take(&c, length);
		if (!value)
			return ma_errorf(MA_ERR_BAD_DATA, "a message ends within a field");
		for (size_t i = 0; i < count; i++) {
			struct ma_error *err = NULL;
			if (fields[i].tag == tag)
				err = get(&fields[i], value, length, (char *)record + fields[i].off);
			if (err)
				return err;
		}
	}
	return c.bad ? ma_errorf(MA_ERR_BAD_DATA, "a message ends within a field") : NULL;
}

void ma_record_free(const struct ma_field *fields, size_t count, void *record)
{
	for (size_t i = 0; i < count; i++) {
		char *at = (char *)record + fields[i].off, *text;
		if (fields[i].type != MA_FIELD_TEXT)
			continue;
		memcpy(&text, at, sizeof(text));
		free(text);
		text = NULL;
		memcpy(at, &text, sizeof(text));
	}
}
