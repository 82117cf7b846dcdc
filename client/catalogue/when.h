// SPDX-License-Identifier: Apache-2.0
/* when.h - times as a person types them. */
#ifndef MA_WHEN_H
#define MA_WHEN_H

#include <memattach/error.h>
#include <memattach/types.h>
#include <time.h>

/* The moment that `text` means, as seen at `now`:
 *	now
 *	30s 5m 2h 1d 1h30m           so long ago
 *	10:05 10:05:30               local time: the last time that the clock showed it, today or yesterday
 *	2026-11-21 2026-11-21T10:05  local time
 *	2026-11-21T10:05:00Z  2026-11-21T10:05:00+01:00
 * A local time that the clock showed twice (the end of summer time) is the later of both that is not after `now`; one
 * that it left out is what mktime(3) makes of it. MA_ERR_USAGE for anything else. */
MA_CHECK struct ma_error *ma_when_parse(const char *text, time_t now, time_t *ret);
/* Seconds of 30s, 5m, 2h, 1d, 1h30m: 1 to 10 years. False for anything else. */
bool ma_when_duration(const char *text, uint64_t *seconds_ret);

#define MA_WHEN_TEXT_MAX 32
/* "2026-11-21 10:05:02", local time, as ma_when_parse() reads it; "?" for what is no time. Returns `text`. */
const char *ma_when_text(char text[MA_WHEN_TEXT_MAX], uint64_t realtime_ns);

#endif
