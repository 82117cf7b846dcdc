// SPDX-License-Identifier: Apache-2.0
/* bits.h - a set of nodes, and their numbers from 0 in their order: what only they have takes an array by these. */
#ifndef MA_BITS_H
#define MA_BITS_H

#include <memattach/error.h>
#include <memattach/types.h>

struct ma_bits { /* 1.5 bits a node */
	uint64_t *bits;
	uint32_t *before; /* members before each word of bits; set by ma_bits_number_all() */
	size_t words;
	uint32_t count;
};

/* An empty set of nodes below `nodes`. */
MA_CHECK struct ma_error *ma_bits_create(uint32_t nodes, struct ma_bits *ret);
void ma_bits_deinit(struct ma_bits *x);
/* After the last ma_bits_set(). */
void ma_bits_number_all(struct ma_bits *x);

static inline void ma_bits_set(struct ma_bits *x, uint32_t node, bool member)
{
	x->bits[node / 64] |= (uint64_t)member << node % 64;
}

static inline bool ma_bits_has(const struct ma_bits *x, uint32_t node)
{
	return x->bits[node / 64] >> node % 64 & 1;
}

/* As Hacker's Delight counts them: the compiler calls a function where the CPU may lack popcnt. */
static inline uint32_t ma_ones(uint64_t v)
{
	v -= v >> 1 & UINT64_C(0x5555555555555555);
	v = (v & UINT64_C(0x3333333333333333)) + (v >> 2 & UINT64_C(0x3333333333333333));
	v = (v + (v >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	return (uint32_t)(v * UINT64_C(0x0101010101010101) >> 56);
}

/* The number of a member. */
static inline uint32_t ma_bits_number(const struct ma_bits *x, uint32_t node)
{
	return x->before[node / 64] + ma_ones(x->bits[node / 64] & ((UINT64_C(1) << node % 64) - 1));
}

#endif
