// SPDX-License-Identifier: Apache-2.0
#include "human.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

const char *ma_human_count(char buf[MA_HUMAN_MAX], uint64_t n)
{
	char digits[MA_HUMAN_MAX];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, n);
	char *out = buf;
	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			*out++ = ',';
		*out++ = digits[i];
	}
	*out = '\0';
	return buf;
}

/* Three digits that matter: 1.42, 14.2, 142. */
static const char *scaled(char buf[MA_HUMAN_MAX], double v, const char *unit)
{
	int digits = v < 9.995 ? 2 : v < 99.95 ? 1 : 0;
	snprintf(buf, MA_HUMAN_MAX, "%.*f %s", digits, v, unit);
	return buf;
}

const char *ma_human_bytes(char buf[MA_HUMAN_MAX], uint64_t bytes, bool exact)
{
	static const char *const units[] = { "kB", "MB", "GB", "TB", "PB", "EB" };
	if (exact)
		return ma_human_count(buf, bytes);
	if (bytes < 1000) {
		snprintf(buf, MA_HUMAN_MAX, "%" PRIu64 " B", bytes);
		return buf;
	}
	double v = (double)bytes / 1000;
	size_t u = 0;
	while (v >= 999.5 && u + 1 < sizeof(units) / sizeof(units[0])) {
		v /= 1000;
		u++;
	}
	return scaled(buf, v, units[u]);
}

const char *ma_human_duration(char buf[MA_HUMAN_MAX], uint64_t ns)
{
	if (ns < 1000000)
		snprintf(buf, MA_HUMAN_MAX, "%" PRIu64 " us", ns / 1000);
	else if (ns < 9950000)
		snprintf(buf, MA_HUMAN_MAX, "%.1f ms", (double)ns / 1e6);
	else if (ns < 999500000)
		snprintf(buf, MA_HUMAN_MAX, "%.0f ms", (double)ns / 1e6);
	else
		snprintf(buf, MA_HUMAN_MAX, "%.1f s", (double)ns / 1e9);
	return buf;
}

const char *ma_human_uptime(char buf[MA_HUMAN_MAX], uint64_t ns)
{
	uint64_t s = ns / 1000000000;
	unsigned h = (unsigned)(s / 3600 % 24), m = (unsigned)(s / 60 % 60);
	if (s >= 86400)
		snprintf(buf, MA_HUMAN_MAX, "%" PRIu64 "d %02u:%02u", s / 86400, h, m);
	else
		snprintf(buf, MA_HUMAN_MAX, "%02u:%02u:%02u", h, m, (unsigned)(s % 60));
	return buf;
}

unsigned ma_percent(uint64_t part, uint64_t whole)
{
	return whole ? (unsigned)((double)part * 100 / (double)whole + 0.5) : 0;
}

const char *ma_human_time(char buf[MA_HUMAN_MAX], uint64_t realtime_ns)
{
	time_t t = (time_t)(realtime_ns / 1000000000);
	struct tm tm;
	buf[0] = '\0';
	if (realtime_ns && gmtime_r(&t, &tm))
		strftime(buf, MA_HUMAN_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return buf;
}

const char *ma_human_program(const char *command)
{
	const char *end = command + strcspn(command, " "), *p = end;
	while (p > command && p[-1] != '/')
		p--;
	return p < end ? p : command;
}

const char *ma_human_what_runs(const char *command)
{
	const char *program = ma_human_program(command);
	const char *rest = program + strcspn(program, " ");
	if (strncmp(program, "python", strlen("python")) != 0 || !*rest)
		return program;
	if (!strncmp(rest, " -m ", 4))
		return rest + 4;
	return rest[1] == '-' ? rest + 1 : ma_human_program(rest + 1);
}
