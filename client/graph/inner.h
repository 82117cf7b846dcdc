// SPDX-License-Identifier: Apache-2.0
/* inner.h - the nodes that lead anywhere, by edges or to their class, numbered from 0 in their order. In most heaps
 * they are fewer than half, so what only they can have takes an array by these numbers. */
#ifndef MA_INNER_H
#define MA_INNER_H

#include "graph.h"

struct ma_inner { /* 1.5 bits a node */
	uint64_t *bits;
	uint32_t *before; /* inner nodes before each word of bits */
	uint32_t count;
};

/* `classes`: see ma_class_nodes(); NULL = none. */
MA_CHECK struct ma_error *ma_inner_create(const struct ma_graph *g, const uint32_t *classes, struct ma_inner *ret);
void ma_inner_deinit(struct ma_inner *x);

static inline bool ma_is_inner(const struct ma_inner *x, uint32_t node)
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

/* The number of a node that is one. */
static inline uint32_t ma_inner_number(const struct ma_inner *x, uint32_t node)
{
	return x->before[node / 64] + ma_ones(x->bits[node / 64] & ((UINT64_C(1) << node % 64) - 1));
}

#endif
