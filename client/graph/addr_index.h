// SPDX-License-Identifier: Apache-2.0
/* addr_index.h - from the address of an object to a dense number (its rank in address order) and back.
 *
 * One bit for each 8 bytes of every 4 KiB page that holds an object, and the number of objects before the
 * page: about 1.5 bytes an object in a full heap, where a sorted array takes 8 and a hash 16. */
#ifndef MA_ADDR_INDEX_H
#define MA_ADDR_INDEX_H

#include <memattach/error.h>
#include <memattach/types.h>

#define MA_NO_INDEX UINT32_MAX

struct ma_addr_page {
	uint64_t number; /* address >> 12 */
	uint64_t bits[8];
	uint64_t before; /* objects in the page before words 1 to 7, nine bits each; set by freeze */
	uint32_t base;   /* objects in pages before it; set by freeze */
};

struct ma_addr_index {
	struct ma_addr_page *pages;
	size_t pages_count, pages_cap;
	uint32_t *slots; /* open addressing; page position + 1, 0 = free */
	unsigned slots_bits;
	uint32_t count;     /* addresses in it */
	uint64_t last;      /* the page found last, for runs of neighbours */
	uint32_t last_slot; /* its position + 1, 0 = none */
};

/* All zero is an empty index. */
void ma_addr_index_deinit(struct ma_addr_index *x);
/* Adds `addr` (a multiple of 8); an address that is there already changes nothing. MA_ERR_LIMIT above 2^31 - 1. */
MA_CHECK struct ma_error *ma_addr_index_add(struct ma_addr_index *x, uint64_t addr);
/* Adds all that is in `from`. */
MA_CHECK struct ma_error *ma_addr_index_merge(struct ma_addr_index *x, const struct ma_addr_index *from);
/* Sorts and numbers. Nothing may be added after it, and nothing found before it. */
MA_CHECK struct ma_error *ma_addr_index_freeze(struct ma_addr_index *x);
/* The number of `addr`, or MA_NO_INDEX. A copy of the struct that is not freed may look up in another thread. */
uint32_t ma_addr_index_find(struct ma_addr_index *x, uint64_t addr);
/* The address of number `i`, which must be below count. */
uint64_t ma_addr_index_addr(const struct ma_addr_index *x, uint32_t i);

#endif
