// SPDX-License-Identifier: Apache-2.0
/* memattach/siphash.h - SipHash (Aumasson and Bernstein, https://www.aumasson.jp/siphash/): a keyed hash of short inputs.
 * Who has the hashes but not the key learns nothing of the contents but which of them are equal. Shared by the agent and
 * the tool; needs <stdint.h> only.
 *
 * The hash of a str or bytes is SipHash-1-3 of its data with the key ma_siphash_width_key(series key, width): a str and a
 * bytes of the same bytes have different hashes, and so have two str whose bytes agree but not their width. */
#ifndef MEMATTACH_SIPHASH_H
#define MEMATTACH_SIPHASH_H

#include <stdint.h>

#define MA_SIPHASH_KEY_BYTES 16u

struct ma_siphash_key {
	uint64_t k0, k1;
};

struct ma_siphash {
	uint64_t v0, v1, v2, v3;
};

#define MA_SIP_ROTL(x, b) ((x) << (b) | (x) >> (64 - (b)))

static inline __attribute__((always_inline)) void ma_siphash_rounds(struct ma_siphash *s, unsigned n)
{
	uint64_t v0 = s->v0, v1 = s->v1, v2 = s->v2, v3 = s->v3;
	for (; n; n--) {
		v0 += v1;
		v2 += v3;
		v1 = MA_SIP_ROTL(v1, 13) ^ v0;
		v3 = MA_SIP_ROTL(v3, 16) ^ v2;
		v0 = MA_SIP_ROTL(v0, 32) + v3;
		v2 += v1;
		v1 = MA_SIP_ROTL(v1, 17) ^ v2;
		v3 = MA_SIP_ROTL(v3, 21) ^ v0;
		v2 = MA_SIP_ROTL(v2, 32);
	}
	*s = (struct ma_siphash){ v0, v1, v2, v3 };
}

static inline __attribute__((always_inline)) struct ma_siphash ma_siphash_begin(const struct ma_siphash_key *k)
{
	return (struct ma_siphash){ k->k0 ^ 0x736f6d6570736575ull, k->k1 ^ 0x646f72616e646f6dull,
				    k->k0 ^ 0x6c7967656e657261ull, k->k1 ^ 0x7465646279746573ull };
}

/* One little-endian word of the message; c = 1 for SipHash-1-3, 2 for SipHash-2-4. */
static inline __attribute__((always_inline)) void ma_siphash_word(struct ma_siphash *s, uint64_t word, unsigned c)
{
	s->v3 ^= word;
	ma_siphash_rounds(s, c);
	s->v0 ^= word;
}

/* The last word has the 0 to 7 bytes that are left, and the length in its highest byte; d = 3 or 4. */
static inline __attribute__((always_inline)) uint64_t ma_siphash_end(struct ma_siphash *s, uint64_t rest,
								      uint64_t length, unsigned c, unsigned d)
{
	ma_siphash_word(s, rest | length << 56, c);
	s->v2 ^= 0xff;
	ma_siphash_rounds(s, d);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

static inline uint64_t ma_siphash_load(const uint8_t *p, unsigned bytes)
{
	uint64_t w = 0;
	for (unsigned i = 0; i < bytes; i++)
		w |= (uint64_t)p[i] << (8 * i);
	return w;
}

/* The whole of it, for callers without haste. */
static inline uint64_t ma_siphash(const struct ma_siphash_key *k, const void *data, uint64_t bytes, unsigned c,
				  unsigned d)
{
	struct ma_siphash s = ma_siphash_begin(k);
	const uint8_t *p = (const uint8_t *)data;
	uint64_t left = bytes;
	for (; left >= 8; left -= 8, p += 8)
		ma_siphash_word(&s, ma_siphash_load(p, 8), c);
	return ma_siphash_end(&s, ma_siphash_load(p, (unsigned)left), bytes, c, d);
}

static inline struct ma_siphash_key ma_siphash_key_of(const uint8_t key[MA_SIPHASH_KEY_BYTES])
{
	return (struct ma_siphash_key){ ma_siphash_load(key, 8), ma_siphash_load(key + 8, 8) };
}

/* The key for characters of `width` bytes (1, 2, 4) and, with 0, for bytes: SipHash-2-4 of the two bytes `width` 0 and
 * `width` 1. */
static inline struct ma_siphash_key ma_siphash_width_key(const uint8_t key[MA_SIPHASH_KEY_BYTES], unsigned width)
{
	struct ma_siphash_key k = ma_siphash_key_of(key);
	uint8_t low[2] = { (uint8_t)width, 0 }, high[2] = { (uint8_t)width, 1 };
	return (struct ma_siphash_key){ ma_siphash(&k, low, 2, 2, 4), ma_siphash(&k, high, 2, 2, 4) };
}

/* What stands in the file for the key: SipHash-2-4 of "memattach". */
static inline uint64_t ma_siphash_key_id(const uint8_t key[MA_SIPHASH_KEY_BYTES])
{
	struct ma_siphash_key k = ma_siphash_key_of(key);
	return ma_siphash(&k, "memattach", 9, 2, 4);
}

#endif
