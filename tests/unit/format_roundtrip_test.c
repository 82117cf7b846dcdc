// link: ma_test_support ma_format ma_base
// SPDX-License-Identifier: Apache-2.0
/* What is written is read again: each kind of record, more than one chunk, every edge kind. */
#include "snapshot_builder.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[64];

static void setup(void)
{
	snprintf(path, sizeof(path), "/tmp/ma-roundtrip-XXXXXX");
	cr_assert(mkdtemp(path));
	strcat(path, "/s");
}

static void teardown(void)
{
	unlink(path);
	*strrchr(path, '/') = 0;
	cr_expect_eq(rmdir(path), 0, "nothing is left beside the snapshot");
}

TestSuite(roundtrip, .init = setup, .fini = teardown);

static void ok(struct ma_error *err)
{
	cr_assert_null(err, "%s", err ? err->message : "");
}

static struct ma_snap *open_snap(void)
{
	struct ma_snap *s = NULL;
	ok(ma_snap_open(path, &s));
	const struct ma_snap_tables *t = ma_snap_tables(s);
	cr_assert(t->complete, "%s", t->missing);
	cr_assert_null(t->missing);
	cr_assert_eq(t->damaged_chunks, 0);
	return s;
}

Test(roundtrip, empty_snapshot)
{
	struct ma_snap_writer *w;
	uint64_t bytes = 0, objects = 1, edges = 1;
	ok(ma_snap_writer_create(path, NULL, &w));
	ok(ma_snap_writer_commit(w, &bytes));
	ma_snap_writer_destroy(w);
	struct stat st;
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq((uint64_t)st.st_size, bytes);
	cr_assert_eq(st.st_mode & 07777, 0600);
	struct ma_snap *s = open_snap();
	cr_assert_eq(ma_snap_tables(s)->chunks, 0);
	cr_assert_str_eq(ma_snap_tables(s)->meta.host, "");
	ma_snap_close(s);
	ok(ma_snap_check(path, &objects, &edges));
	cr_assert_eq(objects, 0);
	cr_assert_eq(edges, 0);
}

Test(roundtrip, tables)
{
	sb_sample(path, 10);
	struct ma_snap *s = open_snap();
	const struct ma_snap_tables *t = ma_snap_tables(s);
	cr_assert_str_eq(t->meta.host, "builder");
	cr_assert_str_eq(t->meta.command, "python3 app.py --port 80");
	cr_assert_str_eq(t->meta.python, "3.11.7");
	cr_assert_str_eq(t->meta.libpython, "");
	cr_assert_eq(t->meta.pid, 4242);
	cr_assert_eq(t->meta.pause_ns, 12000000);
	cr_assert_eq(t->meta.consistency, MA_CONS_GIL_FREE + 0u);
	cr_assert_eq(t->meta.notes_count, 1);
	cr_assert_str_eq(t->meta.notes[0], "a note");
	cr_assert_eq(t->meta.tids_count, 2);
	cr_assert_str_eq(t->meta.tids[1].name, "worker");

	cr_assert_eq(t->types_count, 6);
	cr_assert_str_eq(t->types[1].name, "dict");
	cr_assert_str_eq(t->types[5].name, "app.Item");
	cr_assert_eq(t->types[5].module.len, 3);
	cr_assert_eq(t->types[5].flags, MA_TF_HEAP);
	cr_assert_eq(t->types[0].basicsize, 880);
	cr_assert_eq(t->types[0].itemsize, 40);
	cr_assert_eq(t->names_count, 7);
	cr_assert_eq(t->names[0].len, 11);
	cr_assert_arr_eq(t->names[0].p, "/srv/app.py", 11);

	cr_assert_eq(t->interps_count, 1);
	cr_assert_eq(t->interps[0].locals_end - t->interps[0].locals_begin, 1);
	cr_assert_eq(t->threads_count, 2);
	cr_assert(t->threads[0].holds_gil);
	cr_assert_not(t->threads[1].holds_gil);
	cr_assert_eq(t->threads[0].tid, 4242);
	cr_assert_str_eq(t->threads[1].name, "worker");
	cr_assert_eq(t->threads[0].frames_end - t->threads[0].frames_begin, 2);
	cr_assert_eq(t->threads[1].frames_end - t->threads[1].frames_begin, 1);
	const struct ma_snap_frame *f = &t->frames[t->threads[0].frames_begin];
	cr_assert_eq(f->line, 17);
	cr_assert_eq(f->file_id, 1);
	cr_assert_eq(f->locals_end - f->locals_begin, 2);
	cr_assert_eq(t->locals[f->locals_begin].name_id, 4);
	cr_assert_not(t->locals[f->locals_begin].borrowed);
	cr_assert(t->locals[f->locals_begin + 1].borrowed);
	cr_assert_eq(t->locals[f->locals_begin + 1].dst, UINT64_C(0x7f0000000200));

	cr_assert_eq(t->arenas_count, 1);
	cr_assert_eq(t->arenas[0].free_pools, 3);
	cr_assert_eq(t->classes_count, 1);
	cr_assert_eq(t->classes[0].waste_bytes, 96);
	cr_assert_eq(t->freelists_count, 1);
	cr_assert_str_eq(t->freelists[0].name, "float");
	cr_assert_eq(t->freelists[0].bytes, 288);
	cr_assert_eq(t->regions_count, 3);
	cr_assert_str_eq(t->regions[1].path, "/usr/bin/python3.11");
	cr_assert_eq(t->regions[1].shared, 0x100000);
	cr_assert_eq(t->regions[1].kind, MA_RGN_DATA);
	cr_assert_eq(t->stats[MA_STAT_OBJECTS], 23);
	cr_assert_eq(t->stats[MA_STAT_SCRATCH_PEAK], 4 << 20);
	ma_snap_close(s);
}

Test(roundtrip, buffers)
{
	struct snap_builder *b = sb_create(path);
	for (uint64_t i = 0; i < 40000; i++) { /* more than a block holds */
		sb_buffer(b, MA_RAW_ARROW, UINT64_C(0x7f0000000001) - i * 4099, 1 + i, 0x555500000000 + i * 16);
		sb_buffer(b, MA_RAW_WORD, UINT64_C(0x7fff00000000) + i * 8, 0, 0x7f1100000000 - i * 8);
	}
	sb_finish(b);
	uint64_t objects, edges;
	ok(ma_snap_check(path, &objects, &edges));
	struct ma_snap *s = open_snap();
	const struct ma_snap_tables *t = ma_snap_tables(s);
	cr_assert_eq(t->raws_count, 40000);
	cr_assert_eq(t->words_count, 40000);
	for (uint64_t i = 0; i < 40000; i++) {
		cr_assert_eq(t->raws[i].kind, MA_RAW_ARROW + 0u);
		cr_assert_eq(t->raws[i].addr, UINT64_C(0x7f0000000001) - i * 4099);
		cr_assert_eq(t->raws[i].bytes, 1 + i);
		cr_assert_eq(t->raws[i].owner, 0x555500000000 + i * 16);
		cr_assert_eq(t->words[i].addr, UINT64_C(0x7fff00000000) + i * 8);
		cr_assert_eq(t->words[i].object, 0x7f1100000000 - i * 8);
	}
	ma_snap_close(s);
}

Test(roundtrip, contents)
{
	struct snap_builder *b = sb_create(path);
	for (uint64_t i = 0; i < 40000; i++) {
		uint64_t samples[MA_CONTENT_SAMPLES] = { i, [MA_CONTENT_SAMPLES - 1] = ~i };
		sb_content(b, 0x555500000000 - i * 4096, 1024 + i, UINT64_C(0x9e3779b97f4a7c15) * i,
			   i % 3 ? NULL : samples);
	}
	sb_finish(b);
	ok(ma_snap_check(path, NULL, NULL));
	struct ma_snap *s = open_snap();
	const struct ma_snap_tables *t = ma_snap_tables(s);
	cr_assert_eq(t->contents_count, 40000);
	for (uint64_t i = 0; i < 40000; i++) {
		cr_assert_eq(t->contents[i].object, 0x555500000000 - i * 4096);
		cr_assert_eq(t->contents[i].bytes, 1024 + i);
		cr_assert_eq(t->contents[i].hash, UINT64_C(0x9e3779b97f4a7c15) * i);
		cr_assert_eq(t->contents[i].kind, i % 3 ? MA_CONTENT_NONE : MA_CONTENT_INT);
		if (i % 3)
			continue;
		cr_assert_eq(t->samples[t->contents[i].samples].words[0], i);
		cr_assert_eq(t->samples[t->contents[i].samples].words[MA_CONTENT_SAMPLES - 1], ~i);
	}
	ma_snap_close(s);
}

/* A count that does not fit what is there shows. */
Test(roundtrip, buffers_missing)
{
	struct snap_builder *b = sb_create(path);
	sb_buffer(b, MA_RAW_NUMPY, 0x1000, 100, 0x2000);
	sb_stat(b, MA_STAT_RAW, 2);
	sb_finish(b);
	struct ma_error *err = ma_snap_check(path, NULL, NULL);
	cr_assert_not_null(err);
	cr_assert_not_null(strstr(err->message, "2 buffers were written and 1 are there"), "%s", err->message);
	ma_error_free(err);
}

/* Random objects, the same again from the same seed while reading. */
static uint64_t rnd(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static struct sb_object random_object(uint64_t *x, uint64_t addr)
{
	static const uint32_t extras[] = { 0, 0, 0, 0, MA_OX_FAULT, MA_OX_UNREACHED, MA_OX_CONT, MA_OX_ZEROREF };
	uint64_t r = rnd(x);
	return (struct sb_object){
		.addr = addr,
		.type = 1 + (uint32_t)(r % 3),
		.size = rnd(x) >> (r >> 8 & 63),
		.refcnt = rnd(x) >> (r >> 14 & 63),
		.buffer = r >> 20 & 1 ? rnd(x) >> 40 : 0,
		.extra = extras[r >> 21 & 7],
		.place = (enum ma_place)(r >> 24 & 3),
		.gc = r >> 26 & 1,
	};
}

static void round_trip(unsigned objects, const struct ma_snap_writer_options *opt)
{
	struct snap_builder *b = sb_create_opt(path, opt);
	for (unsigned i = 0; i < 3; i++)
		sb_type(b, "m", "T", 0x1000 + i * 0x100, 0, 16, 0);
	for (unsigned i = 0; i < 100; i++)
		sb_name(b, "n");
	uint64_t x = 88172645463325252u;
	for (unsigned i = 0; i < objects; i++) {
		struct sb_object o = random_object(&x, rnd(&x) & ~UINT64_C(7));
		sb_object(b, &o);
		for (unsigned k = (unsigned)(rnd(&x) % 5); k; k--) {
			uint64_t r = rnd(&x);
			sb_edge(b, (enum ma_edge_kind)(r & 7), rnd(&x) & ~UINT64_C(7), r >> 8 & 63);
		}
	}
	sb_finish(b);

	struct ma_snap *s = open_snap();
	struct ma_snap_cursor *c;
	struct ma_snap_object o;
	struct ma_snap_edge e;
	uint64_t edges = 0, real = 0;
	ok(ma_snap_cursor_create(s, &c));
	x = 88172645463325252u;
	for (unsigned i = 0; i < objects; i++) {
		uint64_t addr = rnd(&x) & ~UINT64_C(7), index = 0, key = 0;
		struct sb_object w = random_object(&x, addr);
		real += !(w.extra & MA_OX_CONT);
		cr_assert(ma_snap_next_object(c, &o), "object %u", i);
		cr_assert_eq(o.addr, w.addr);
		cr_assert_eq(o.type_id, w.type);
		cr_assert_eq(o.size, w.size);
		cr_assert_eq(o.refcnt, w.refcnt);
		cr_assert_eq(o.immortal, !w.refcnt && !(w.extra & (MA_OX_CONT | MA_OX_ZEROREF)));
		cr_assert_eq(o.buffer, w.buffer);
		cr_assert_eq(o.extra, w.extra);
		cr_assert_eq(o.place, w.place);
		cr_assert_eq(o.gc, w.gc);
		unsigned n = (unsigned)(rnd(&x) % 5);
		cr_assert_eq(o.has_edges, n > 0);
		bool skip = i % 7 == 0; /* the cursor must skip them itself */
		for (unsigned k = n; k; k--) {
			uint64_t r = rnd(&x), dst = rnd(&x) & ~UINT64_C(7), arg = r >> 8 & 63;
			enum ma_edge_kind kind = (enum ma_edge_kind)(r & 7);
			edges++;
			if (skip)
				continue;
			cr_assert(ma_snap_next_edge(c, &e));
			cr_assert_eq(e.src, addr);
			cr_assert_eq(e.dst, dst);
			cr_assert_eq(e.kind, kind);
			bool named = kind == MA_EDGE_NAMED || kind == MA_EDGE_BORROWED;
			cr_assert_eq(e.name_id, named ? arg : 0);
			if (kind == MA_EDGE_AT)
				index = arg;
			cr_assert_eq(e.index, kind == MA_EDGE_AT || kind == MA_EDGE_NEXT ? index : 0);
			index += kind == MA_EDGE_AT || kind == MA_EDGE_NEXT;
			if (kind == MA_EDGE_KEY)
				key = dst;
			cr_assert_eq(e.key, kind == MA_EDGE_VALUE ? key : 0);
		}
		if (!skip)
			cr_assert_not(ma_snap_next_edge(c, &e));
	}
	cr_assert_not(ma_snap_next_object(c, &o));
	cr_assert_not(ma_snap_next_object(c, &o), "the end stays the end");
	ok(ma_snap_cursor_error(c));
	ma_snap_cursor_destroy(c);
	ma_snap_close(s);
	uint64_t checked_objects, checked_edges;
	ok(ma_snap_check(path, &checked_objects, &checked_edges));
	cr_assert_eq(checked_objects, real);
	cr_assert_eq(checked_edges, edges);
}

Test(roundtrip, random_objects)
{
	round_trip(1000, NULL);
}

Test(roundtrip, many_chunks)
{
	round_trip(200000, NULL);
}

Test(roundtrip, many_threads)
{
	round_trip(200000, &(struct ma_snap_writer_options){ .threads = 4, .zstd_level = 3 });
}

/* Random bytes do not shrink, and a backlog of one byte lets chunks go through the spill. */
Test(roundtrip, compression_falls_behind)
{
	round_trip(200000, &(struct ma_snap_writer_options){ .backlog_bytes = 1, .zstd_level = 19 });
}

Test(roundtrip, replaces_an_older_file)
{
	FILE *f = fopen(path, "w");
	fputs("old", f);
	fclose(f);
	sb_sample(path, 1);
	ma_snap_close(open_snap());
}

Test(roundtrip, destroy_leaves_nothing)
{
	struct ma_snap_writer *w;
	struct ma_block_hdr hdr = { .kind = MA_BLOCK_STATS, .bytes = 2, .records = 1 };
	ok(ma_snap_writer_create(path, NULL, &w));
	ok(ma_snap_writer_block(w, &hdr, "\1\1"));
	ma_snap_writer_destroy(w);
	cr_assert_neq(access(path, F_OK), 0);
	ma_snap_writer_destroy(NULL);
}

Test(roundtrip, check_compares_with_the_counters)
{
	uint64_t o, e;
	for (unsigned i = 0; i < 2; i++) {
		struct snap_builder *b = sb_create(path);
		uint32_t t = sb_type(b, "", "T", 0x1000, 0, 16, 0);
		sb_interp(b, 0, 0x2000, false);
		sb_edge(b, MA_EDGE_PLAIN, 0x3000, 0);
		sb_object(b, &(struct sb_object){ .addr = 0x3000, .type = t, .size = 16, .refcnt = 1 });
		sb_edge(b, MA_EDGE_PLAIN, 0x3000, 0);
		sb_stat(b, i ? MA_STAT_EDGES : MA_STAT_OBJECTS, 3);
		sb_finish(b);
		struct ma_error *err = ma_snap_check(path, &o, &e);
		cr_assert_not_null(err);
		cr_assert_not_null(strstr(err->message, i ? "3 edges were written and 2 are there"
							  : "3 objects were written and 1 are there"),
				   "%s", err->message);
		ma_error_free(err);
	}
}
