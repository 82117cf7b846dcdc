// SPDX-License-Identifier: Apache-2.0
/* The input is a string of a target. What becomes of it must be safe where it goes: for a terminal nothing is left that
 * an escape would change once more, JSON is one string, CSV one field that is no formula. */
#include "escape.h"
#include "fuzz.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static void must(int good)
{
	if (!good)
		abort();
}

static void terminal(const char *p, size_t bytes)
{
	_cleanup_buf_ struct ma_buf once = MA_BUF_INIT(64 << 20), again = MA_BUF_INIT(64 << 20);
	ma_escape_text(&once, p, bytes);
	ma_escape_text(&again, ma_buf_text(&once), once.len);
	must(once.len == again.len && !memcmp(ma_buf_text(&once), ma_buf_text(&again), once.len));
	for (size_t i = 0; i < once.len; i++)
		must((unsigned char)once.data[i] >= 0x20 && once.data[i] != 0x7f);
	if (once.data) {
		ma_text_fit(once.data, 40);
		must(ma_text_columns(once.data) <= 40);
	}
}

static void json(const char *p, size_t bytes)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(64 << 20);
	ma_escape_json(&b, p, bytes);
	json_t *v = json_loadb(ma_buf_text(&b), b.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	must(json_is_string(v));
	json_decref(v);
}

static void csv(const char *p, size_t bytes)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(64 << 20);
	ma_escape_csv(&b, p, bytes);
	const char *text = ma_buf_text(&b);
	bool quoted = text[0] == '"' && b.len;
	must(!b.len || !strchr("=+-@\t\r\n", text[quoted]) || !text[quoted]);
	for (size_t i = 1; quoted && i + 1 < b.len; i++)
		if (text[i] == '"')
			must(++i + 1 < b.len && text[i] == '"');
	if (quoted)
		must(b.len >= 2 && text[b.len - 1] == '"');
	for (size_t i = 0; !quoted && i < b.len; i++)
		must(!strchr(",\"\n\r", text[i]) || !text[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = size ? (const char *)data : "";
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(64 << 20);
	terminal(p, size);
	json(p, size);
	csv(p, size);
	ma_escape_utf8(&b, p, size);
	return 0;
}
