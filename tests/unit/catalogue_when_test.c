// link: ma_catalogue ma_base
// SPDX-License-Identifier: Apache-2.0
/* Times as people type them: zones, summer time, midnight. The moments of the tables come from date(1) with the same
 * TZ, not from this code. */
#include "when.h"

#include "cleanup.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define BERLIN "CET-1CEST,M3.5.0,M10.5.0/3" /* as POSIX writes it, so that no zone files are needed */

static time_t utc(int year, int month, int day, int hour, int minute, int second)
{
	struct tm tm = { .tm_year = year - 1900,
			 .tm_mon = month - 1,
			 .tm_mday = day,
			 .tm_hour = hour,
			 .tm_min = minute,
			 .tm_sec = second };
	return timegm(&tm);
}

static void in_zone(const char *tz)
{
	setenv("TZ", tz, 1);
	tzset();
}

static void expect(const char *text, time_t now, time_t wanted)
{
	time_t got = 0;
	struct ma_error *err = ma_when_parse(text, now, &got);
	cr_assert_null(err, "%s: %s", text, err ? err->message : "");
	cr_expect_eq(got, wanted, "%s is %lld, not %lld (%+lld s)", text, (long long)got, (long long)wanted,
		     (long long)(got - wanted));
}

static void refused(const char *text)
{
	time_t got = 77;
	_cleanup_error_ struct ma_error *err = ma_when_parse(text, utc(2026, 11, 21, 12, 0, 0), &got);
	cr_expect(err && err->code == MA_ERR_USAGE && strstr(err->message, text), "'%s' was taken as %lld", text,
		  (long long)got);
	cr_expect_eq(got, 77);
}

Test(when, ago)
{
	time_t now = utc(2026, 11, 21, 10, 35, 1);
	expect("now", now, now);
	expect("30m", now, now - 1800);
	expect("45s", now, now - 45);
	expect("2h", now, now - 7200);
	expect("1d", now, now - 86400);
	expect("1d2h3m4s", now, now - 86400 - 7200 - 180 - 4);
}

Test(when, with_a_zone_of_its_own)
{
	time_t now = utc(2026, 11, 21, 12, 0, 0), at = utc(2026, 11, 21, 10, 5, 0);
	in_zone(BERLIN);
	expect("2026-11-21T10:05:00Z", now, at);
	expect("2026-11-21T10:05Z", now, at);
	expect("2026-11-21 10:05:00.250Z", now, at);
	expect("2026-11-21T11:05:00+01:00", now, at);
	expect("2026-11-21T04:35:00-0530", now, at);
	expect("2026-11-22T00:05:00+14:00", now, at);
	expect("2024-02-29T00:00:00Z", now, utc(2024, 2, 29, 0, 0, 0));
}

Test(when, the_local_clock)
{
	time_t now = utc(2026, 11, 21, 9, 30, 0); /* 10:30 in Berlin */
	in_zone(BERLIN);
	expect("10:05", now, utc(2026, 11, 21, 9, 5, 0));
	expect("10:30", now, now);
	expect("10:05:07", now, utc(2026, 11, 21, 9, 5, 7));
	expect("10:31", now, utc(2026, 11, 20, 9, 31, 0)); /* still to come today */
	expect("2026-11-21T10:05", now, utc(2026, 11, 21, 9, 5, 0));
	expect("2026-07-01 10:05", now, utc(2026, 7, 1, 8, 5, 0)); /* summer time then */
	expect("2026-11-21", now, utc(2026, 11, 20, 23, 0, 0));
}

Test(when, around_midnight_and_new_year)
{
	in_zone(BERLIN);
	time_t now = utc(2026, 12, 31, 23, 10, 0); /* 00:10 on the first of January 2027 */
	expect("00:05", now, utc(2026, 12, 31, 23, 5, 0));
	expect("23:50", now, utc(2026, 12, 31, 22, 50, 0));
	expect("00:00", now, utc(2026, 12, 31, 23, 0, 0));
	expect("00:15", now, utc(2026, 12, 30, 23, 15, 0));
	in_zone("UTC");
	expect("00:00", utc(2026, 3, 1, 0, 0, 0), utc(2026, 3, 1, 0, 0, 0));
	expect("23:59:59", utc(2026, 3, 1, 0, 0, 0), utc(2026, 2, 28, 23, 59, 59));
}

/* On 25 October 2026 at 03:00 the clock goes back to 02:00: 02:30 is 00:30 and 01:30 in UTC. */
Test(when, an_hour_that_is_there_twice)
{
	in_zone(BERLIN);
	expect("02:30", utc(2026, 10, 25, 8, 0, 0), utc(2026, 10, 25, 1, 30, 0));
	expect("02:30", utc(2026, 10, 25, 1, 10, 0), utc(2026, 10, 25, 0, 30, 0)); /* the second is still to come */
	expect("02:30", utc(2026, 10, 25, 0, 10, 0), utc(2026, 10, 24, 0, 30, 0)); /* both are */
	expect("2026-10-25T02:30", utc(2026, 11, 21, 0, 0, 0), utc(2026, 10, 25, 1, 30, 0));
	expect("01:59", utc(2026, 10, 25, 8, 0, 0), utc(2026, 10, 24, 23, 59, 0));
	expect("03:00", utc(2026, 10, 25, 8, 0, 0), utc(2026, 10, 25, 2, 0, 0));
}

/* On 29 March 2026 at 02:00 it goes on to 03:00. */
Test(when, an_hour_that_is_left_out)
{
	time_t got, now = utc(2026, 3, 29, 8, 0, 0);
	in_zone(BERLIN);
	struct ma_error *err = ma_when_parse("02:30", now, &got);
	cr_assert_null(err);
	cr_expect(got == utc(2026, 3, 29, 0, 30, 0) || got == utc(2026, 3, 29, 1, 30, 0), "%lld", (long long)got);
	expect("01:59", now, utc(2026, 3, 29, 0, 59, 0));
	expect("03:00", now, utc(2026, 3, 29, 1, 0, 0));
	expect("22:00", now, utc(2026, 3, 28, 21, 0, 0)); /* yesterday, before the change */
}

Test(when, refuses_the_rest)
{
	const char *const texts[] = { "",
				      "foo",
				      "10",
				      "10:5",
				      "24:00",
				      "10:60",
				      "10:05:61",
				      "-5m",
				      "5",
				      "m",
				      "0s",
				      "5x",
				      "5m5",
				      "5m2h",
				      "5m5m",
				      "1:05",
				      "10:05Z",
				      "2026-13-01",
				      "2026-02-29",
				      "2026-11-21T",
				      "2026-11-21T10",
				      "2026-11-21T10:05+",
				      "2026-11-21T10:05:00Zx",
				      "2026-11-21x",
				      "now ",
				      "99999999999999999999s",
				      "3661d",
				      "1969-12-31",
				      "10:05:00.",
				      "2026-00-10",
				      "2026-11-00" };
	in_zone("UTC");
	for (size_t i = 0; i < MA_ARRAY_SIZE(texts); i++)
		refused(texts[i]);
}

Test(when, as_text)
{
	char text[MA_WHEN_TEXT_MAX];
	in_zone(BERLIN);
	cr_expect_str_eq(ma_when_text(text, (uint64_t)utc(2026, 7, 1, 8, 5, 9) * 1000000000u), "2026-07-01 10:05:09");
	ma_when_text(text, UINT64_MAX);
}
