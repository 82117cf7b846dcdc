// SPDX-License-Identifier: Apache-2.0
/* type_detail.h - the objects of one type: how large they are, which are the largest, what holds them. */
#ifndef MA_TYPE_DETAIL_H
#define MA_TYPE_DETAIL_H

#include "merged_ways.h"

#define MA_SIZE_CLASSES 64
#define MA_EXAMPLES_MAX 5

struct ma_type_detail {
	struct {
		uint64_t count, bytes;
	} sizes[MA_SIZE_CLASSES];           /* [i]: of 2^i to 2^(i+1) - 1 bytes */
	uint32_t examples[MA_EXAMPLES_MAX]; /* nodes, most retained first */
	size_t examples_count;
	char *paths[MA_EXAMPLES_MAX]; /* untrusted bytes */
	struct ma_merged_ways merged;
};

/* `wanted` as in merged_ways.h. */
MA_CHECK struct ma_error *ma_type_detail_create(const struct ma_trees *t, const bool *wanted,
						struct ma_type_detail *ret);
void ma_type_detail_deinit(struct ma_type_detail *d);

#endif
