// SPDX-License-Identifier: Apache-2.0
/* leaky_snapshot.h - a snapshot of a made-up program in which leaky.CACHE grows, for tests of graph and report. */
#ifndef MA_TEST_LEAKY_SNAPSHOT_H
#define MA_TEST_LEAKY_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

struct leaky_options {
	unsigned sessions;    /* in leaky.CACHE: dict of str -> leaky.Session, each with an attribute dict and a str */
	bool excess;          /* one str has a reference count that is too small */
	bool hostile;         /* names with escape sequences, wrong UTF-8, formulas */
	uint64_t rss_anon;    /* 0 = as much as the regions have */
	const char *function; /* that its thread runs; NULL: "serve" */
};

/* Figures of the file, told by the program that made it. */
struct leaky_facts {
	uint64_t objects, edges, bytes, sessions_bytes;
	uint64_t cache, module, session0, key0; /* addresses */
	uint64_t rss;
};

#define LEAKY_HOSTILE_TYPE "evil\x1b[31m\xe2\x80\xae\xff,\"x\""

void leaky_snapshot(const char *path, const struct leaky_options *opt, struct leaky_facts *ret);

#endif
