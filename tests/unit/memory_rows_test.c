// link: ma_graph ma_report ma_test_support ma_format ma_base
// SPDX-License-Identifier: Apache-2.0
/* The arithmetic of the rows of memory, on a file whose every byte is known (tests/support/snapshot_malloc.c). */
#include "analysis.h"
#include "causes.h"
#include "snapshot_builder.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MIB UINT64_C(0x100000)

static struct ma_snap *snap;
static struct ma_analysis a;

static void take(unsigned what)
{
	char path[64];
	snprintf(path, sizeof(path), "/tmp/memory_rows_test-%d.mem", (int)getpid());
	sb_malloc_sample(path, what);
	struct ma_error *err = ma_snap_open(path, &snap);
	cr_assert_null(err, "%s", err ? err->message : "");
	cr_assert(ma_snap_tables(snap)->complete, "%s", ma_snap_tables(snap)->missing);
	unlink(path);
	err = ma_analysis_create(snap, false, &a);
	cr_assert_null(err, "%s", err ? err->message : "");
	uint64_t sum = 0;
	for (unsigned i = 0; i < MA_MEM_COUNT; i++)
		sum += a.memory.rows[i];
	cr_expect_eq(sum, a.memory.rss);
}

static void done(void)
{
	ma_analysis_deinit(&a);
	ma_snap_close(snap);
}

static void expect(enum ma_memory_row row, uint64_t bytes)
{
	cr_expect_eq(a.memory.rows[row], bytes, "%s: %llu, not %llu", ma_memory_name(row),
		     (unsigned long long)a.memory.rows[row], (unsigned long long)bytes);
}

Test(memory_rows, every_byte, .fini = done)
{
	take(SB_MALLOC_PAGES | SB_MALLOC_HEAPS);
	/* in the arena, in the heap, and 17 pages of an object of 64 less the header of its chunk */
	const uint64_t large = 0x11000 - 16;
	expect(MA_MEM_OBJECTS, 48000 + 10000 + large);
	expect(MA_MEM_BUFFERS, 0);
	expect(MA_MEM_FREE_BLOCKS, 500 * 48);
	expect(MA_MEM_FREE_POOLS, 20 * 16384);
	expect(MA_MEM_PYMALLOC_OTHER, 100 * 48);
	expect(MA_MEM_ARENA_SLACK, 0xa0000 - 48000 - 24000 - 327680 - 4800);
	uint64_t rounding = ((10000 + 0x40000 + 11 * 16) & ~15) - 10000 - 0x40000;
	expect(MA_MEM_MALLOC_SLACK, rounding);
	expect(MA_MEM_MALLOC_USED, 2000000 - 10000 - rounding + 0x80000 + 16);
	expect(MA_MEM_MALLOC_FREE, 400000 + 200000 + 1000 - 0x18000);
	expect(MA_MEM_HUGE_WASTE, 0x18000);
	expect(MA_MEM_MALLOC_UNREAD, 3 * MIB - 2601000);
	expect(MA_MEM_STACKS, 0x3000);
	expect(MA_MEM_DATA, 0x60000);
	expect(MA_MEM_CODE, MIB + 0x20000 + 0x1000);
	expect(MA_MEM_SHARED, 0x7000);
	expect(MA_MEM_UNKNOWN, 0x10000);
	cr_assert_eq(a.memory.unknown_count, 1);
	cr_expect_eq(a.memory.unknown[0].start, 0x7f3000000000);
	cr_expect_eq(a.memory.unknown[0].bytes, 0x10000);
	cr_expect_str_eq(a.memory.allocator, "glibc");
	cr_expect_eq(a.memory.heaps.arenas, 1);
	cr_expect_eq(a.memory.heaps.trimmable, 350000);
}

/* A file of an earlier version: nothing is known of the heap, and pages count as spread evenly. */
Test(memory_rows, an_older_file, .fini = done)
{
	take(0);
	expect(MA_MEM_OBJECTS, 48000 + 10000 + 0x40000);
	expect(MA_MEM_MALLOC_FREE, 0);
	expect(MA_MEM_MALLOC_USED, 0);
	expect(MA_MEM_HUGE_WASTE, 0);
	cr_expect_geq(a.memory.rows[MA_MEM_MALLOC_UNREAD], 3 * MIB - 10000 - 0x40000);
	expect(MA_MEM_STACKS, 0);
}

/* Pages without heaps: glibc's were not found. */
Test(memory_rows, another_allocator, .fini = done)
{
	char label[64];
	take(SB_MALLOC_PAGES | SB_MALLOC_FOREIGN);
	cr_expect_str_eq(a.memory.allocator, "jemalloc");
	cr_expect(a.memory.foreign);
	expect(MA_MEM_UNKNOWN, 0);
	expect(MA_MEM_MALLOC_USED, 0);
	expect(MA_MEM_MALLOC_FREE, 0);
	cr_expect_eq(a.memory.unknown_count, 0);
	cr_expect_str_eq(ma_memory_label(&a.memory, MA_MEM_MALLOC_UNREAD, label), "jemalloc: used or free, not read");
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(1 << 16);
	ma_cause(&b, &a, MA_MEM_MALLOC_UNREAD);
	cr_expect_not_null(strstr(ma_buf_text(&b), "jemalloc"), "%s", ma_buf_text(&b));
}

/* One with a library of its own, beside heaps of glibc that hold the blocks. */
Test(memory_rows, an_allocator_that_is_only_loaded, .fini = done)
{
	take(SB_MALLOC_PAGES | SB_MALLOC_HEAPS | SB_MALLOC_FOREIGN);
	cr_expect_str_eq(a.memory.allocator, "glibc");
	expect(MA_MEM_UNKNOWN, 0x10000);
}

Test(memory_rows, sparse_arenas, .fini = done)
{
	take(SB_MALLOC_PAGES | SB_MALLOC_HEAPS);
	const struct ma_fragments *f = &a.fragments;
	cr_expect_eq(f->arenas, 1);
	cr_expect_eq(f->sparse, 1);
	cr_expect_eq(f->sparse_free, MIB - 52800);
	cr_expect_eq(f->objects, 1000);
	cr_assert_eq(f->pins_count, 1);
	cr_expect_str_eq(ma_type_name(snap, f->pins[0].type_id), "thing");
	cr_expect_eq(f->pins[0].objects, 1000);
	cr_expect_eq(f->pins[0].bytes, 48000);
	cr_expect_eq(f->pins[0].arenas, 1);
}
