// link: ma_test_support ma_base
// SPDX-License-Identifier: Apache-2.0
#include "buffer.h"
#include "failing_malloc.h"
#include "varint.h"

#include <criterion/criterion.h>
#include <string.h>

Test(buffer, text_is_never_null)
{
	struct ma_buf b = MA_BUF_INIT(100);
	cr_assert_str_eq(ma_buf_text(&b), "");
	ma_buf_add(&b, "", 0);
	cr_assert_str_eq(ma_buf_text(&b), "");
	cr_assert_null(ma_buf_error(&b));
	ma_buf_deinit(&b);
}

Test(buffer, grows_and_ends_with_nul)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(100000);
	for (unsigned i = 0; i < 10000; i++) {
		ma_buf_u8(&b, 'x');
		cr_assert_eq(b.len, i + 1);
		cr_assert_eq(b.data[b.len], 0);
	}
	ma_buf_printf(&b, "%d-%s", 42, "end");
	cr_assert_str_eq(ma_buf_text(&b) + 10000, "42-end");
}

Test(buffer, limit)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(4);
	ma_buf_str(&b, "abcd");
	cr_assert_null(ma_buf_error(&b));
	ma_buf_u8(&b, 'e');
	struct ma_error *err = ma_buf_error(&b);
	cr_assert_not_null(err);
	cr_assert_not_null(strstr(err->message, "4 bytes"));
	ma_error_free(err);
	cr_assert_str_eq(ma_buf_text(&b), "abcd", "what failed adds nothing");
}

Test(buffer, stays_failed)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(4);
	ma_buf_str(&b, "abcde");
	ma_buf_str(&b, "a");
	ma_buf_printf(&b, "%d", 1);
	cr_assert_eq(b.len, 0);
	cr_assert(b.failed);
}

Test(buffer, sizes_near_the_top)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(SIZE_MAX);
	ma_buf_str(&b, "a");
	cr_assert_not(ma_buf_reserve(&b, SIZE_MAX));
	cr_assert(b.failed);
}

Test(buffer, numbers_are_little_endian)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(100);
	ma_buf_u32(&b, 0x04030201);
	ma_buf_u64(&b, UINT64_C(0x0c0b0a0908070605));
	for (uint8_t i = 0; i < 12; i++)
		cr_assert_eq(b.data[i], i + 1);
	ma_buf_varint(&b, UINT64_MAX);
	struct ma_cursor c;
	ma_cursor_init(&c, b.data + 12, b.len - 12);
	cr_assert_eq(ma_cursor_varint(&c), UINT64_MAX);
	cr_assert_eq(ma_cursor_left(&c), 0);
}

Test(buffer, memory_runs_out)
{
	if (!failing_malloc_works())
		cr_skip("a sanitizer has its own allocator");
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(1 << 20);
	ma_buf_str(&b, "abc");
	failing_malloc_arm(1, true);
	for (unsigned i = 0; i < 1000; i++)
		ma_buf_str(&b, "more");
	struct ma_error *err = ma_buf_error(&b);
	cr_assert(failing_malloc_disarm());
	cr_assert(b.failed);
	cr_assert_eq(err->code, MA_ERR_NO_MEMORY);
	ma_error_free(err);
	cr_assert_eq(strncmp(ma_buf_text(&b), "abcmore", 7), 0);
}
