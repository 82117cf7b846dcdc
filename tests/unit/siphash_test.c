// link: ma_base
// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include <memattach/siphash.h>
#include <string.h>

/* The first vectors of the reference implementation (siphash/vectors.h): key 00 01 .. 0f, message 00 01 .. n-1. */
static const uint8_t vectors24[][8] = {
	{ 0x31, 0x0e, 0x0e, 0xdd, 0x47, 0xdb, 0x6f, 0x72 }, { 0xfd, 0x67, 0xdc, 0x93, 0xc5, 0x39, 0xf8, 0x74 },
	{ 0x5a, 0x4f, 0xa9, 0xd9, 0x09, 0x80, 0x6c, 0x0d }, { 0x2d, 0x7e, 0xfb, 0xd7, 0x96, 0x66, 0x67, 0x85 },
	{ 0xb7, 0x87, 0x71, 0x27, 0xe0, 0x94, 0x27, 0xcf }, { 0x8d, 0xa6, 0x99, 0xcd, 0x64, 0x55, 0x76, 0x18 },
	{ 0xce, 0xe3, 0xfe, 0x58, 0x6e, 0x46, 0xc9, 0xcb }, { 0x37, 0xd1, 0x01, 0x8b, 0xf5, 0x00, 0x02, 0xab },
	{ 0x62, 0x24, 0x93, 0x9a, 0x79, 0xf5, 0xf5, 0x93 },
};

Test(siphash, published_vectors)
{
	uint8_t key[MA_SIPHASH_KEY_BYTES], message[64];
	for (unsigned i = 0; i < sizeof(message); i++)
		message[i] = (uint8_t)i;
	memcpy(key, message, sizeof(key));
	struct ma_siphash_key k = ma_siphash_key_of(key);
	for (unsigned n = 0; n < sizeof(vectors24) / 8; n++)
		cr_expect_eq(ma_siphash(&k, message, n, 2, 4), ma_siphash_load(vectors24[n], 8), "%u bytes", n);
	/* the example in appendix A of the paper */
	cr_expect_eq(ma_siphash(&k, message, 15, 2, 4), 0xa129ca6149be45e5ull);
}

/* What CPython 3.11, whose hash of bytes is SipHash-1-3, says with PYTHONHASHSEED=0, which makes the key zero. */
Test(siphash, one_three_as_cpython_has_it)
{
	static const struct {
		const char *text;
		uint64_t hash;
	} cases[] = {
		{ "a", 0x407448d2b89b1813 },
		{ "abcdefg", 0x6db12aae9070f506 },
		{ "abcdefgh", 0x3f7b849c0b8e35ea },
		{ "the quick brown fox", 0x5a17575ad3449cba },
	};
	struct ma_siphash_key zero = { 0, 0 };
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_eq(ma_siphash(&zero, cases[i].text, strlen(cases[i].text), 1, 3), cases[i].hash, "%s",
			     cases[i].text);
}

Test(siphash, keys_of_widths_differ)
{
	uint8_t key[MA_SIPHASH_KEY_BYTES] = { 1 };
	static const unsigned widths[] = { 0, 1, 2, 4 };
	for (unsigned i = 0; i < 4; i++) {
		struct ma_siphash_key a = ma_siphash_width_key(key, widths[i]);
		for (unsigned j = 0; j < i; j++) {
			struct ma_siphash_key b = ma_siphash_width_key(key, widths[j]);
			cr_expect(a.k0 != b.k0 && a.k1 != b.k1);
		}
	}
}
