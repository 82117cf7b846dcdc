// SPDX-License-Identifier: Apache-2.0
/* value.h - what is written of the contents of objects: memattach/wire.h, VALUES.
 *
 * A value is read before the record of its object begins (that may fault) and added when the record's header stands
 * (that can not), so that there is exactly one for each record. The column of one block of objects goes out before it.
 */
#ifndef MAA_VALUE_H
#define MAA_VALUE_H

#include "maa.h"

/* value.c */
int maa_values_init(struct maa *m); /* 0 or a negative errno */
/* The kind of value of a type, + 1; 0 = none is written. */
unsigned maa_value_kind(struct maa *m, addr_t t, uint64_t tp_flags);
void maa_value_read(struct maa *m, addr_t a, const struct maa_type *t);
void maa_value_add(struct maa *m, const struct maa_type *t);  /* what was read; size of the object in m->cur_size */
void maa_value_lost(struct maa *m, const struct maa_type *t); /* one that could not be read */
void maa_values_flush(struct maa *m);                         /* before the block of objects goes out */

/* The hash of `bytes` bytes at data, with at least 8 bytes of the same object before them. */
MAA_INLINE uint64_t maa_value_hash(const struct ma_siphash_key *key, addr_t data, uint64_t bytes)
{
	struct ma_siphash s = ma_siphash_begin(key);
	addr_t end = data + bytes;
	for (; data + 8 <= end; data += 8)
		ma_siphash_word(&s, rd64(data), 1);
	/* the last 8 bytes, of which `bytes % 8` are new: so nothing behind the end is read */
	uint64_t rest = rd64(end - 8) >> 1 >> (63 - 8 * (bytes & 7));
	return ma_siphash_end(&s, rest, bytes, 1, 3);
}

/* The value of a compact ASCII str, the most frequent one by far (width 1), or of bytes (0): its hash, and the length
 * that its size says. */
MAA_INLINE void maa_value_leaf(struct maa *m, addr_t data, uint64_t length, unsigned width)
{
	uint64_t hash = maa_value_hash(&m->values.key[width], data, length);
	uint8_t *p = m->values.hashes_p;
	*(uint64_t *)p = hash; /* three bytes more than it has: the next one overwrites them */
	m->values.hashes_p = p + MA_VALUE_HASH_BYTES;
	*m->values.lengths_p++ = 0;
}

#endif
