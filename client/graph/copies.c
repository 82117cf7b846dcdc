// SPDX-License-Identifier: Apache-2.0
#include "copies.h"

#include "cleanup.h"

#include <stdlib.h>
#include <string.h>

#define DIGITS 256u
#define KEY_DIGITS 8u
#define ALL_DIGITS 12u /* those of the key, highest first, then those of the node */
#define FEW 32u        /* so many are sorted one by one */

struct ma_error *ma_copies_add(struct ma_copies *c, uint64_t key, uint32_t node)
{
	if (c->count == c->room) {
		size_t room = c->room ? c->room * 2 : 4096;
		struct ma_copy *more = reallocarray(c->items, room, sizeof(*more));
		if (!more)
			return &ma_enomem;
		c->items = more;
		c->room = room;
	}
	c->items[c->count++] = (struct ma_copy){ { (uint32_t)(key >> 32), (uint32_t)key }, node };
	return NULL;
}

static unsigned digit_of(const struct ma_copy *c, unsigned at)
{
	uint32_t word = at < KEY_DIGITS ? c->key[at / 4] : c->node;
	return word >> (24 - at % 4 * 8) & (DIGITS - 1);
}

static bool before(const struct ma_copy *a, const struct ma_copy *b)
{
	uint64_t x = ma_copy_key(a), y = ma_copy_key(b);
	return x != y ? x < y : a->node < b->node;
}

static void sort_few(struct ma_copy *items, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct ma_copy c = items[i];
		size_t k = i;
		for (; k && before(&c, &items[k - 1]); k--)
			items[k] = items[k - 1];
		items[k] = c;
	}
}

/* American flag sort (McIlroy, Bostic, McIlroy 1993): by one digit, in place, then each part by the next. */
static void sort_from(struct ma_copy *items, size_t n, unsigned at)
{
	size_t end[DIGITS] = { 0 }, next[DIGITS], sum = 0;
	for (size_t i = 0; i < n; i++)
		end[digit_of(&items[i], at)]++;
	for (unsigned d = 0; d < DIGITS; d++) {
		next[d] = sum;
		sum += end[d];
		end[d] = sum;
	}
	for (unsigned d = 0; d < DIGITS; d++) {
		while (next[d] < end[d]) {
			struct ma_copy c = items[next[d]];
			for (unsigned to = digit_of(&c, at); to != d; to = digit_of(&c, at)) {
				struct ma_copy *place = &items[next[to]++], other = *place;
				*place = c;
				c = other;
			}
			items[next[d]++] = c;
		}
	}
	for (unsigned d = 0; d < DIGITS; d++) {
		size_t first = d ? end[d - 1] : 0, count = end[d] - first;
		if (count < 2)
			continue;
		if (count <= FEW)
			sort_few(items + first, count);
		else if (at + 1 < ALL_DIGITS)
			sort_from(items + first, count, at + 1); /* at most ALL_DIGITS deep */
	}
}

void ma_copies_sort(struct ma_copies *c)
{
	if (c->count)
		sort_from(c->items, c->count, 0);
}

void ma_copies_deinit(struct ma_copies *c)
{
	free(c->items);
	memset(c, 0, sizeof(*c));
}
