// link: ma_base
// SPDX-License-Identifier: Apache-2.0
#include "varint.h"

#include <criterion/criterion.h>

static const uint64_t values[] = { 0,
				   1,
				   127,
				   128,
				   129,
				   16383,
				   16384,
				   UINT32_MAX,
				   UINT64_C(1) << 32,
				   INT64_MAX,
				   UINT64_C(1) << 63,
				   UINT64_MAX - 1,
				   UINT64_MAX };

Test(varint, round_trip)
{
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		uint8_t b[MA_VARINT_MAX + 1];
		uint8_t *end = ma_varint_put(b, values[i]);
		struct ma_cursor c;
		cr_assert_leq(end - b, MA_VARINT_MAX);
		ma_cursor_init(&c, b, (size_t)(end - b));
		cr_assert_eq(ma_cursor_varint(&c), values[i]);
		cr_assert_not(c.bad);
		cr_assert_eq(ma_cursor_left(&c), 0);
		/* cut off at each byte */
		for (uint8_t *cut = b; cut < end; cut++) {
			ma_cursor_init(&c, b, (size_t)(cut - b));
			cr_assert_eq(ma_cursor_varint(&c), 0);
			cr_assert(c.bad);
		}
	}
}

Test(varint, length)
{
	uint8_t b[MA_VARINT_MAX];
	cr_assert_eq(ma_varint_put(b, 127) - b, 1);
	cr_assert_eq(ma_varint_put(b, 128) - b, 2);
	cr_assert_eq(ma_varint_put(b, UINT64_MAX) - b, 10);
}

Test(varint, more_than_64_bits)
{
	static const uint8_t over[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02 };
	static const uint8_t eleven[] = { 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00 };
	struct ma_cursor c;
	ma_cursor_init(&c, over, sizeof(over));
	cr_assert_eq(ma_cursor_varint(&c), 0);
	cr_assert(c.bad);
	ma_cursor_init(&c, eleven, sizeof(eleven));
	cr_assert_eq(ma_cursor_varint(&c), 0);
	cr_assert(c.bad);
}

Test(varint, zigzag)
{
	static const int64_t signed_values[] = { 0, -1, 1, -2, 63, -64, INT32_MIN, INT64_MAX, INT64_MIN };
	for (size_t i = 0; i < sizeof(signed_values) / sizeof(signed_values[0]); i++)
		cr_assert_eq(ma_unzigzag(ma_zigzag(signed_values[i])), signed_values[i]);
	cr_assert_eq(ma_zigzag(-1), 1);
	cr_assert_eq(ma_zigzag(1), 2);
	cr_assert_eq(ma_zigzag(INT64_MIN), UINT64_MAX);
}

Test(cursor, takes_and_stays_failed)
{
	static const uint8_t b[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13 };
	struct ma_cursor c;
	ma_cursor_init(&c, b, sizeof(b));
	cr_assert_eq(ma_cursor_u32(&c), 0x04030201);
	cr_assert_eq(ma_cursor_u64(&c), UINT64_C(0x0c0b0a0908070605));
	cr_assert_eq(ma_cursor_left(&c), 1);
	cr_assert_eq(ma_cursor_take(&c, 0), b + 12);
	cr_assert_eq(ma_cursor_u32(&c), 0);
	cr_assert(c.bad);
	/* a byte is left, but the cursor has failed */
	cr_assert_eq(ma_cursor_left(&c), 0);
	cr_assert_null(ma_cursor_take(&c, 1));
	cr_assert_eq(ma_cursor_varint(&c), 0);
	cr_assert_eq(ma_cursor_u64(&c), 0);
}

Test(cursor, lengths_near_the_top)
{
	static const uint8_t b[] = { 1, 2 };
	struct ma_cursor c;
	ma_cursor_init(&c, b, sizeof(b));
	cr_assert_null(ma_cursor_take(&c, UINT64_MAX));
	ma_cursor_init(&c, b, sizeof(b));
	cr_assert_null(ma_cursor_take(&c, 3));
	ma_cursor_init(&c, b, sizeof(b));
	cr_assert_eq(ma_cursor_take(&c, 2), b);
	cr_assert_eq(ma_cursor_left(&c), 0);
}

Test(cursor, nothing_at_all)
{
	struct ma_cursor c;
	ma_cursor_init(&c, "", 0);
	cr_assert_eq(ma_cursor_left(&c), 0);
	cr_assert_not(c.bad);
	ma_cursor_varint(&c);
	cr_assert(c.bad);
}
