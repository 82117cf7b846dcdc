// link: ma_test_support ma_graph ma_format ma_base
// SPDX-License-Identifier: Apache-2.0
/* Buffers: each byte is counted once; objects that native code holds. */
#include "buffers.h"
#include "native_held.h"
#include "snapshot_builder.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

static char path[64];

static void setup(void)
{
	snprintf(path, sizeof(path), "/tmp/ma-buffers-%d.mas", (int)getpid());
}

static void teardown(void)
{
	unlink(path);
}

TestSuite(buffers, .init = setup, .fini = teardown);

static struct ma_snap *finish(struct snap_builder *b)
{
	struct ma_snap *s;
	sb_finish(b);
	cr_assert_null(ma_snap_open(path, &s));
	return s;
}

Test(buffers, each_byte_once)
{
	struct snap_builder *b = sb_create(path);
	sb_buffer(b, MA_RAW_CHUNK, 0x1000, 0x1000, 0x10); /* has the numpy range in its middle */
	sb_buffer(b, MA_RAW_NUMPY, 0x1400, 0x100, 0x20);
	sb_buffer(b, MA_RAW_ARROW, 0x14c0, 0x80, 0x30); /* half of it is numpy's */
	sb_buffer(b, MA_RAW_ARROW, 0x14c0, 0x80, 0x40); /* the same again */
	sb_buffer(b, MA_RAW_ARROW, 0x5000, 0x1000, 0x50);
	sb_buffer(b, MA_RAW_ARROW, 0x5800, 0x1000, 0x60); /* a slice that goes further */
	sb_buffer(b, MA_RAW_FOREIGN, 0x5900, 0x10, 0x70); /* all of it is Arrow's */
	sb_buffer(b, 63, 0x9000, 8, 0x80);                /* a kind of a later version */
	struct ma_snap *s = finish(b);
	struct ma_buffers r;
	cr_assert_null(ma_buffers_compute(s, &r));
	cr_assert_eq(r.rows[MA_BUFFER_NUMPY].counted, 0x100);
	cr_assert_eq(r.rows[MA_BUFFER_ARROW].counted, 0x40 + 0x1800);
	cr_assert_eq(r.rows[MA_BUFFER_ARROW].count, 4);
	cr_assert_eq(r.rows[MA_BUFFER_ARROW].bytes, 0x2100);
	cr_assert_eq(r.rows[MA_BUFFER_FOREIGN].counted, 0);
	cr_assert_eq(r.rows[MA_BUFFER_CHUNK].counted, 0x1000 - 0x140);
	cr_assert_eq(r.rows[MA_BUFFER_OTHER].counted, 8);
	ma_buffers_deinit(&r);
	ma_snap_close(s);
}

Test(buffers, none)
{
	struct ma_snap *s = finish(sb_create(path));
	struct ma_buffers r;
	cr_assert_null(ma_buffers_compute(s, &r));
	cr_assert_eq(r.count, 0);
	ma_buffers_deinit(&r);
	ma_snap_close(s);
}

Test(buffers, held_by_native_code)
{
	struct snap_builder *b = sb_create(path);
	char lib[] = "/usr/lib/libsome.so", stack[] = "[stack]", none[] = "";
	uint32_t t = sb_type(b, "app", "Item", 0x100, 0, 32, 0);
	sb_region(b, &(struct ma_snap_region){ .start = 0x7000, .end = 0x8000, .path = lib });
	sb_region(b, &(struct ma_snap_region){ .start = 0x8000, .end = 0x9000, .path = none }); /* its .bss */
	sb_region(b, &(struct ma_snap_region){ .start = 0xa000, .end = 0xb000, .path = stack });
	sb_object(b, &(struct sb_object){ .addr = 0x1000, .type = t, .size = 32, .refcnt = 1 });
	sb_edge(b, MA_EDGE_PLAIN, 0x1040, 0);
	sb_edge(b, MA_EDGE_GUESSED, 0x1060, 0);
	sb_edge(b, MA_EDGE_GUESSED, 0x1060, 0);
	sb_object(b, &(struct sb_object){ .addr = 0x1020, .type = t, .size = 32, .refcnt = 5 });
	sb_object(b, &(struct sb_object){ .addr = 0x1040, .type = t, .size = 32, .refcnt = 1 }); /* all found */
	sb_object(b, &(struct sb_object){ .addr = 0x1060, .type = t, .size = 32, .refcnt = 2 }); /* guessed */
	sb_object(b, &(struct sb_object){ .addr = 0x1080, .type = t, .size = 32, .refcnt = 0 }); /* immortal */
	sb_buffer(b, MA_RAW_WORD, 0x8008, 0, 0x1020);
	sb_buffer(b, MA_RAW_WORD, 0xa008, 0, 0x1020);
	struct ma_snap *s = finish(b);
	struct ma_graph *g;
	struct ma_native_held n;
	cr_assert_null(ma_graph_create(s, false, &g));
	cr_assert_null(ma_native_held_compute(g, &n));
	cr_assert_eq(n.objects, 2);
	cr_assert_eq(n.references, 6);
	cr_assert_eq(n.located, 1);
	cr_assert_eq(n.rows_count, 2);
	cr_assert_str_eq(n.rows[0].library, "/usr/lib/libsome.so");
	cr_assert_eq(n.rows[0].references, 5);
	cr_assert_null(n.rows[1].library);
	cr_assert_eq(n.rows[1].objects, 1);
	cr_assert_null(ma_library_of(s, 0xa008, true));
	cr_assert_null(ma_library_of(s, 0x6fff, true));
	cr_assert_str_eq(ma_library_of(s, 0x7800, false), lib);
	cr_assert_str_eq(ma_library_of(s, 0x8800, true), lib);
	cr_assert_null(ma_library_of(s, 0x8800, false)); /* memory behind a library is not always its .bss */
	ma_native_held_deinit(&n);
	ma_graph_destroy(g);
	ma_snap_close(s);
}
