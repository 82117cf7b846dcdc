// SPDX-License-Identifier: Apache-2.0
/* utf8.h - one character of a str object as UTF-8. */
#ifndef MAA_UTF8_H
#define MAA_UTF8_H

#include "maa.h"

/* The i-th character of `width` (1, 2 or 4) bytes. */
MAA_INLINE uint32_t maa_char_at(addr_t data, unsigned width, uint64_t i)
{
	return width == 1 ? rd8(data + i) : width == 2 ? RD(uint16_t, data + 2 * i) : rdu32(data + 4 * i);
}

/* Writes 1 to 4 bytes and returns where they end; NULL when it is no character. A lone surrogate has no UTF-8: it
 * becomes U+FFFD. */
MAA_INLINE uint8_t *maa_put_utf8(uint8_t *p, uint32_t c)
{
	if (LIKELY(c < 0x80)) {
		*p++ = (uint8_t)c;
		return p;
	}
	if (c < 0x800) {
		*p++ = (uint8_t)(0xc0 | c >> 6);
		*p++ = (uint8_t)(0x80 | (c & 63));
		return p;
	}
	if (c > 0x10ffff)
		return NULL;
	if (c >= 0x10000) {
		*p++ = (uint8_t)(0xf0 | c >> 18);
		*p++ = (uint8_t)(0x80 | (c >> 12 & 63));
	} else {
		if (c >= 0xd800 && c < 0xe000)
			c = 0xfffd;
		*p++ = (uint8_t)(0xe0 | c >> 12);
	}
	*p++ = (uint8_t)(0x80 | (c >> 6 & 63));
	*p++ = (uint8_t)(0x80 | (c & 63));
	return p;
}

#endif
