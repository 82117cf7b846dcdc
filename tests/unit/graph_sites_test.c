// link: ma_report ma_graph ma_test_support ma_format ma_base
// SPDX-License-Identifier: Apache-2.0
/* Where memory was allocated: summed up by line, with what the objects are, and what is gained between two times. */
#include "report.h"
#include "snapshot_builder.h"

#include <criterion/criterion.h>
#include <memattach/diff.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[64];

static void ok(struct ma_error *err)
{
	cr_assert_null(err, "%s", err ? err->message : "");
}

static struct ma_snap *sample(void)
{
	struct ma_snap *s;
	snprintf(path, sizeof(path), "/tmp/graph_sites_test-%d.mem", (int)getpid());
	sb_sites_sample(path);
	ok(ma_snap_open(path, &s));
	unlink(path);
	return s;
}

static void expect_line(const struct ma_site_line *l, const char *file, uint32_t line, uint64_t count, uint64_t bytes,
			uint64_t objects)
{
	cr_expect(l->file.len == strlen(file) && !memcmp(l->file.p, file, l->file.len), "%.*s", (int)l->file.len,
		  l->file.p);
	cr_expect_eq(l->line, line);
	cr_expect_eq(l->count, count, "%llu blocks", (unsigned long long)l->count);
	cr_expect_eq(l->bytes, bytes, "%llu bytes", (unsigned long long)l->bytes);
	cr_expect_eq(l->objects, objects, "%llu objects", (unsigned long long)l->objects);
}

Test(sites, by_line)
{
	struct ma_snap *s = sample();
	struct ma_graph *g;
	struct ma_sites x;
	ok(ma_graph_create(s, false, &g));
	ok(ma_sites_create(s, g, &x));
	cr_assert_eq(x.lines_count, 4); /* two sites are one line; of the last all is gone */
	cr_expect_eq(x.count, ma_snap_tables(s)->stats[MA_STAT_TRACES]);
	cr_expect_eq(x.bytes, ma_snap_tables(s)->stats[MA_STAT_TRACES_BYTES]);
	expect_line(&x.lines[0], "/srv/app.py", 12, 32, 16 * 24 + 16 * 60, 32);
	expect_line(&x.lines[1], "/srv/app.py", 50, 1, 1000, 0); /* of another domain: no object of Python */
	expect_line(&x.lines[2], "/usr/lib/python3.11/json/decoder.py", 353, 2, 72 + 320, 1);
	expect_line(&x.lines[3], "", 0, 1, 16, 0);
	cr_assert_eq(x.top_count, 4);
	cr_assert_eq(x.top[0].count, 2);
	cr_expect_str_eq(ma_type_name(s, x.top[0].types[0].type_id), "bytes");
	cr_expect_eq(x.top[0].types[0].count, 16);
	cr_expect_eq(x.top[0].types[0].bytes, 16 * 60);
	cr_expect_eq(x.top[1].count, 0);
	uint64_t known = 0;
	for (uint32_t i = 0; i < g->count; i++)
		known += x.line_of[i] != 0;
	cr_expect_eq(known, 33);
	cr_expect(x.untraced_objects == 8 && x.untraced_bytes == 4 * 24 + 4 * 60);
	ma_sites_deinit(&x);
	ok(ma_sites_create(s, NULL, &x));
	cr_expect(x.lines_count == 4 && !x.line_of && !x.lines[0].objects);
	ma_sites_deinit(&x);
	ma_graph_destroy(g);
	ma_snap_close(s);
}

Test(sites, off)
{
	struct ma_snap *s;
	struct ma_sites x;
	snprintf(path, sizeof(path), "/tmp/graph_sites_test-%d.mem", (int)getpid());
	sb_sample(path, 3);
	ok(ma_snap_open(path, &s));
	unlink(path);
	ok(ma_sites_create(s, NULL, &x));
	cr_expect(!x.lines_count && !x.lines && !x.line_of);
	ma_snap_close(s);
}

Test(sites, in_the_report)
{
	struct ma_snap *s = sample();
	struct ma_analysis a;
	char *text;
	size_t bytes;
	ok(ma_analysis_create(s, true, &a));
	FILE *out = open_memstream(&text, &bytes);
	ok(ma_report_text(out, &a, &(struct ma_report_options){ .path = "x", .columns = 80 }));
	fclose(out);
	const char *at = strstr(text, "ALLOCATED AT");
	cr_assert_not_null(at, "%s", text);
	cr_expect_not_null(strstr(at, "/srv/app.py:12 "), "%s", at);
	cr_expect_not_null(strstr(at, "32    1.34 kB  49 %\n      16 bytes, 16 float\n"), "%s", at);
	cr_expect_not_null(strstr(at, "not known where"), "%s", at);
	cr_expect_not_null(strstr(at, "  8 objects, 336 B, are older than tracemalloc\n"), "%s", at);
	free(text);
	ma_analysis_deinit(&a);
	ma_snap_close(s);
}

/* A list of `count` floats that one line allocated, and one by another. */
static struct ma_snap *grown(unsigned count, bool traced)
{
	struct ma_snap *s;
	snprintf(path, sizeof(path), "/tmp/graph_sites_test-%d.mem", (int)getpid());
	struct snap_builder *b = sb_create(path);
	sb_meta_default(b);
	uint32_t t_list = sb_type(b, "", "list", 0x1000, MA_TF_VISITOR, 56, 0);
	uint32_t t_bytes = sb_type(b, "", "bytes", 0x2000, 0, 33, 1);
	uint32_t file = sb_name(b, "/srv/app.py"), items = sb_name(b, "items");
	sb_thread(b, 0x7f2000000740, 4242, 0x200000, 0, true);
	sb_frame(b, 0x5000, file, 0, 40, 0x9000);
	sb_edge(b, MA_EDGE_NAMED, 0x10000, items);
	sb_object(b, &(struct sb_object){ .addr = 0x10000, .type = t_list, .size = 56, .refcnt = 1 });
	for (unsigned i = 0; i <= count; i++)
		sb_edge(b, MA_EDGE_NEXT, 0x20000 + 2048 * i, 0);
	for (unsigned i = 0; i <= count; i++)
		sb_object(b, &(struct sb_object){
				     .addr = 0x20000 + 2048 * i, .type = t_bytes, .size = 2000, .refcnt = 1 });
	sb_flush(b);
	if (traced) {
		uint32_t one = sb_site(b, &(struct ma_snap_site_frame){ file, 7 }, 1, 1);
		uint32_t many = sb_site(b, &(struct ma_snap_site_frame){ file, 9 }, 1, 1);
		for (unsigned i = 0; i <= count; i++)
			sb_trace(b, &(struct ma_snap_trace){ 0x20000 + 2048 * i, 2000, i ? many : one, 0 });
	}
	sb_finish(b);
	ok(ma_snap_open(path, &s));
	unlink(path);
	return s;
}

Test(sites, gained)
{
	struct ma_snap *old = grown(10, true), *new = grown(60, true), *untraced = grown(10, false);
	struct ma_diff d;
	ok(ma_diff_create(old, NULL, new, &d));
	cr_assert(d.sites.both);
	cr_assert_eq(d.sites.count, 2);
	cr_expect_eq(d.sites.rows[0].line, 9);
	cr_expect(d.sites.rows[0].old_count == 10 && d.sites.rows[0].new_count == 60);
	cr_expect(d.sites.rows[0].old_bytes == 20000 && d.sites.rows[0].new_bytes == 120000);
	cr_expect(d.sites.rows[1].line == 7 && d.sites.rows[1].old_bytes == d.sites.rows[1].new_bytes);
	cr_assert(d.growths.count > 0 && d.growths.points[0].bytes > 0);
	cr_expect_eq(d.sites.of_growth[0].site, 1);
	cr_expect_eq(d.sites.of_growth[0].count, 50);
	cr_expect_eq(d.sites.of_growth[0].bytes, 100000);
	ma_diff_deinit(&d);

	ok(ma_diff_create(untraced, NULL, new, &d)); /* it was started in between */
	cr_expect(!d.sites.both && d.sites.count == 2);
	cr_expect_eq(d.sites.of_growth[0].site, 1);
	ma_diff_deinit(&d);
	ok(ma_diff_create(new, NULL, untraced, &d));
	cr_expect(!d.sites.both && !d.sites.count && !d.sites.of_growth);
	ma_diff_deinit(&d);
	ma_snap_close(old);
	ma_snap_close(new);
	ma_snap_close(untraced);
}
