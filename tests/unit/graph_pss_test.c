// link: ma_graph ma_base
// SPDX-License-Identifier: Apache-2.0
/* Shares of processes that have pages in common: they add up to what is there once. */
#include "pss.h"

#include "cleanup.h"

#include <criterion/criterion.h>
#include <stdint.h>

#define KB UINT64_C(1024)
#define MB (KB * KB)
#define AT UINT64_C(0x7f0000000000)

static struct ma_snap_tables process(const struct ma_snap_region *regions, size_t count, uint64_t anon, uint64_t file,
				     uint64_t shmem)
{
	struct ma_snap_tables t = { .regions = regions, .regions_count = count };
	t.meta.rss_anon = anon;
	t.meta.rss_file = file;
	t.meta.rss_shmem = shmem;
	return t;
}

static void compute(const struct ma_snap_tables *v, size_t count, struct ma_pss *ret)
{
	for (size_t i = 0; i < count; i++)
		ret[i] = (struct ma_pss){ .tab = &v[i] };
	struct ma_error *err = ma_pss_compute(ret, count);
	cr_assert_null(err);
}

static void near(uint64_t got, uint64_t wanted)
{
	cr_expect(got + 16 >= wanted && got <= wanted + 16, "%llu, not %llu", (unsigned long long)got,
		  (unsigned long long)wanted);
}

static struct ma_snap_region anonymous(uint64_t start, uint64_t bytes, uint64_t pss)
{
	return (struct ma_snap_region){ .start = start,
					.end = start + bytes,
					.prot = 3,
					.rss = bytes,
					.anonymous = bytes,
					.pss = pss,
					.path = (char *)"" };
}

Test(pss, pages_shared_by_fork)
{
	/* parent: 12 MB, all shared with both children; first: 3 MB of them its own by now; second: another 6 MB beside
	 */
	struct ma_snap_region parent = anonymous(AT, 12 * MB, 12 * MB / 4),
			      first = anonymous(AT, 12 * MB, 3 * MB / 2 + 9 * MB / 4);
	struct ma_snap_region second[] = { anonymous(AT, 12 * MB, 12 * MB / 4),
					   anonymous(AT + 64 * MB, 6 * MB, 3 * MB) };
	struct ma_snap_tables v[] = { process(&parent, 1, 12 * MB, 0, 0), process(&first, 1, 12 * MB, 0, 0),
				      process(second, 2, 18 * MB, 0, 0) };
	struct ma_pss p[3];
	compute(v, 3, p);
	near(p[0].anon.share, 4 * MB);
	near(p[1].anon.share, 3 * MB + 3 * MB);
	near(p[2].anon.share, 4 * MB + 6 * MB);
	cr_expect_eq(p[2].anon.rss, 18 * MB);
	/* the same parent alone has all its pages, whoever else may have them */
	compute(v, 1, p);
	near(p[0].anon.share, 12 * MB);
}

Test(pss, equal_addresses_are_not_shared_pages)
{
	/* two programs that were started on their own, with a Pss of half: nothing is shared */
	struct ma_snap_region a = anonymous(AT, 8 * MB, 4 * MB), b = anonymous(AT + 4 * MB, 8 * MB, 4 * MB);
	struct ma_snap_tables v[] = { process(&a, 1, 8 * MB, 0, 0), process(&b, 1, 8 * MB, 0, 0) };
	struct ma_pss p[2];
	compute(v, 2, p);
	near(p[0].anon.share + p[1].anon.share, 16 * MB);
}

Test(pss, files_and_shared_memory_count_once)
{
	struct ma_snap_region a[] = {
		{ .start = AT, .end = AT + 8 * MB, .prot = 5, .inode = 3, .path = (char *)"/usr/lib/libx.so" },
		{ .start = AT + 16 * MB, .end = AT + 48 * MB, .prot = 11, .inode = 7, .path = (char *)"/dev/zero" },
	};
	struct ma_snap_region b[] = {
		a[0],
		a[1],
		{ .start = AT + 64 * MB,
		  .end = AT + 72 * MB,
		  .prot = 5,
		  .inode = 4,
		  .path = (char *)"/usr/lib/liby.so" },
	};
	struct ma_snap_tables v[] = { process(a, 2, 0, 4 * MB, 32 * MB), process(b, 3, 0, 8 * MB, 32 * MB) };
	struct ma_pss p[2];
	compute(v, 2, p);
	/* libx: 4 MB in both, once; liby: 4 MB */
	near(p[0].file.share, 2 * MB);
	near(p[1].file.share, 2 * MB + 4 * MB);
	near(p[0].shmem.share + p[1].shmem.share, 32 * MB);
	cr_expect_eq(p[0].file.rss + p[0].shmem.rss, 36 * MB);
}

Test(pss, files_of_other_writers)
{
	struct ma_snap_region wrong[] = {
		{ .start = UINT64_MAX - 4096, .end = 4096, .prot = 5, .rss = UINT64_MAX, .path = (char *)"/x" },
		{ .start = 0,
		  .end = UINT64_MAX,
		  .prot = 9,
		  .rss = UINT64_MAX,
		  .anonymous = UINT64_MAX,
		  .pss = UINT64_MAX,
		  .path = (char *)"/dev/shm/y" },
		{ .start = 8192, .end = 4096, .anonymous = 1, .pss = UINT64_MAX, .path = (char *)"" },
	};
	struct ma_snap_tables v[] = { process(wrong, 3, UINT64_MAX, UINT64_MAX, UINT64_MAX), process(wrong, 3, 1, 1, 1),
				      process(NULL, 0, 5, 6, 7) };
	struct ma_pss p[3];
	compute(v, 3, p);
	for (size_t i = 0; i < 3; i++) {
		cr_expect_leq(p[i].anon.share, p[i].anon.rss);
		cr_expect_leq(p[i].file.share, p[i].file.rss);
		cr_expect_leq(p[i].shmem.share, p[i].shmem.rss);
	}
	/* of a file without mappings nothing is known to be shared */
	cr_expect_eq(p[2].anon.share + p[2].file.share + p[2].shmem.share, 18);
}
