// SPDX-License-Identifier: Apache-2.0
/* human.h - numbers for people. Each function writes into `buf` and returns it. 1 kB is 1000 bytes. */
#ifndef MA_HUMAN_H
#define MA_HUMAN_H

#include <memattach/types.h>

#define MA_HUMAN_MAX 32

/* "812 MB", "1.42 GB", "96 B"; with `exact` "1,420,332,032". */
const char *ma_human_bytes(char buf[MA_HUMAN_MAX], uint64_t bytes, bool exact);
/* "8,020,114" */
const char *ma_human_count(char buf[MA_HUMAN_MAX], uint64_t n);
/* "9.8 ms", "340 us", "1.2 s" */
const char *ma_human_duration(char buf[MA_HUMAN_MAX], uint64_t ns);
/* "3d 04:12", "04:12:33" */
const char *ma_human_uptime(char buf[MA_HUMAN_MAX], uint64_t ns);
/* part of whole in percent, 0 when whole is 0; rounded */
unsigned ma_percent(uint64_t part, uint64_t whole);
/* RFC 3339 in UTC: "2026-11-21T10:05:00Z"; "" for 0 */
const char *ma_human_time(char buf[MA_HUMAN_MAX], uint64_t realtime_ns);
/* A command line without the folder of its first word: within `command`. */
const char *ma_human_program(const char *command);
/* What tells one from another in a narrow column: "app.py --port 80" of "/usr/bin/python3 /srv/app.py --port 80",
 * "http.server" of "python3 -m http.server". */
const char *ma_human_what_runs(const char *command);

#endif
