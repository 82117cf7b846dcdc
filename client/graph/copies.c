// SPDX-License-Identifier: Apache-2.0
#include "copies.h"

#include "cleanup.h"

#include <stdlib.h>
#include <string.h>

#define DIGIT_BITS 11 /* six passes, and all places of a pass in the first cache */
#define DIGITS (1u << DIGIT_BITS)

struct ma_error *ma_copies_add(struct ma_copies *c, struct ma_copy item)
{
	if (c->count == c->room) {
		size_t room = c->room ? c->room * 2 : 4096;
		struct ma_copy *more = reallocarray(c->items, room, sizeof(*more));
		if (!more)
			return &ma_enomem;
		c->items = more;
		c->room = room;
	}
	c->items[c->count++] = item;
	return NULL;
}

/* One pass of a radix sort. */
static void sort_digit(const struct ma_copy *from, struct ma_copy *to, size_t n, unsigned shift, size_t *place)
{
	memset(place, 0, DIGITS * sizeof(*place));
	for (size_t i = 0; i < n; i++)
		place[from[i].key >> shift & (DIGITS - 1)]++;
	for (size_t i = 0, sum = 0; i < DIGITS; i++) {
		size_t here = place[i];
		place[i] = sum;
		sum += here;
	}
	for (size_t i = 0; i < n; i++)
		to[place[from[i].key >> shift & (DIGITS - 1)]++] = from[i];
}

struct ma_error *ma_copies_sort(struct ma_copies *c)
{
	_cleanup_free_ struct ma_copy *other = calloc(c->count + 1, sizeof(*other));
	_cleanup_free_ size_t *place = calloc(DIGITS, sizeof(*place));
	if (!other || !place)
		return &ma_enomem;
	for (unsigned shift = 0; c->count && shift < 64; shift += DIGIT_BITS) { /* an even number of passes */
		sort_digit(c->items, other, c->count, shift, place);
		struct ma_copy *swap = c->items;
		c->items = other;
		other = swap;
	}
	return NULL;
}

void ma_copies_deinit(struct ma_copies *c)
{
	free(c->items);
	memset(c, 0, sizeof(*c));
}
