// link: ma_raw
// SPDX-License-Identifier: Apache-2.0
/* The journal of what is kept out of a program's children: anybody may have written what is read. */
#include "raw_internal.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define HEAD "memattach undo 1\nboot 0-1\npid 17 start 99\n"

Test(journal, whole)
{
	struct ma_raw_journal j;
	cr_assert(ma_raw_journal_parse(HEAD "200000 600000\n7f0000000000 7f0000400000\nend\n", &j));
	cr_expect_eq(j.pid, 17);
	cr_expect_eq(j.start_time, 99);
	cr_expect_str_eq(j.boot, "0-1");
	cr_assert_eq(j.count, 2);
	cr_expect_eq(j.v[0].start, 0x200000);
	cr_expect_eq(j.v[1].end, 0x7f0000400000);
	cr_expect(ma_raw_journal_parse(HEAD "end\n", &j));
}

Test(journal, none)
{
	static const char *const texts[] = {
		"",
		HEAD,
		HEAD "200000 600000\n",          /* cut off */
		HEAD "200000 600000\nend",       /* cut off */
		HEAD "200000 600000\nend\nmore", /* more than we wrote */
		HEAD "200000 600000 \nend\n",
		HEAD "600000 200000\nend\n",
		HEAD "200000 200000\nend\n",
		HEAD "0 200000\nend\n",
		HEAD "200001 600000\nend\n",
		HEAD "200000 ffffffffffe00000\nend\n",
		HEAD "x\nend\n",
		"memattach undo 2\nboot 0-1\npid 17 start 99\nend\n",
		"memattach undo 1\nboot 0-1\npid -1 start 99\nend\n",
		"memattach undo 1\nboot 0-1\npid 17\nend\n",
	};
	struct ma_raw_journal j;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		cr_expect_not(ma_raw_journal_parse(texts[i], &j), "%zu", i);
}

Test(journal, too_many_ranges)
{
	struct ma_raw_journal j;
	char text[MA_RAW_JOURNAL_MAX] = HEAD;
	size_t n = strlen(text);
	for (unsigned i = 1; i <= MA_RAW_RANGES_MAX + 1; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%x %x\n", i << 22, (i << 22) + (2 << 20));
	snprintf(text + n, sizeof(text) - n, "end\n");
	cr_expect_not(ma_raw_journal_parse(text, &j));
}
