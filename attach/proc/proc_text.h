// SPDX-License-Identifier: Apache-2.0
/* proc_text.h - bounded scanning of untrusted /proc text; used inside attach/proc only. */
#ifndef MA_PROC_TEXT_H
#define MA_PROC_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct text {
	const char *p, *end;
};

/* The next line without its newline; false at the end. The last line may lack its newline: *whole_ret says so. */
static inline bool text_line(struct text *t, struct text *ret, bool *whole_ret)
{
	if (t->p >= t->end)
		return false;
	const char *nl = memchr(t->p, '\n', (size_t)(t->end - t->p));
	ret->p = t->p;
	ret->end = nl ? nl : t->end;
	t->p = nl ? nl + 1 : t->end;
	if (whole_ret)
		*whole_ret = nl != NULL;
	return true;
}

static inline void text_blanks(struct text *t)
{
	while (t->p < t->end && (*t->p == ' ' || *t->p == '\t'))
		t->p++;
}

static inline bool text_char(struct text *t, char c)
{
	if (t->p >= t->end || *t->p != c)
		return false;
	t->p++;
	return true;
}

/* At least one digit; false when there is none or the number is over 64 bits. */
static inline bool text_u64(struct text *t, uint64_t *ret)
{
	const char *start = t->p;
	uint64_t v = 0;
	while (t->p < t->end && *t->p >= '0' && *t->p <= '9') {
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(*t->p - '0'), &v))
			return false;
		t->p++;
	}
	*ret = v;
	return t->p > start;
}

/* Lower-case, as the kernel prints it: "Anonymous:" of smaps must not read as the number 0xa. */
static inline bool text_hex(struct text *t, uint64_t *ret)
{
	const char *start = t->p;
	uint64_t v = 0;
	for (; t->p < t->end; t->p++) {
		char c = *t->p;
		unsigned digit;
		if (c >= '0' && c <= '9')
			digit = (unsigned)(c - '0');
		else if (c >= 'a' && c <= 'f')
			digit = (unsigned)(c - 'a') + 10;
		else
			break;
		if (v >> 60)
			return false;
		v = v << 4 | digit;
	}
	*ret = v;
	return t->p > start;
}

/* A signed number that fits a pid or an exit signal. */
static inline bool text_int(struct text *t, int *ret)
{
	bool minus = text_char(t, '-');
	uint64_t v;
	if (!text_u64(t, &v) || v > INT32_MAX)
		return false;
	*ret = minus ? -(int)v : (int)v;
	return true;
}

/* true and past it when the text starts with `key`. */
static inline bool text_key(struct text *t, const char *key)
{
	size_t n = strlen(key);
	if ((size_t)(t->end - t->p) < n || memcmp(t->p, key, n) != 0)
		return false;
	t->p += n;
	return true;
}

#endif
