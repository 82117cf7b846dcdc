// link: ma_graph ma_base
// SPDX-License-Identifier: Apache-2.0
#include "addr_index.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct ma_addr_index index_of(const uint64_t *addrs, size_t count)
{
	struct ma_addr_index x = { 0 };
	for (size_t i = 0; i < count; i++)
		cr_assert_null(ma_addr_index_add(&x, addrs[i]));
	cr_assert_null(ma_addr_index_freeze(&x));
	return x;
}

Test(index, empty)
{
	struct ma_addr_index x = index_of(NULL, 0);
	cr_assert_eq(x.count, 0);
	cr_assert_eq(ma_addr_index_find(&x, 0), MA_NO_INDEX);
	cr_assert_eq(ma_addr_index_find(&x, 0x7f0000000000), MA_NO_INDEX);
	ma_addr_index_deinit(&x);
}

Test(index, numbers_are_ranks_in_address_order)
{
	const uint64_t addrs[] = { 0x7f0000000ff8, 0x7f0000000000,     0x7f0000001000, 0x1000,
				   0x7f0000000040, 0xfffffffffffffff8, 0x7f0000000040 };
	const uint64_t sorted[] = { 0x1000,         0x7f0000000000, 0x7f0000000040,
				    0x7f0000000ff8, 0x7f0000001000, 0xfffffffffffffff8 };
	struct ma_addr_index x = index_of(addrs, 7);
	cr_assert_eq(x.count, 6, "an address twice counts once");
	for (uint32_t i = 0; i < 6; i++) {
		cr_expect_eq(ma_addr_index_find(&x, sorted[i]), i);
		cr_expect_eq(ma_addr_index_addr(&x, i), sorted[i]);
	}
	cr_expect_eq(ma_addr_index_find(&x, 0x7f0000000008), MA_NO_INDEX);
	cr_expect_eq(ma_addr_index_find(&x, 0x7f0000000041), MA_NO_INDEX, "not a multiple of 8");
	cr_expect_eq(ma_addr_index_find(&x, 0x2000), MA_NO_INDEX);
	ma_addr_index_deinit(&x);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

Test(index, agrees_with_a_sorted_array)
{
	enum { N = 20000 };
	static uint64_t addrs[N], unique[N];
	srandom(7);
	for (size_t i = 0; i < N; i++)
		unique[i] = addrs[i] =
			0x7f0000000000 + (uint64_t)(random() % (1 << 20)) * 8 + ((uint64_t)(random() % 3) << 32);
	qsort(unique, N, sizeof(unique[0]), by_value);
	size_t n = 0;
	for (size_t i = 0; i < N; i++)
		if (!n || unique[n - 1] != unique[i])
			unique[n++] = unique[i];
	struct ma_addr_index x = index_of(addrs, N);
	cr_assert_eq(x.count, n);
	for (size_t i = 0; i < n; i++) {
		cr_assert_eq(ma_addr_index_find(&x, unique[i]), i);
		cr_assert_eq(ma_addr_index_addr(&x, (uint32_t)i), unique[i]);
	}
	ma_addr_index_deinit(&x);
}
