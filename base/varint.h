// SPDX-License-Identifier: Apache-2.0
/* varint.h - LEB128 and zigzag, and a bounded cursor over untrusted bytes.
 * Once a cursor failed it stays failed and reads give 0, so a parser may check once at its end. */
#ifndef MA_VARINT_H
#define MA_VARINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MA_VARINT_MAX 10 /* bytes of the longest 64-bit varint */

struct ma_cursor {
	const uint8_t *p, *end;
	bool bad;
};

static inline void ma_cursor_init(struct ma_cursor *c, const void *data, size_t bytes)
{
	c->p = (const uint8_t *)data;
	c->end = c->p + bytes;
	c->bad = false;
}

static inline size_t ma_cursor_left(const struct ma_cursor *c)
{
	return c->bad ? 0 : (size_t)(c->end - c->p);
}

static inline uint64_t ma_cursor_varint(struct ma_cursor *c)
{
	if (!c->bad && c->p < c->end && *c->p < 0x80)
		return *c->p++;
	uint64_t v = 0;
	for (unsigned shift = 0; shift < 64 && !c->bad && c->p < c->end; shift += 7) {
		uint8_t b = *c->p++;
		if (shift == 63 && b > 1)
			break;
		v |= (uint64_t)(b & 0x7f) << shift;
		if (b < 0x80)
			return v;
	}
	c->bad = true;
	return 0;
}

/* The next `bytes` bytes, or NULL (and failed) when there are fewer. */
static inline const uint8_t *ma_cursor_take(struct ma_cursor *c, uint64_t bytes)
{
	if (c->bad || bytes > (uint64_t)(c->end - c->p)) {
		c->bad = true;
		return NULL;
	}
	const uint8_t *p = c->p;
	c->p += bytes;
	return p;
}

static inline uint32_t ma_cursor_u32(struct ma_cursor *c)
{
	uint32_t v = 0;
	const uint8_t *p = ma_cursor_take(c, 4);
	if (p)
		memcpy(&v, p, 4);
	return v;
}

static inline uint64_t ma_cursor_u64(struct ma_cursor *c)
{
	uint64_t v = 0;
	const uint8_t *p = ma_cursor_take(c, 8);
	if (p)
		memcpy(&v, p, 8);
	return v;
}

static inline uint8_t *ma_varint_put(uint8_t *p, uint64_t v)
{
	while (v >= 0x80) {
		*p++ = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	*p++ = (uint8_t)v;
	return p;
}

static inline uint64_t ma_zigzag(int64_t v)
{
	return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static inline int64_t ma_unzigzag(uint64_t v)
{
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

#endif
