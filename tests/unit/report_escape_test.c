// link: ma_report ma_graph ma_base
// SPDX-License-Identifier: Apache-2.0
#include "escape.h"
#include "human.h"

#include <criterion/criterion.h>
#include <string.h>

static void expect_text(const char *in, size_t bytes, const char *want)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(1 << 16);
	ma_escape_text(&b, in, bytes);
	cr_expect_str_eq(ma_buf_text(&b), want);
}

Test(escape, text)
{
	expect_text("plain \xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x8d", 17, "plain \xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x8d");
	expect_text("\x1b[31m\x07", 6, "\\x1b[31m\\x07");
	expect_text("a\nb\tc\rd\0e\x7f", 10, "a\\nb\\tc\\rd\\x00e\\x7f");
	expect_text("\xc2\x9b"
		    "1m",
		    4, "\\x9b1m");       /* CSI as one C1 control */
	expect_text("\x9b", 1, "\\x9b"); /* and as a bare byte */
	expect_text("\xe2\x80\xae"
		    "x\xe2\x81\xa6",
		    7, "\\u202ex\\u2066"); /* bidi override and isolate */
	expect_text("\xe2\x80\xa8\xe2\x80\x8b\xef\xbb\xbf", 9, "\\u2028\\u200b\\ufeff");
	expect_text("\xf3\xa0\x81\x81", 4, "\\U000e0041"); /* a tag character */
	expect_text("\xff\xc3", 2, "\\xff\\xc3");
	expect_text("\xc0\xaf\xed\xa0\x80", 5, "\\xc0\\xaf\\xed\\xa0\\x80"); /* overlong, surrogate */
	expect_text("\xf4\x90\x80\x80", 4, "\\xf4\\x90\\x80\\x80");          /* above U+10FFFF */
	expect_text("\xe2\x82", 2, "\\xe2\\x82");                            /* cut off */
}

Test(escape, json_is_utf8_and_quoted)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(1 << 16);
	ma_escape_json(&b, "a\"b\\\n\x1b\xff\xc3\xa9", 9);
	cr_expect_str_eq(ma_buf_text(&b), "\"a\\\"b\\\\\\u000a\\u001b\xef\xbf\xbd\xc3\xa9\"");
}

static void expect_csv(const char *in, const char *want)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(1 << 16);
	ma_escape_csv(&b, in, strlen(in));
	cr_expect_str_eq(ma_buf_text(&b), want);
}

Test(escape, csv)
{
	expect_csv("plain", "plain");
	expect_csv("", "");
	expect_csv("a,b", "\"a,b\"");
	expect_csv("say \"x\"", "\"say \"\"x\"\"\"");
	expect_csv("two\nlines", "\"two\nlines\"");
	expect_csv("=1+1", "\"'=1+1\"");
	expect_csv("+1", "\"'+1\"");
	expect_csv("-1", "\"'-1\"");
	expect_csv("@x", "\"'@x\"");
	expect_csv("\tx", "\"'\tx\"");
	expect_csv("\nx", "\"'\nx\"");
	expect_csv("\xef\xbc\x9d"
		   "1",
		   "\"'\xef\xbc\x9d"
		   "1\""); /* in full width */
	expect_csv("\xef\xbc\xa1"
		   "1",
		   "\xef\xbc\xa1"
		   "1");
	expect_csv("a=1", "a=1");
}

Test(escape, columns_and_fit)
{
	char text[] = "package.module.subpackage.ClassName";
	ma_text_fit(text, 20);
	cr_expect_eq(ma_text_columns(text), 20);
	cr_expect_str_eq(text, "package.m...lassName");
	char same[] = "short";
	ma_text_fit(same, 5);
	cr_expect_str_eq(same, "short");
	char wide[] = "\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97"; /* 6 of 2 columns */
	cr_expect_eq(ma_text_columns(wide), 12);
	ma_text_fit(wide, 9);
	cr_expect_leq(ma_text_columns(wide), 9);
	char tiny[] = "abcdefghij";
	ma_text_fit(tiny, 3);
	cr_expect_str_eq(tiny, "abc");
}

Test(human, numbers)
{
	char b[MA_HUMAN_MAX];
	cr_expect_str_eq(ma_human_bytes(b, 0, false), "0 B");
	cr_expect_str_eq(ma_human_bytes(b, 999, false), "999 B");
	cr_expect_str_eq(ma_human_bytes(b, 1000, false), "1.00 kB");
	cr_expect_str_eq(ma_human_bytes(b, 812345678, false), "812 MB");
	cr_expect_str_eq(ma_human_bytes(b, 999999, false), "1.00 MB");
	cr_expect_str_eq(ma_human_bytes(b, 1420332032, false), "1.42 GB");
	cr_expect_str_eq(ma_human_bytes(b, UINT64_MAX, false), "18.4 EB");
	cr_expect_str_eq(ma_human_bytes(b, 1420332032, true), "1,420,332,032");
	cr_expect_str_eq(ma_human_count(b, UINT64_MAX), "18,446,744,073,709,551,615");
	cr_expect_str_eq(ma_human_duration(b, 340000), "340 us");
	cr_expect_str_eq(ma_human_duration(b, 9800000), "9.8 ms");
	cr_expect_str_eq(ma_human_duration(b, 57400000), "57 ms");
	cr_expect_str_eq(ma_human_duration(b, 1234000000), "1.2 s");
	cr_expect_str_eq(ma_human_uptime(b, UINT64_C(274320) * 1000000000), "3d 04:12");
	cr_expect_str_eq(ma_human_time(b, UINT64_C(1795255500) * 1000000000), "2026-11-21T10:05:00Z");
	cr_expect_eq(ma_percent(1, 0), 0);
	cr_expect_eq(ma_percent(1, 3), 33);
}
