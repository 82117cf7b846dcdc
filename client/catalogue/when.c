// SPDX-License-Identifier: Apache-2.0
#include "when.h"

#include "cleanup.h"

#include <stdio.h>
#include <string.h>

#define DURATION_MAX (UINT64_C(3660) * 86400)

bool ma_when_duration(const char *text, uint64_t *seconds_ret)
{
	static const char units[] = "dhms"; /* in this order, each once */
	static const uint64_t seconds[] = { 86400, 3600, 60, 1 };
	uint64_t total = 0;
	size_t unit = 0;
	const char *p = text;
	while (*p) {
		uint64_t n = 0;
		const char *first = p;
		for (; *p >= '0' && *p <= '9'; p++) {
			n = n * 10 + (uint64_t)(*p - '0');
			if (n > DURATION_MAX)
				return false;
		}
		const char *hit = p == first || !*p ? NULL : strchr(units + unit, *p);
		if (!hit)
			return false;
		total += n * seconds[hit - units];
		if (total > DURATION_MAX)
			return false;
		unit = (size_t)(hit - units) + 1;
		p++;
	}
	if (!total)
		return false;
	*seconds_ret = total;
	return true;
}

/* `count` digits, as a number up to `max`; moves *p behind them. */
static bool digits(const char **p, unsigned count, int max, int *ret)
{
	int v = 0;
	for (unsigned i = 0; i < count; i++, ++*p) {
		if (**p < '0' || **p > '9')
			return false;
		v = v * 10 + (**p - '0');
	}
	*ret = v;
	return v <= max;
}

static bool skip(const char **p, char c)
{
	if (**p != c)
		return false;
	++*p;
	return true;
}

/* HH:MM or HH:MM:SS, with a fraction that is passed over. */
static bool clock_time(const char **p, struct tm *tm)
{
	tm->tm_sec = 0;
	if (!digits(p, 2, 23, &tm->tm_hour) || !skip(p, ':') || !digits(p, 2, 59, &tm->tm_min))
		return false;
	if (!skip(p, ':'))
		return true;
	if (!digits(p, 2, 60, &tm->tm_sec))
		return false;
	if (**p != '.')
		return true;
	size_t n = strspn(*p + 1, "0123456789");
	*p += n + 1;
	return n > 0;
}

static bool date(const char **p, struct tm *tm)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int year, month, day;
	if (!digits(p, 4, 9999, &year) || !skip(p, '-') || !digits(p, 2, 12, &month) || !skip(p, '-') ||
	    !digits(p, 2, 31, &day) || year < 1970 || month < 1 || day < 1)
		return false;
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	if (day > days[month - 1] + (month == 2 && leap))
		return false;
	tm->tm_year = year - 1900;
	tm->tm_mon = month - 1;
	tm->tm_mday = day;
	return true;
}

/* Z, +01:00, -0530: seconds east of Greenwich. */
static bool zone(const char **p, long *east_ret)
{
	int h, m, sign = **p == '-' ? -1 : 1;
	if (skip(p, 'Z') || skip(p, 'z')) {
		*east_ret = 0;
		return true;
	}
	if (!skip(p, '+') && !skip(p, '-'))
		return false;
	if (!digits(p, 2, 23, &h))
		return false;
	(void)skip(p, ':');
	if (!digits(p, 2, 59, &m))
		return false;
	*east_ret = sign * (h * 3600L + m * 60L);
	return true;
}

static bool same_clock(const struct tm *a, const struct tm *b)
{
	return a->tm_year == b->tm_year && a->tm_mon == b->tm_mon && a->tm_mday == b->tm_mday &&
	       a->tm_hour == b->tm_hour && a->tm_min == b->tm_min;
}

/* When the local clock showed `tm` (its day may be 0: the last of the month before). At the end of summer time it shows
 * an hour twice, with tm_isdst 1 and then 0. */
static time_t local_moment(const struct tm *tm, time_t now)
{
	struct tm plain = *tm;
	plain.tm_isdst = -1;
	time_t any = mktime(&plain), early = 0, late = 0;
	unsigned found = 0;
	for (int dst = 1; dst >= 0; dst--) {
		struct tm t = *tm, back;
		t.tm_isdst = dst;
		time_t at = mktime(&t);
		if (at == (time_t)-1 || !localtime_r(&at, &back) || !same_clock(&back, &plain) || back.tm_isdst != dst)
			continue;
		early = found && early < at ? early : at;
		late = found && late > at ? late : at;
		found++;
	}
	if (!found)
		return any;
	return late <= now ? late : early;
}

/* The last time that the clock showed it: today, or yesterday when that is still to come. */
static time_t last_shown(const struct tm *clock, time_t now)
{
	struct tm today;
	if (!localtime_r(&now, &today))
		return (time_t)-1;
	for (int back = 0;; back++) {
		struct tm tm = { .tm_year = today.tm_year,
				 .tm_mon = today.tm_mon,
				 .tm_mday = today.tm_mday - back,
				 .tm_hour = clock->tm_hour,
				 .tm_min = clock->tm_min,
				 .tm_sec = clock->tm_sec };
		time_t at = local_moment(&tm, now);
		if (at <= now || back == 2)
			return at;
	}
}

struct ma_error *ma_when_parse(const char *text, time_t now, time_t *ret)
{
	const char *p = text;
	struct tm tm = { 0 };
	uint64_t ago;
	long east;
	time_t at = (time_t)-1;
	if (!strcmp(text, "now")) {
		at = now;
	} else if (ma_when_duration(text, &ago)) {
		at = now - (time_t)ago;
	} else if (clock_time(&p, &tm) && !*p) {
		at = last_shown(&tm, now);
	} else {
		p = text;
		tm = (struct tm){ 0 };
		bool good = date(&p, &tm);
		if (good && *p)
			good = (skip(&p, 'T') || skip(&p, 't') || skip(&p, ' ')) && clock_time(&p, &tm);
		if (good && !*p)
			at = local_moment(&tm, now);
		else if (good && zone(&p, &east) && !*p)
			at = timegm(&tm) - east;
	}
	if (at == (time_t)-1)
		return ma_errorf(MA_ERR_USAGE,
				 "'%s' is no time: now, 30m (ago), 10:05 or 2026-11-21T10:05:00Z (with @ before it)",
				 text);
	*ret = at;
	return NULL;
}

const char *ma_when_text(char text[MA_WHEN_TEXT_MAX], uint64_t realtime_ns)
{
	struct tm tm;
	time_t at = (time_t)(realtime_ns / 1000000000);
	if (!localtime_r(&at, &tm) || !strftime(text, MA_WHEN_TEXT_MAX, "%Y-%m-%d %H:%M:%S", &tm))
		snprintf(text, MA_WHEN_TEXT_MAX, "?");
	return text;
}
