// link: ma_test_support ma_format ma_base
// SPDX-License-Identifier: Apache-2.0
/* Each allocation of the writer and of the reader fails once: an error, no crash, no file. */
#include "failing_malloc.h"
#include "snapshot_builder.h"
#include "snapshot_bytes.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of this process: two runs of the tests must not share it. */
static char path[64];

__attribute__((constructor)) static void name_file(void)
{
	snprintf(path, sizeof(path), "/tmp/ma-memory-test-%d.snap", (int)getpid());
}

static struct ma_error *write_all(void)
{
	static const uint8_t bytes[1000] = { 1 };
	struct ma_snap_writer *w;
	struct ma_block_hdr hdr = { .kind = MA_BLOCK_TYPES, .bytes = sizeof(bytes), .records = 1 };
	struct ma_error *err = ma_snap_writer_create(path, &(struct ma_snap_writer_options){ .backlog_bytes = 1 }, &w);
	if (err)
		return err;
	for (unsigned kind = MA_BLOCK_META; kind <= MA_BLOCK_RESULT && !err; kind++) {
		hdr.kind = kind;
		err = ma_snap_writer_block(w, &hdr, bytes);
	}
	if (!err)
		err = ma_snap_writer_commit(w, NULL);
	ma_snap_writer_destroy(w);
	return err;
}

static struct ma_error *read_all(void)
{
	struct ma_snap *s;
	uint64_t objects, edges;
	struct ma_error *err = ma_snap_open(path, &s);
	if (err)
		return err;
	err = snap_walk(s, &objects, &edges);
	ma_snap_close(s);
	return err;
}

/* `once`: that one allocation fails, and all is well when the code can do without. */
static void sweep(struct ma_error *(*what)(void), bool all_after, long least)
{
	long n = 1;
	for (;; n++) {
		failing_malloc_arm(n, all_after);
		struct ma_error *err = what();
		bool hit = failing_malloc_disarm();
		if (err) {
			cr_assert(hit, "%s", err->message);
			cr_assert_eq(err->code, MA_ERR_NO_MEMORY, "%s", err->message);
		}
		ma_error_free(err);
		if (!hit)
			break;
		cr_assert_lt(n, 5000);
	}
	cr_assert_gt(n, least, "only %ld allocations", n);
}

Test(memory, writer)
{
	if (!failing_malloc_works())
		cr_skip("a sanitizer has its own allocator");
	sweep(write_all, false, 10);
	sweep(write_all, true, 10);
	unlink(path);
	cr_assert_eq(system("test -z \"$(ls /tmp/ma-memory-test.snap* 2>/dev/null)\""), 0);
}

Test(memory, reader)
{
	if (!failing_malloc_works())
		cr_skip("a sanitizer has its own allocator");
	sb_sample(path, 100);
	sweep(read_all, false, 10);
	sweep(read_all, true, 10);
	unlink(path);
}
