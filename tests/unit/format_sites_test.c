// link: ma_test_support ma_format ma_base
// SPDX-License-Identifier: Apache-2.0
/* Where memory was allocated: what is read of it, what a lost chunk costs, and what is refused. */
#include "snapshot_builder.h"
#include "snapshot_bytes.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[64];

static uint8_t *sample(size_t *bytes_ret)
{
	snprintf(path, sizeof(path), "/tmp/format_sites_test-%d.mem", (int)getpid());
	sb_sites_sample(path);
	uint8_t *bytes = snap_bytes_read(path, bytes_ret);
	unlink(path);
	return bytes;
}

static void ok(struct ma_error *err)
{
	cr_assert_null(err, "%s", err ? err->message : "");
}

static void sum(const struct ma_snap *s, uint64_t *rows_ret, uint64_t *bytes_ret, uint64_t *without_site_ret)
{
	struct ma_trace_cursor *c;
	struct ma_snap_trace t;
	*rows_ret = *bytes_ret = *without_site_ret = 0;
	ok(ma_trace_cursor_create(s, &c));
	while (ma_trace_next(c, &t)) {
		++*rows_ret;
		*bytes_ret += t.bytes;
		*without_site_ret += !t.site_id;
	}
	ok(ma_trace_cursor_error(c));
	ma_trace_cursor_destroy(c);
}

Test(sites, all_that_was_written)
{
	size_t len;
	struct ma_snap *s;
	uint64_t rows, traced, without;
	uint8_t *bytes = sample(&len);
	ok(snap_bytes_check(bytes, len, &rows, &traced));
	ok(snap_bytes_open(bytes, len, &s));
	const struct ma_snap_tables *t = ma_snap_tables(s);
	cr_assert_eq(t->sites_count, 5);
	cr_expect_eq(t->sites[0].total, 9);
	cr_assert_eq(t->sites[0].frames_end - t->sites[0].frames_begin, 3);
	const struct ma_snap_site_frame *f = &t->site_frames[t->sites[0].frames_begin];
	cr_expect(f[0].line == 12 && f[1].line == 30 && f[2].line == 0);
	cr_expect(f[0].file_id == 1 && f[2].file_id == 0);
	sum(s, &rows, &traced, &without);
	cr_expect_eq(rows, t->stats[MA_STAT_TRACES]);
	cr_expect_eq(traced, t->stats[MA_STAT_TRACES_BYTES]);
	cr_expect_eq(rows, 36);
	cr_expect_eq(without, 1);
	ma_snap_close(s);
	free(bytes);
}

/* Without the chunk of `kind`. */
static struct ma_snap *without_chunk(unsigned kind)
{
	size_t len, offs[64];
	struct ma_snap *s;
	uint8_t *bytes = sample(&len);
	size_t n = snap_bytes_chunks(bytes, len, offs, 64);
	for (size_t i = 0; i < n; i++) {
		struct ma_chunk_hdr h;
		memcpy(&h, bytes + offs[i], sizeof(h));
		if (h.kind == kind)
			bytes[offs[i] + sizeof(h) + 3] ^= 0x10;
	}
	uint64_t objects, edges;
	struct ma_error *err = snap_bytes_check(bytes, len, &objects, &edges);
	cr_assert_not_null(err);
	ma_error_free(err);
	ok(snap_bytes_open(bytes, len, &s));
	cr_assert(!ma_snap_tables(s)->complete);
	free(bytes);
	return s;
}

Test(sites, a_lost_chunk_costs_itself)
{
	uint64_t rows, traced, without;
	struct ma_snap *s = without_chunk(MA_BLOCK_SITES);
	cr_expect_eq(ma_snap_tables(s)->sites_count, 0);
	sum(s, &rows, &traced, &without);
	cr_expect_eq(rows, 36);
	cr_expect_eq(without, 36);
	ma_snap_close(s);
	s = without_chunk(MA_BLOCK_TRACES);
	cr_expect_eq(ma_snap_tables(s)->sites_count, 5);
	sum(s, &rows, &traced, &without);
	cr_expect_eq(rows, 0);
	ma_snap_close(s);
}

/* A block of traces that is not what it says ends the pass. */
static void refused(uint32_t records, const void *payload, size_t bytes)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(1 << 20);
	struct ma_snap *s;
	struct ma_trace_cursor *c;
	struct ma_snap_trace t;
	snap_put_header(&b);
	snap_put_block(&b, 0, MA_BLOCK_TRACES, records, payload, (uint32_t)bytes);
	ok(snap_bytes_open(b.data, b.len, &s));
	ok(ma_trace_cursor_create(s, &c));
	while (ma_trace_next(c, &t))
		cr_assert_leq(t.bytes, UINT64_MAX - t.addr);
	struct ma_error *err = ma_trace_cursor_error(c);
	cr_assert_not_null(err);
	cr_expect_eq(err->code, MA_ERR_BAD_DATA);
	cr_expect_not_null(strstr(err->message, "malformed"), "%s", err->message);
	ma_error_free(err);
	cr_expect(!ma_trace_next(c, &t)); /* and stays ended */
	ma_trace_cursor_destroy(c);
	ma_snap_close(s);
}

#define REFUSED(records, text) refused(records, text, sizeof(text) - 1)

Test(sites, traces_that_are_not)
{
	REFUSED(1, "\0\3\2\1\1\0");                                           /* fewer rows than it says */
	REFUSED(1, "\0\1\1\1\1\0");                                           /* a shift of 1 */
	REFUSED(2, "\0\3\1\1\1\0");                                           /* fewer records than the header says */
	REFUSED(1, "\0\3\1\1\1\0\0\3\1\1\1\0");                               /* more */
	REFUSED(1, "\xff\xff\xff\xff\x1f\0\1\1\1\0");                         /* a domain of 33 bits */
	REFUSED(1, "\0\3\1\xff\xff\xff\xff\xff\xff\xff\xff\x7f\1\0");         /* an address of 66 bits */
	REFUSED(1, "\0\0\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\1\0");       /* a block past the end of memory */
	REFUSED(1, "\0\3\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\1\1\0");       /* 2^64 - 1 rows */
	REFUSED(1, "\0\0\2\1\1\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\1\0"); /* an address that wraps */
}
