// SPDX-License-Identifier: Apache-2.0
#include "addr_index.h"

#include "bits.h"
#include "cleanup.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_SHIFT 12
#define WORDS 8

static inline uint32_t before_word(const struct ma_addr_page *p, unsigned word)
{
	return word ? (uint32_t)(p->before >> 9 * (word - 1)) & 511 : 0;
}

static uint32_t slot_of(const struct ma_addr_index *x, uint64_t number)
{
	return (uint32_t)((number * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - x->slots_bits));
}

/* Position + 1 of the page in x->pages, or 0; *slot_ret is where it is or would be. */
static uint32_t find_page(const struct ma_addr_index *x, uint64_t number, uint32_t *slot_ret)
{
	uint32_t mask = (UINT32_C(1) << x->slots_bits) - 1;
	uint32_t slot = slot_of(x, number);
	while (x->slots[slot] && x->pages[x->slots[slot] - 1].number != number)
		slot = (slot + 1) & mask;
	*slot_ret = slot;
	return x->slots[slot];
}

static struct ma_error *rebuild_slots(struct ma_addr_index *x, unsigned bits)
{
	uint32_t *slots = calloc((size_t)1 << bits, sizeof(*slots));
	if (!slots)
		return &ma_enomem;
	free(x->slots);
	x->slots = slots;
	x->slots_bits = bits;
	for (size_t i = 0; i < x->pages_count; i++) {
		uint32_t slot;
		find_page(x, x->pages[i].number, &slot);
		x->slots[slot] = (uint32_t)i + 1;
	}
	return NULL;
}

void ma_addr_index_deinit(struct ma_addr_index *x)
{
	free(x->pages);
	free(x->slots);
	memset(x, 0, sizeof(*x));
}

static struct ma_error *add_page(struct ma_addr_index *x, uint64_t number, uint32_t *ret)
{
	if (x->pages_count == x->pages_cap) {
		size_t cap = x->pages_cap ? x->pages_cap + x->pages_cap / 2 : 256;
		struct ma_addr_page *pages = reallocarray(x->pages, cap, sizeof(*pages));
		if (!pages)
			return &ma_enomem;
		x->pages = pages;
		x->pages_cap = cap;
	}
	/* at most half full, so that a search stays short */
	if (!x->slots || (x->pages_count + 1) * 2 > (size_t)1 << x->slots_bits)
		MA_TRY(rebuild_slots(x, x->slots ? x->slots_bits + 1 : 10));
	uint32_t slot;
	find_page(x, number, &slot);
	x->pages[x->pages_count++] = (struct ma_addr_page){ .number = number };
	x->slots[slot] = (uint32_t)x->pages_count;
	*ret = (uint32_t)x->pages_count;
	return NULL;
}

struct ma_error *ma_addr_index_add(struct ma_addr_index *x, uint64_t addr)
{
	uint64_t number = addr >> PAGE_SHIFT;
	uint32_t page = x->last == number ? x->last_slot : 0, slot;
	if (!page && x->slots)
		page = find_page(x, number, &slot);
	if (!page)
		MA_TRY(add_page(x, number, &page));
	x->last = number;
	x->last_slot = page;
	unsigned bit = (unsigned)(addr >> 3) & 511;
	uint64_t mask = UINT64_C(1) << (bit & 63);
	uint64_t *word = &x->pages[page - 1].bits[bit >> 6];
	if (*word & mask)
		return NULL;
	if (x->count == INT32_MAX)
		return ma_errorf(MA_ERR_LIMIT, "more than 2147483647 objects");
	*word |= mask;
	x->count++;
	return NULL;
}

struct ma_error *ma_addr_index_merge(struct ma_addr_index *x, const struct ma_addr_index *from)
{
	uint64_t count = x->count;
	for (size_t i = 0; i < from->pages_count; i++) {
		const struct ma_addr_page *src = &from->pages[i];
		uint32_t slot, page = x->slots ? find_page(x, src->number, &slot) : 0;
		if (!page)
			MA_TRY(add_page(x, src->number, &page));
		for (unsigned w = 0; w < WORDS; w++) {
			uint64_t *to = &x->pages[page - 1].bits[w];
			count += ma_ones(src->bits[w] & ~*to);
			*to |= src->bits[w];
		}
	}
	if (count > INT32_MAX)
		return ma_errorf(MA_ERR_LIMIT, "more than 2147483647 objects");
	x->count = (uint32_t)count;
	return NULL;
}

static int by_number(const void *a, const void *b)
{
	const struct ma_addr_page *x = a, *y = b;
	return x->number < y->number ? -1 : x->number > y->number;
}

struct ma_error *ma_addr_index_freeze(struct ma_addr_index *x)
{
	if (x->pages_count)
		qsort(x->pages, x->pages_count, sizeof(*x->pages), by_number);
	uint32_t base = 0;
	for (size_t i = 0; i < x->pages_count; i++) {
		x->pages[i].base = base;
		uint64_t in_page = 0;
		x->pages[i].before = 0;
		for (unsigned w = 0; w < WORDS; w++) {
			if (w)
				x->pages[i].before |= in_page << 9 * (w - 1);
			in_page += ma_ones(x->pages[i].bits[w]);
		}
		base += (uint32_t)in_page;
	}
	x->last_slot = 0;
	return rebuild_slots(x, x->slots ? x->slots_bits : 10);
}

uint32_t ma_addr_index_find(struct ma_addr_index *x, uint64_t addr)
{
	uint64_t number = addr >> PAGE_SHIFT;
	uint32_t page = x->last == number ? x->last_slot : 0, slot;
	if (!page) {
		page = find_page(x, number, &slot);
		if (!page)
			return MA_NO_INDEX;
		x->last = number;
		x->last_slot = page;
	}
	const struct ma_addr_page *p = &x->pages[page - 1];
	unsigned bit = (unsigned)(addr >> 3) & 511, word = bit >> 6;
	uint64_t mask = UINT64_C(1) << (bit & 63);
	if (!(p->bits[word] & mask) || (addr & 7))
		return MA_NO_INDEX;
	return p->base + before_word(p, word) + ma_ones(p->bits[word] & (mask - 1));
}

uint64_t ma_addr_index_addr(const struct ma_addr_index *x, uint32_t i)
{
	size_t lo = 0, hi = x->pages_count;
	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;
		if (x->pages[mid].base <= i)
			lo = mid;
		else
			hi = mid;
	}
	const struct ma_addr_page *p = &x->pages[lo];
	uint32_t left = i - p->base;
	for (unsigned w = 0; w < WORDS; w++) {
		uint32_t n = ma_ones(p->bits[w]);
		if (left >= n) {
			left -= n;
			continue;
		}
		uint64_t bits = p->bits[w];
		while (left--)
			bits &= bits - 1;
		return (p->number << PAGE_SHIFT) + ((uint64_t)w << 9) + ((uint64_t)__builtin_ctzll(bits) << 3);
	}
	return 0;
}
