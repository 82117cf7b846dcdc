// SPDX-License-Identifier: Apache-2.0
/* array_lists.h - lists of float or int whose content an array of numpy has, too, as far as samples tell. */
#ifndef MA_ARRAY_LISTS_H
#define MA_ARRAY_LISTS_H

#include <memattach/snapshot.h>

struct ma_array_key {           /* what is looked for: an array */
	uint64_t items, hash;   /* of its samples */
	uint32_t kind, samples; /* of struct ma_snap_content */
};

struct ma_array_list { /* a list that is as long as an array */
	uint64_t addr, items, bytes;
	uint32_t kind, known; /* known: how many values are there */
	uint64_t values[MA_CONTENT_SAMPLES];
};

struct ma_array_lists { /* all zero is empty */
	struct ma_array_key *keys;
	struct ma_array_list *lists;
	size_t keys_count, count, room;
};

/* Which arrays there are, of which the snapshot has samples. */
MA_CHECK struct ma_error *ma_array_lists_begin(const struct ma_snap *s, struct ma_array_lists *ret);
/* A list of `items` elements of one type, enum ma_content_kind; `bytes` would be saved without it. */
MA_CHECK struct ma_error *ma_array_lists_offer(struct ma_array_lists *a, uint64_t addr, uint64_t items, uint32_t kind,
					       uint64_t bytes);
/* How many of those offered are in an array, and their bytes. Two passes over the file, where a list is as long as an
 * array. */
MA_CHECK struct ma_error *ma_array_lists_finish(struct ma_array_lists *a, const struct ma_snap *s, uint64_t *count_ret,
						uint64_t *bytes_ret);
void ma_array_lists_deinit(struct ma_array_lists *a);

#endif
