// SPDX-License-Identifier: Apache-2.0
/* copies.h - objects with a key of their content, sorted so that equal ones are neighbours. */
#ifndef MA_COPIES_H
#define MA_COPIES_H

#include <memattach/error.h>
#include <memattach/types.h>

struct ma_copy {         /* 12 bytes */
	uint32_t key[2]; /* upper half first */
	uint32_t node;
};
static inline uint64_t ma_copy_key(const struct ma_copy *c)
{
	return (uint64_t)c->key[0] << 32 | c->key[1];
}

struct ma_copies { /* all zero is empty */
	struct ma_copy *items;
	size_t count, room;
};

MA_CHECK struct ma_error *ma_copies_add(struct ma_copies *c, uint64_t key, uint32_t node);
/* By key, then by node; in place. */
void ma_copies_sort(struct ma_copies *c);
void ma_copies_deinit(struct ma_copies *c);

/* A hash of `hash` and one more number, for keys of several. */
static inline uint64_t ma_copies_mix(uint64_t hash, uint64_t value)
{
	hash = ((hash + UINT64_C(0x632be59bd9b4e019)) ^ value) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 31;
}

#endif
