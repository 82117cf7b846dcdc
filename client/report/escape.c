// SPDX-License-Identifier: Apache-2.0
#include "escape.h"

#include <stdlib.h>
#include <string.h>

/* One code point of UTF-8 (RFC 3629: shortest form, no surrogates, up to U+10FFFF). Returns its bytes, 0 when `p` does
 * not begin with one. */
static size_t decode(const unsigned char *p, size_t bytes, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
	if (!n || n > bytes)
		return 0;
	uint32_t cp = n == 1 ? p[0] : p[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		cp = cp << 6 | (p[i] & 0x3f);
	}
	if (cp < least[n] || cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000))
		return 0;
	*ret = cp;
	return n;
}

static bool unsafe(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) ||    /* C0, DEL, C1 */
	       cp == 0xad || cp == 0x61c || cp == 0x180e || /* soft hyphen, Arabic letter mark */
	       (cp >= 0x200b && cp <= 0x200f) ||            /* zero width, left-to-right and right-to-left marks */
	       (cp >= 0x2028 && cp <= 0x202e) ||            /* line separators, bidi embeddings and overrides */
	       (cp >= 0x2060 && cp <= 0x206f) ||            /* bidi isolates, invisible operators */
	       cp == 0xfeff || (cp >= 0xfff9 && cp <= 0xfffb) || (cp >= 0xe0000 && cp <= 0xe007f); /* tags */
}

static void put_escape(struct ma_buf *b, uint32_t cp)
{
	if (cp == '\n')
		ma_buf_str(b, "\\n");
	else if (cp == '\t')
		ma_buf_str(b, "\\t");
	else if (cp == '\r')
		ma_buf_str(b, "\\r");
	else if (cp < 0x100)
		ma_buf_printf(b, "\\x%02x", cp);
	else if (cp < 0x10000)
		ma_buf_printf(b, "\\u%04x", cp);
	else
		ma_buf_printf(b, "\\U%08x", cp);
}

void ma_escape_text(struct ma_buf *b, const char *p, size_t bytes)
{
	const unsigned char *u = (const unsigned char *)p;
	for (size_t i = 0; i < bytes;) {
		uint32_t cp;
		size_t n = decode(u + i, bytes - i, &cp);
		if (!n)
			put_escape(b, u[i++]);
		else if (unsafe(cp))
			put_escape(b, cp);
		else
			ma_buf_add(b, p + i, n);
		i += n;
	}
}

void ma_escape_utf8(struct ma_buf *b, const char *p, size_t bytes)
{
	const unsigned char *u = (const unsigned char *)p;
	for (size_t i = 0; i < bytes;) {
		uint32_t cp;
		size_t n = decode(u + i, bytes - i, &cp);
		if (n)
			ma_buf_add(b, p + i, n);
		else
			ma_buf_str(b, "\xef\xbf\xbd");
		i += n ? n : 1;
	}
}

/* Does a spreadsheet run what begins so? Some do with the full-width forms of the four signs, too. */
static bool is_formula(const char *p, size_t bytes)
{
	static const char signs[] = "=+-@\t\r\n";
	uint32_t cp;
	if (!bytes || !decode((const unsigned char *)p, bytes, &cp))
		return false;
	if (cp > 0xff00 && cp < 0xff5f)
		cp -= 0xff00 - 0x20;
	return cp && cp < 0x80 && strchr(signs, (int)cp);
}

void ma_escape_csv(struct ma_buf *b, const char *p, size_t bytes)
{
	bool formula = is_formula(p, bytes);
	bool quote = formula;
	for (size_t i = 0; i < bytes && !quote; i++)
		quote = p[i] == '"' || p[i] == ',' || p[i] == '\n' || p[i] == '\r';
	if (bytes && (p[0] == ' ' || p[bytes - 1] == ' '))
		quote = true;
	if (quote)
		ma_buf_u8(b, '"');
	if (formula)
		ma_buf_u8(b, '\'');
	for (size_t i = 0; i < bytes; i++) {
		if (p[i] == '"')
			ma_buf_u8(b, '"');
		ma_buf_u8(b, (uint8_t)p[i]);
	}
	if (quote)
		ma_buf_u8(b, '"');
}

static size_t columns_of(uint32_t cp)
{
	if ((cp >= 0x300 && cp <= 0x36f) || (cp >= 0x1ab0 && cp <= 0x1aff) || (cp >= 0x20d0 && cp <= 0x20ff) ||
	    (cp >= 0xfe00 && cp <= 0xfe0f))
		return 0;
	bool wide =
		(cp >= 0x1100 && cp <= 0x115f) || (cp >= 0x2e80 && cp <= 0xa4cf) || (cp >= 0xac00 && cp <= 0xd7a3) ||
		(cp >= 0xf900 && cp <= 0xfaff) || (cp >= 0xfe30 && cp <= 0xfe6f) || (cp >= 0xff00 && cp <= 0xff60) ||
		(cp >= 0xffe0 && cp <= 0xffe6) || (cp >= 0x1f300 && cp <= 0x1faff) || (cp >= 0x20000 && cp <= 0x3fffd);
	return wide ? 2 : 1;
}

size_t ma_text_columns(const char *text)
{
	size_t columns = 0, bytes = strlen(text);
	for (size_t i = 0; i < bytes;) {
		uint32_t cp;
		size_t n = decode((const unsigned char *)text + i, bytes - i, &cp);
		columns += n ? columns_of(cp) : 1;
		i += n ? n : 1;
	}
	return columns;
}

/* Bytes of the longest beginning that takes at most `columns` columns. */
static size_t beginning(const char *text, size_t bytes, size_t columns)
{
	size_t i = 0, used = 0;
	while (i < bytes) {
		uint32_t cp;
		size_t n = decode((const unsigned char *)text + i, bytes - i, &cp);
		size_t w = n ? columns_of(cp) : 1;
		if (used + w > columns)
			break;
		used += w;
		i += n ? n : 1;
	}
	return i;
}

void ma_text_fit(char *text, size_t columns)
{
	size_t all = ma_text_columns(text), bytes = strlen(text);
	if (all <= columns)
		return;
	if (columns < 8) {
		text[beginning(text, bytes, columns)] = '\0';
		return;
	}
	/* the end of a name says more than its middle: half and half */
	size_t tail_columns = (columns - 3) / 2;
	size_t head = beginning(text, bytes, columns - 3 - tail_columns);
	size_t tail = beginning(text, bytes, all - tail_columns);
	while (ma_text_columns(text + tail) > tail_columns)
		tail += beginning(text + tail, bytes - tail, 2) ?: 1;
	if (head + 3 > tail) /* cannot be: at least 4 columns go, each at least one byte; kept for the copy below */
		return;
	memcpy(text + head, "...", 3);
	memmove(text + head + 3, text + tail, bytes - tail + 1);
}

void ma_escape_json(struct ma_buf *b, const char *p, size_t bytes)
{
	const unsigned char *u = (const unsigned char *)p;
	ma_buf_u8(b, '"');
	for (size_t i = 0; i < bytes;) {
		uint32_t cp;
		size_t n = decode(u + i, bytes - i, &cp);
		if (!n)
			ma_buf_str(b, "\xef\xbf\xbd");
		else if (cp == '"' || cp == '\\')
			ma_buf_printf(b, "\\%c", (char)cp);
		else if (cp < 0x20 || cp == 0x7f)
			ma_buf_printf(b, "\\u%04x", cp);
		else
			ma_buf_add(b, p + i, n);
		i += n ? n : 1;
	}
	ma_buf_u8(b, '"');
}
