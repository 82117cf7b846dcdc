// SPDX-License-Identifier: Apache-2.0
#include "bits.h"

#include <stdlib.h>
#include <string.h>

struct ma_error *ma_bits_create(uint32_t nodes, struct ma_bits *ret)
{
	size_t words = (size_t)nodes / 64 + 1;
	struct ma_bits x = { calloc(words, sizeof(*x.bits)), malloc(words * sizeof(*x.before)), words, 0 };
	if (!x.bits || !x.before) {
		ma_bits_deinit(&x);
		return &ma_enomem;
	}
	*ret = x;
	return NULL;
}

void ma_bits_number_all(struct ma_bits *x)
{
	x->count = 0;
	for (size_t w = 0; w < x->words; w++) {
		x->before[w] = x->count;
		x->count += ma_ones(x->bits[w]);
	}
}

void ma_bits_deinit(struct ma_bits *x)
{
	free(x->bits);
	free(x->before);
	memset(x, 0, sizeof(*x));
}
