// link: ma_test_support ma_format ma_base
// SPDX-License-Identifier: Apache-2.0
/* The column of values: in step with the objects, lost without harm, and refused where it is malformed. */
#include "buffer.h"
#include "snapshot_builder.h"
#include "varint.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STR_BASE 49u
#define STR_FLAGS (MA_TF_VALUES | MA_VALUE_STR << MA_TF_VALUE_KIND_SHIFT)
#define INT_FLAGS (MA_TF_VALUES | MA_VALUE_INT << MA_TF_VALUE_KIND_SHIFT)
#define FIRST 0x10000u /* address of the first object; 64 bytes for each */

static char path[64];
static struct ma_snap *snap;
static struct ma_snap_cursor *cursor;
static struct snap_builder *builder;
static uint32_t t_list, t_str, t_int;

static void begin(enum ma_values mode)
{
	snprintf(path, sizeof(path), "/tmp/format_values_test-%d.mem", (int)getpid());
	builder = sb_create(path);
	sb_meta_default(builder);
	sb_meta_num(builder, MA_META_VALUES, mode);
	sb_meta_num(builder, MA_META_VALUES_LIMIT, 1000);
	sb_meta_num(builder, MA_META_VALUES_STR_BASE, STR_BASE);
	t_list = sb_type(builder, "", "list", 0x1000, 0, 40, 0);
	t_str = sb_type(builder, "", "str", 0x2000, STR_FLAGS, 80, 0);
	t_int = sb_type(builder, "", "int", 0x3000, INT_FLAGS, 24, 4);
	sb_flush(builder);
}

static void part(uint64_t first, uint64_t number, const void *lengths, uint64_t lengths_bytes, const char *hashes,
		 uint64_t n, const void *texts, size_t texts_bytes, uint32_t records)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(MA_BLOCK_PAYLOAD);
	ma_buf_varint(&b, first / 8);
	ma_buf_varint(&b, number);
	ma_buf_varint(&b, n);
	ma_buf_varint(&b, lengths_bytes);
	ma_buf_add(&b, lengths, lengths_bytes);
	ma_buf_add(&b, hashes, strlen(hashes));
	ma_buf_add(&b, texts, texts_bytes);
	sb_raw_block(builder, MA_BLOCK_VALUES, records, b.data, (uint32_t)b.len);
}

static void object(unsigned i, uint32_t type, uint64_t size, uint32_t extra)
{
	sb_object(builder, &(struct sb_object){
				   .addr = FIRST + 64 * i, .type = type, .size = size, .refcnt = 1, .extra = extra });
}

static void open_pass(void)
{
	sb_finish(builder);
	cr_assert_null(ma_snap_open(path, &snap));
	cr_assert_null(ma_snap_cursor_create(snap, &cursor));
	cr_assert_null(ma_snap_cursor_values(cursor));
}

static void end(void)
{
	ma_snap_cursor_destroy(cursor);
	ma_snap_close(snap);
	unlink(path);
}

static struct ma_snap_value next(bool *has_ret)
{
	struct ma_snap_object o;
	struct ma_snap_value v = { 0 };
	bool more = ma_snap_next_object(cursor, &o);
	if (!more) {
		struct ma_error *err = ma_snap_cursor_error(cursor);
		cr_assert_fail("no more objects: %s", err ? err->message : "the end");
	}
	*has_ret = ma_snap_value(cursor, &v);
	return v;
}

static void expect(uint64_t length, const char *hash, const char *text)
{
	bool has;
	uint64_t want = 0;
	struct ma_snap_value v = next(&has);
	memcpy(&want, hash, strlen(hash));
	cr_assert(has && v.known);
	cr_expect_eq(v.length, length, "length %llu", (unsigned long long)v.length);
	cr_expect_eq(v.hash, want);
	cr_expect_eq(v.has_text, text != NULL);
	if (text)
		cr_expect(v.text_bytes == strlen(text) && !memcmp(v.text, text, v.text_bytes), "%.*s",
			  (int)v.text_bytes, v.text);
}

static void expect_unknown(bool value)
{
	bool has;
	struct ma_snap_value v = next(&has);
	cr_expect_eq(has, value);
	cr_expect(!has || !v.known);
}

static void expect_malformed(void)
{
	struct ma_snap_object o;
	open_pass();
	while (ma_snap_next_object(cursor, &o))
		;
	struct ma_error *err = ma_snap_cursor_error(cursor);
	cr_assert_not_null(err);
	cr_expect_eq(err->code, MA_ERR_BAD_DATA);
	cr_expect_not_null(strstr(err->message, "malformed"), "%s", err->message);
	ma_error_free(err);
	end();
}

Test(values, hashes_in_step_with_objects)
{
	_cleanup_buf_ struct ma_buf unread = MA_BUF_INIT(64);
	ma_buf_varint(&unread, (FIRST + 64 * 20) / 8);
	ma_buf_add(&unread, "\0\1\1\0\0\0\0\0\0", 9);
	begin(MA_VALUES_HASH);
	part(FIRST, 0, "\0\6", 2, "aaaaabbbbb", 2, NULL, 0,
	     2); /* the second is 3 characters longer than its size says */
	object(0, t_list, 100, 0);
	object(1, t_str, STR_BASE + 7, 0);
	object(2, t_list, 100, 0);
	object(3, t_str, STR_BASE + 7, MA_OX_CONT);
	object(3, t_str, STR_BASE + 7, 0);
	sb_flush(builder);
	part(FIRST + 64 * 9, 0, "\0", 1, "ccccc", 1, NULL, 0, 1);
	object(9, t_str, STR_BASE, MA_OX_FAULT);
	sb_flush(builder);
	sb_raw_block(builder, MA_BLOCK_VALUES, 1, unread.data, (uint32_t)unread.len);
	object(20, t_str, STR_BASE + 5, 0);
	sb_flush(builder);
	open_pass();
	expect_unknown(false);
	expect(7, "aaaaa", NULL);
	expect_unknown(false);
	expect_unknown(false);
	expect(10, "bbbbb", NULL);
	expect_unknown(true); /* it could not be read: what stands there says nothing */
	expect_unknown(true); /* the same, by a hash of 0 */
	end();
}

/* A text that goes on, behind which its part has something else. */
Test(values, texts_that_go_on_too_early)
{
	begin(MA_VALUES_PREFIX);
	part(FIRST, 0, "\0\0", 2, "aaaaabbbbb", 2,
	     "\x09"
	     "abcd"
	     "\x02"
	     "x",
	     7, 2);
	part(FIRST, 1, "", 0, "", 0,
	     "\x04"
	     "ef",
	     3, 1);
	object(0, t_str, STR_BASE + 6, 0);
	object(1, t_str, STR_BASE + 1, 0);
	sb_flush(builder);
	expect_malformed();
}

Test(values, texts_go_on)
{
	bool has;
	begin(MA_VALUES_PREFIX);
	part(FIRST, 0, "\0", 1, "aaaaa", 1,
	     "\x09"
	     "abcd",
	     5, 1);
	part(FIRST, 1, "\0", 1, "bbbbb", 1,
	     "\x04"
	     "ef"
	     "\x02"
	     "g"
	     "\x04"
	     "\x2a\x01",
	     8, 3);
	object(0, t_str, STR_BASE + 6, 0);
	object(1, t_str, STR_BASE + 1, 0);
	object(2, t_int, 28, 0);
	sb_flush(builder);
	open_pass();
	expect(6, "aaaaa", "abcdef");
	expect(1, "bbbbb", "g");
	struct ma_snap_value v = next(&has);
	cr_expect(has && v.known && v.kind == MA_VALUE_INT && v.text_bytes == 2 && v.text[0] == 0x2a && v.text[1] == 1);
	end();
}

Test(values, of_other_objects_are_not_taken)
{
	begin(MA_VALUES_HASH);
	part(FIRST + 8, 0, "\0", 1, "aaaaa", 1, NULL, 0, 1); /* of a block that is not there */
	part(FIRST, 1, "\0", 1, "bbbbb", 1, NULL, 0, 1);     /* a second part without its first */
	object(0, t_str, STR_BASE, 0);
	sb_flush(builder);
	object(0, t_str, STR_BASE, 0); /* the same address, without values: the part before is used up */
	sb_flush(builder);
	open_pass();
	expect_unknown(true);
	expect_unknown(true);
	end();
}

Test(values, without_the_field_that_says_so)
{
	begin(MA_VALUES_NONE);
	part(FIRST, 0, "\0", 1, "aaaaa", 1, NULL, 0, 1);
	object(0, t_str, STR_BASE, 0);
	sb_flush(builder);
	open_pass();
	expect_unknown(true);
	end();
}

Test(values, too_few)
{
	begin(MA_VALUES_HASH);
	part(FIRST, 0, "\0", 1, "aaaaa", 1, NULL, 0, 1);
	object(0, t_str, STR_BASE, 0);
	object(1, t_str, STR_BASE, 0);
	sb_flush(builder);
	expect_malformed();
}

Test(values, lengths_that_end)
{
	begin(MA_VALUES_HASH);
	part(FIRST, 0, "\x80", 1, "aaaaa", 1, NULL, 0, 1);
	object(0, t_str, STR_BASE, 0);
	sb_flush(builder);
	expect_malformed();
}

Test(values, hashes_that_end)
{
	begin(MA_VALUES_HASH);
	part(FIRST, 0, "\0", 1, "aaaa", 1, NULL, 0, 1);
	object(0, t_str, STR_BASE, 0);
	sb_flush(builder);
	expect_malformed();
}

Test(values, count_that_overflows)
{
	begin(MA_VALUES_HASH);
	part(FIRST, 0, "\0", 1, "aaaaa", UINT64_MAX / 5 + 2, NULL, 0, 1);
	object(0, t_str, STR_BASE, 0);
	sb_flush(builder);
	expect_malformed();
}

Test(values, text_past_the_end)
{
	begin(MA_VALUES_ALL);
	part(FIRST, 0, "\0", 1, "aaaaa", 1,
	     "\x08"
	     "abc",
	     4, 1);
	object(0, t_str, STR_BASE + 4, 0);
	sb_flush(builder);
	expect_malformed();
}

Test(values, text_of_more_than_it_may_have)
{
	static uint8_t texts[MA_BLOCK_PAYLOAD - 64];
	const uint32_t n = sizeof(texts) - 3;
	begin(MA_VALUES_ALL);
	ma_varint_put(texts, (uint64_t)n << 1 | 1);
	part(FIRST, 0, "\0", 1, "aaaaa", 1, texts, sizeof(texts), 1);
	for (unsigned i = 1; i < 6; i++)
		part(FIRST, i, "", 0, "", 0, texts, sizeof(texts), 1);
	object(0, t_str, STR_BASE + 4, 0);
	sb_flush(builder);
	expect_malformed();
}
