// SPDX-License-Identifier: Apache-2.0
#include "value_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define KEY_CHARACTERS 40u /* shown of a key in a path */
#define INT_WORDS (MA_VALUE_INT_MAX / 4u)

static bool has_text(const struct ma_snap_value *v)
{
	return v && v->known && v->has_text;
}

/* Characters in UTF-8, and where the first `most` of them end. */
static uint64_t characters(const struct ma_snap_value *v, uint64_t most, uint32_t *end_ret)
{
	uint64_t n = 0;
	*end_ret = v->text_bytes;
	for (uint32_t i = 0; i < v->text_bytes; i++) {
		if ((v->text[i] & 0xc0) == 0x80)
			continue;
		if (n++ == most)
			*end_ret = i;
	}
	return n;
}

bool ma_value_is_cut(const struct ma_snap_value *v)
{
	uint32_t end;
	if (!has_text(v))
		return false;
	if (v->kind == MA_VALUE_STR)
		return characters(v, UINT64_MAX, &end) < v->length;
	return v->kind == MA_VALUE_BYTES && v->text_bytes < v->length;
}

bool ma_value_int64(const struct ma_snap_value *v, int64_t *ret)
{
	if (!has_text(v) || v->kind != MA_VALUE_INT || !v->text_bytes || v->text_bytes > 8)
		return false;
	uint64_t x = v->text[v->text_bytes - 1] & 0x80 ? UINT64_MAX : 0;
	memcpy(&x, v->text, v->text_bytes);
	*ret = (int64_t)x;
	return true;
}

bool ma_value_float(const struct ma_snap_value *v, double *ret)
{
	if (!has_text(v) || v->kind != MA_VALUE_FLOAT || v->text_bytes != sizeof(*ret))
		return false;
	memcpy(ret, v->text, sizeof(*ret));
	return true;
}

/* Two's complement of any length in decimal: divides by 10^9 until nothing is left. */
static void put_int(struct ma_buf *b, const struct ma_snap_value *v)
{
	uint32_t words[INT_WORDS + 1], groups[INT_WORDS * 32 / 29 + 2];
	size_t n = (v->text_bytes + 3) / 4, count = 0;
	int64_t small;
	if (ma_value_int64(v, &small)) {
		ma_buf_printf(b, "%" PRId64, small);
		return;
	}
	if (!v->text_bytes || v->text_bytes > MA_VALUE_INT_MAX)
		return;
	bool negative = v->text[v->text_bytes - 1] & 0x80;
	memset(words, negative ? 0xff : 0, sizeof(words));
	memcpy(words, v->text, v->text_bytes);
	uint64_t carry = 1;
	for (size_t i = 0; negative && i < n; i++) {
		carry += (uint32_t)~words[i];
		words[i] = (uint32_t)carry;
		carry >>= 32;
	}
	while (n) {
		uint64_t rest = 0;
		for (size_t i = n; i-- > 0;) {
			rest = rest << 32 | words[i];
			words[i] = (uint32_t)(rest / 1000000000u);
			rest %= 1000000000u;
		}
		groups[count++] = (uint32_t)rest;
		while (n && !words[n - 1])
			n--;
	}
	ma_buf_printf(b, "%s%" PRIu32, negative ? "-" : "", groups[count - 1]);
	for (size_t i = count - 1; i-- > 0;)
		ma_buf_printf(b, "%09" PRIu32, groups[i]);
}

static void put_bytes(struct ma_buf *b, const uint8_t *p, uint32_t bytes, char quote)
{
	for (uint32_t i = 0; i < bytes; i++) {
		if (p[i] == '\\' || (quote && p[i] == (uint8_t)quote))
			ma_buf_printf(b, "\\%c", p[i]);
		else if (p[i] >= 0x20 && p[i] < 0x7f)
			ma_buf_u8(b, p[i]);
		else
			ma_buf_printf(b, "\\x%02x", p[i]);
	}
}

/* The shortest of three that reads back as the same number. */
static void put_float(struct ma_buf *b, double x)
{
	char text[40];
	for (int digits = 15; digits <= 17; digits++) {
		double back = 0;
		snprintf(text, sizeof(text), "%.*g", digits, x);
		if (sscanf(text, "%lf", &back) == 1 && back == x)
			break;
	}
	ma_buf_str(b, text);
	if (!strpbrk(text, ".enia"))
		ma_buf_str(b, ".0");
}

void ma_value_content(struct ma_buf *b, const struct ma_snap_value *v)
{
	if (!has_text(v))
		return;
	if (v->kind == MA_VALUE_STR)
		ma_buf_add(b, v->text, v->text_bytes);
	else if (v->kind == MA_VALUE_BYTES)
		put_bytes(b, v->text, v->text_bytes, 0);
	else if (v->kind == MA_VALUE_INT)
		put_int(b, v);
}

static void put_quoted(struct ma_buf *b, const struct ma_snap_value *v)
{
	uint32_t end;
	uint64_t all = characters(v, KEY_CHARACTERS, &end);
	ma_buf_u8(b, '\'');
	for (uint32_t i = 0; i < end; i++) {
		if (v->text[i] == '\'' || v->text[i] == '\\')
			ma_buf_u8(b, '\\');
		ma_buf_u8(b, v->text[i]);
	}
	ma_buf_str(b, all > KEY_CHARACTERS || all < v->length ? "'..." : "'");
}

/* true when it wrote the value itself. */
static bool put_literal(struct ma_buf *b, const char *type, const struct ma_snap_value *v)
{
	int64_t n;
	double x;
	switch (v->kind) {
	case MA_VALUE_STR:
		put_quoted(b, v);
		return true;
	case MA_VALUE_BYTES:
		ma_buf_str(b, "b'");
		put_bytes(b, v->text, v->text_bytes < KEY_CHARACTERS ? v->text_bytes : KEY_CHARACTERS, '\'');
		ma_buf_str(b, v->text_bytes > KEY_CHARACTERS || v->text_bytes < v->length ? "'..." : "'");
		return true;
	case MA_VALUE_INT:
		if (!strcmp(type, "bool") && ma_value_int64(v, &n))
			ma_buf_str(b, n ? "True" : "False");
		else if (v->text_bytes && v->text_bytes <= KEY_CHARACTERS)
			put_int(b, v);
		else
			return false;
		return true;
	case MA_VALUE_FLOAT:
		if (!ma_value_float(v, &x))
			return false;
		put_float(b, x);
		return true;
	}
	return false;
}

static bool is_builtin(const char *type)
{
	static const char *const names[] = { "str", "bytes", "int", "float", "bool" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(type, names[i]))
			return true;
	return false;
}

void ma_value_key(struct ma_buf *b, const char *type, const struct ma_snap_value *v)
{
	bool text = has_text(v), plain = text && is_builtin(type);
	if (plain && put_literal(b, type, v))
		return;
	ma_buf_printf(b, "<%s", type);
	if (text) {
		ma_buf_u8(b, ' ');
		if (!put_literal(b, type, v))
			ma_buf_str(b, "?");
	} else if (v && v->known && (v->kind == MA_VALUE_STR || v->kind == MA_VALUE_BYTES)) {
		const char *unit = v->kind == MA_VALUE_STR ? "char" : "byte";
		ma_buf_printf(b, " #%04" PRIx64 ", %" PRIu64 " %s%s", v->hash >> 24, v->length, unit,
			      v->length == 1 ? "" : "s");
	}
	ma_buf_u8(b, '>');
}
