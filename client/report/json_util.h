// SPDX-License-Identifier: Apache-2.0
/* json_util.h - building JSON; only client/report/json*.c include it. */
#ifndef MA_JSON_UTIL_H
#define MA_JSON_UTIL_H

#include "analysis.h"
#include "escape.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* jansson's _new functions take over their value and do nothing with NULL; every failure is lack of memory and
 * shows at the end as a missing object. */

static inline void set(json_t *object, const char *name, json_t *value, int *failed)
{
	if (json_object_set_new(object, name, value))
		*failed = 1;
}

static inline void append(json_t *list, json_t *value, int *failed)
{
	if (json_array_append_new(list, value))
		*failed = 1;
}

static inline json_t *text_bytes(const char *p, size_t bytes)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(64 << 20);
	ma_escape_utf8(&b, p, bytes);
	return b.failed ? NULL : json_stringn(ma_buf_text(&b), b.len);
}

static inline json_t *text(const char *s)
{
	return text_bytes(s, strlen(s));
}

static inline json_t *number(uint64_t v)
{
	return json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v);
}

/* Writes `root` and frees it; write errors show in ferror(out). `failed`: something in it is missing. */
MA_CHECK struct ma_error *ma_json_dump(FILE *out, json_t *root, int failed);
/* Adds what the report says about resident memory (json_memory.c). */
void ma_json_memory(json_t *root, const struct ma_analysis *a, int *failed);

/* Where memory was allocated (json_sites.c). */
void ma_json_sites(json_t *root, const struct ma_analysis *a, int *failed);
json_t *ma_json_line(struct ma_str file, uint32_t line, int *failed);
/* Types with count and bytes. */
json_t *ma_json_consists(const struct ma_snap *s, const struct ma_consists *types, size_t count, int *failed);

/* What the same data would not take (json_waste.c). */
void ma_json_waste(json_t *root, const struct ma_analysis *a, int *failed);

#endif
