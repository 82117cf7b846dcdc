// SPDX-License-Identifier: Apache-2.0
/* size.h - what the sizers share: size.c has those of built-in types, size_more.c those of extension modules. */
#ifndef MAA_SIZE_H
#define MAA_SIZE_H

#include "maa.h"

/* The absolute value of ob_size. */
MAA_INLINE uint64_t items(addr_t a)
{
	int64_t n = (int64_t)rd64(a + OB_SIZE);
	return n < 0 ? (uint64_t)-n : (uint64_t)n;
}

/* A length from an object that may be garbage: no size above 2^42 is believed. */
MAA_INLINE uint64_t sane(uint64_t bytes)
{
	return bytes > 1ull << 42 ? 0 : bytes;
}

/* Bytes at a that an object owns; small ones may be a block in an arena. */
MAA_INLINE uint64_t own_small(struct maa *m, addr_t a, uint64_t bytes)
{
	if (bytes <= 512 && a)
		maa_own(m, a);
	return bytes;
}

/* Bytes beyond tp_basicsize of an object whose size_kind is above K_SIZED. */
uint64_t maa_size_more(struct maa *m, addr_t a, const struct maa_type *t);

#endif
