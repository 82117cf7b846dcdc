// link: ma_graph ma_test_support ma_format ma_base
// SPDX-License-Identifier: Apache-2.0
#include "analysis.h"
#include "leaky_snapshot.h"
#include "snapshot_builder.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char path[64];
static struct leaky_facts facts;

static struct ma_snap *open_leaky(const struct leaky_options *opt)
{
	struct ma_snap *s;
	snprintf(path, sizeof(path), "/tmp/graph_analysis_test-%d.mem", (int)getpid());
	leaky_snapshot(path, opt, &facts);
	struct ma_error *err = ma_snap_open(path, &s);
	cr_assert_null(err, "%s", err ? err->message : "");
	unlink(path);
	return s;
}

static struct ma_analysis analyse(const struct ma_snap *s)
{
	struct ma_analysis a;
	struct ma_error *err = ma_analysis_create(s, true, &a);
	cr_assert_null(err, "%s", err ? err->message : "");
	return a;
}

static const struct ma_type_total *find_type(const struct ma_totals *t, const char *name)
{
	for (size_t i = 0; i < t->types_count; i++)
		if (!strcmp(t->types[i].name, name))
			return &t->types[i];
	return NULL;
}

Test(analysis, totals)
{
	struct ma_snap *s = open_leaky(&(struct leaky_options){ .sessions = 5000 });
	struct ma_analysis a = analyse(s);
	const struct ma_totals *t = &a.graph->totals;
	cr_expect_eq(t->objects, facts.objects);
	cr_expect_eq(t->edges, facts.edges);
	cr_expect_eq(t->bytes, facts.bytes);
	cr_expect_eq(a.graph->count, facts.objects);
	const struct ma_type_total *session = find_type(t, "leaky.Session");
	cr_assert_not_null(session);
	cr_expect_eq(session->count, 5000);
	cr_expect_eq(session->bytes, 5000 * 48);
	cr_expect(session->heap);
	cr_expect_eq(find_type(t, "dict")->count, 5003);
	cr_expect_eq(find_type(t, "str")->count, 5001);
	uint64_t sum = 0;
	for (size_t i = 0; i < t->types_count; i++) {
		sum += t->types[i].bytes;
		cr_expect(!i || t->types[i - 1].bytes >= t->types[i].bytes, "largest first");
	}
	cr_expect_eq(sum, t->bytes);
	ma_analysis_deinit(&a);
	ma_snap_close(s);
}

Test(analysis, books_balance)
{
	struct ma_snap *s = open_leaky(&(struct leaky_options){ .sessions = 100 });
	struct ma_analysis a = analyse(s);
	cr_expect_eq(a.books.excess, 0);
	cr_expect_eq(a.books.native, 1, "leaky's globals have a reference that nobody has");
	ma_analysis_deinit(&a);
	ma_snap_close(s);
}

Test(analysis, books_find_one_excess_and_pass_over_immortals)
{
	struct ma_snap *s = open_leaky(&(struct leaky_options){ .sessions = 100, .excess = true });
	struct ma_analysis a = analyse(s);
	cr_expect_eq(a.books.excess, 1);
	cr_assert_eq(a.books.worst_count, 1);
	cr_expect_eq(a.books.worst[0].addr, facts.key0 + 99 * 256);
	cr_expect_eq(a.books.worst[0].refcnt, 1);
	cr_expect_eq(a.books.worst[0].found, 2);
	cr_expect_str_eq(ma_type_name(s, a.books.worst[0].type_id), "str");
	ma_analysis_deinit(&a);
	ma_snap_close(s);
}

/* References of every kind to one object whose count is `refcnt`. */
static uint64_t excess_of(uint64_t refcnt, bool heap_type)
{
	char file[64];
	snprintf(file, sizeof(file), "/tmp/graph_analysis_kinds-%d.mem", (int)getpid());
	struct snap_builder *b = sb_create(file);
	sb_meta_default(b);
	uint32_t t_list = sb_type(b, "", "list", 0x1000, 0, 56, 0);
	uint32_t t_inst = sb_type(b, "m", "T", 0x20000, heap_type ? MA_TF_HEAP : 0, 16, 0);
	uint32_t n = sb_name(b, "x");
	const uint64_t dst = 0x20000;
	sb_interp(b, 0, 0x5000, false);
	sb_edge(b, MA_EDGE_NAMED, dst, n);
	sb_edge(b, MA_EDGE_BORROWED, dst, n);
	sb_thread(b, 1, 1, 0x6000, 0, false);
	sb_frame(b, 0x7000, n, n, 1, 0x8000);
	sb_edge(b, MA_EDGE_NAMED, dst, n);
	sb_edge(b, MA_EDGE_BORROWED, dst, n);
	sb_object(b, &(struct sb_object){ .addr = 0x10000, .type = t_list, .size = 100, .refcnt = 5 });
	sb_edge(b, MA_EDGE_PLAIN, dst, 0);
	sb_edge(b, MA_EDGE_NEXT, dst, 0);
	sb_edge(b, MA_EDGE_AT, dst, 7);
	sb_edge(b, MA_EDGE_NAMED, dst, n);
	sb_edge(b, MA_EDGE_KEY, dst, 0);
	sb_edge(b, MA_EDGE_VALUE, dst, 0);
	sb_edge(b, MA_EDGE_BORROWED, dst, n);
	sb_edge(b, MA_EDGE_GUESSED, dst, 0);
	sb_edge(b, MA_EDGE_PLAIN, 0xdead000, 0); /* leads to no object */
	sb_object(b, &(struct sb_object){ .addr = 0x10000, .type = t_list, .extra = MA_OX_CONT });
	sb_edge(b, MA_EDGE_AT, dst, 9);
	sb_object(b, &(struct sb_object){ .addr = dst, .type = t_list, .size = 100, .refcnt = refcnt });
	sb_object(b, &(struct sb_object){ .addr = 0x30000, .type = t_inst, .size = 16, .refcnt = 1 });
	sb_object(b, &(struct sb_object){ .addr = 0x30040, .type = t_inst, .size = 16, .refcnt = 1 });
	sb_finish(b);
	struct ma_snap *s;
	cr_assert_null(ma_snap_open(file, &s));
	unlink(file);
	struct ma_analysis a = analyse(s);
	uint64_t excess = a.books.excess;
	cr_expect_eq(a.graph->dangling, 1);
	cr_expect_eq(a.graph->implied, heap_type ? 2 : 0);
	ma_analysis_deinit(&a);
	ma_snap_close(s);
	return excess;
}

/* Counted: 6 kinds, one in a record of continuation, one local, one of the interpreter: 9; and 2 instances. */
Test(analysis, kinds_that_count)
{
	cr_expect_eq(excess_of(9, false), 0);
	cr_expect_eq(excess_of(8, false), 1);
	cr_expect_eq(excess_of(11, true), 0);
	cr_expect_eq(excess_of(10, true), 1);
	cr_expect_eq(excess_of(0, true), 0, "immortal");
}

Test(analysis, memory_adds_up)
{
	struct ma_snap *s = open_leaky(&(struct leaky_options){ .sessions = 5000 });
	struct ma_analysis a = analyse(s);
	uint64_t sum = 0;
	for (unsigned i = 0; i < MA_MEM_COUNT; i++)
		sum += a.memory.rows[i];
	cr_expect_eq(a.memory.rss, facts.rss);
	cr_expect_eq(sum, facts.rss);
	const uint64_t *rows = a.memory.rows;
	cr_expect_eq(rows[MA_MEM_STACKS], 0x5000);
	cr_expect_eq(rows[MA_MEM_SHARED], 0x7000);
	/* one session: 48 + 104 + 60 bytes in the arena; static objects stand in the data of the executable */
	uint64_t least = 5000 * (48 + 104 + 60);
	cr_expect_geq(rows[MA_MEM_OBJECTS], least);
	cr_expect_leq(rows[MA_MEM_OBJECTS], least + 4096);
	cr_expect_eq(rows[MA_MEM_BUFFERS], 5000 * 104 + 296, "the cache's table and the module's");
	cr_expect_eq(rows[MA_MEM_FREE_BLOCKS], 48 * 20 + 64 * 30 + 112 * 40);
	cr_expect_eq(rows[MA_MEM_FREE_POOLS], 2 * 16384);
	cr_expect_geq(rows[MA_MEM_CODE], 0x60000 + 0x180000);
	cr_expect_geq(rows[MA_MEM_FILE], 0x10000);
	ma_analysis_deinit(&a);
	ma_snap_close(s);
}

/* The kernel may count less than the regions have: rows are cut, objects last. */
Test(analysis, memory_adds_up_when_rss_is_small)
{
	const uint64_t sizes[] = { 1, 4096, 300000, 1200000, 1300000, 5000000 };
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct ma_snap *s = open_leaky(&(struct leaky_options){ .sessions = 5000, .rss_anon = sizes[i] });
		struct ma_analysis a = analyse(s);
		uint64_t sum = 0;
		for (unsigned r = 0; r < MA_MEM_COUNT; r++) {
			cr_expect_leq(a.memory.rows[r], facts.rss);
			sum += a.memory.rows[r];
		}
		cr_expect_eq(sum, facts.rss);
		if (sizes[i] >= 1300000)
			cr_expect_geq(a.memory.rows[MA_MEM_OBJECTS], 5000 * (48 + 104 + 60));
		ma_analysis_deinit(&a);
		ma_snap_close(s);
	}
}

Test(analysis, the_cache_holds_the_sessions)
{
	struct ma_snap *s = open_leaky(&(struct leaky_options){ .sessions = 5000 });
	struct ma_analysis a = analyse(s);
	cr_assert_geq(a.held.holders_count, 1);
	const struct ma_holder *h = &a.held.holders[0];
	cr_expect_str_eq(h->path, "leaky.CACHE");
	cr_expect_eq(h->addr, facts.cache);
	cr_expect_eq(h->elements, 5000);
	cr_expect_str_eq(ma_type_name(s, h->mostly), "leaky.Session");
	cr_expect_eq(h->mostly_count, 5000);
	/* 54: the str that all sessions share hangs below the first of them */
	cr_expect_eq(h->mostly_bytes, 5000 * (48 + 104) + 54);
	cr_expect_eq(h->bytes, 64 + 5000 * (104 + 48 + 104 + 60) + 54);
	cr_expect_eq(h->objects, 1 + 3 * 5000 + 1);
	cr_assert_eq(a.held.suspects_count, 1);
	cr_expect_eq(a.held.suspects[0].holder, 0);
	cr_expect_eq(a.held.suspects[0].kind, MA_SUSPECT_PLAIN);
	cr_expect_eq(a.held.suspects[0].bytes, h->bytes);
	cr_assert_eq(a.held.suspects[0].below.consists_count, 3);
	cr_expect_eq(a.held.suspects[0].below.consists[2].count, 5000);
	cr_assert_geq(a.held.classes_count, 1);
	cr_expect_str_eq(a.held.classes[0].name, "leaky.Session");
	cr_expect_eq(a.held.classes[0].count, 5000);
	cr_expect_eq(a.held.classes[0].own_bytes, 5000 * 48);
	cr_expect_eq(a.held.classes[0].bytes, 5000 * (48 + 104) + 54);
	ma_analysis_deinit(&a);
	ma_snap_close(s);
}

/* Every object counts for one holder at most, whatever hangs below what. */
Test(analysis, a_chain_is_held_by_its_head)
{
	char file[64];
	snprintf(file, sizeof(file), "/tmp/graph_analysis_chain-%d.mem", (int)getpid());
	struct snap_builder *b = sb_create(file);
	sb_meta_default(b);
	uint32_t t_module = sb_type(b, "", "module", 0x1000, 0, 72, 0);
	uint32_t t_dict = sb_type(b, "", "dict", 0x2000, 0, 64, 0);
	uint32_t t_node = sb_type(b, "chain", "Node", 0x3000, MA_TF_HEAP, 64, 0);
	uint32_t n_dict = sb_name(b, "__dict__"), n_head = sb_name(b, "HEAD"), n_name = sb_name(b, "chain"),
		 n_next = sb_name(b, "next");
	const uint64_t base = 0x100000;
	const unsigned n = 20000;
	sb_object(b, &(struct sb_object){ .addr = 0x8000, .type = t_dict, .size = 64, .refcnt = 1 });
	sb_edge(b, MA_EDGE_NAMED, 0x9000, n_name);
	sb_object(b, &(struct sb_object){ .addr = 0x9000, .type = t_module, .size = 72, .refcnt = 1 });
	sb_edge(b, MA_EDGE_NAMED, 0xa000, n_dict);
	sb_object(b, &(struct sb_object){ .addr = 0xa000, .type = t_dict, .size = 64, .refcnt = 1 });
	sb_edge(b, MA_EDGE_NAMED, base, n_head);
	for (unsigned i = 0; i < n; i++) {
		sb_object(b, &(struct sb_object){ .addr = base + i * 64u, .type = t_node, .size = 64, .refcnt = 1 });
		if (i + 1 < n)
			sb_edge(b, MA_EDGE_NAMED, base + (i + 1) * 64u, n_next);
	}
	sb_finish(b);
	struct ma_snap *s;
	cr_assert_null(ma_snap_open(file, &s));
	unlink(file);
	struct ma_analysis a = analyse(s);
	cr_assert_eq(a.held.holders_count, 1);
	cr_expect_str_eq(a.held.holders[0].path, "chain.HEAD");
	cr_expect_eq(a.held.holders[0].bytes, n * 64);
	cr_expect_eq(a.held.holders[0].mostly_count, n - 1, "the nodes of the chain, not its second one alone");
	ma_analysis_deinit(&a);
	ma_snap_close(s);
}

/* A list that only a local of two frames holds is named by the outer one. */
Test(analysis, a_local_holds)
{
	char file[64];
	snprintf(file, sizeof(file), "/tmp/graph_analysis_local-%d.mem", (int)getpid());
	struct snap_builder *b = sb_create(file);
	sb_meta_default(b);
	uint32_t t_list = sb_type(b, "", "list", 0x1000, 0, 56, 0);
	uint32_t t_str = sb_type(b, "", "str", 0x2000, 0, 56, 0);
	uint32_t inner = sb_name(b, "work"), outer = sb_name(b, "main"), rows = sb_name(b, "rows"),
		 all = sb_name(b, "all");
	const unsigned n = 2000;
	sb_thread(b, 1, 4242, 0x6000, 0, false);
	sb_frame(b, 0x7000, inner, inner, 1, 0x8000);
	sb_edge(b, MA_EDGE_NAMED, 0x9000, rows);
	sb_frame(b, 0x7000, inner, outer, 1, 0x8100);
	sb_edge(b, MA_EDGE_NAMED, 0x9000, all);
	sb_object(b, &(struct sb_object){ .addr = 0x9000, .type = t_list, .size = 56 + 8 * n, .refcnt = 2 });
	for (unsigned i = 0; i < n; i++)
		sb_edge(b, MA_EDGE_NEXT, 0x100000 + i * 64u, 0);
	for (unsigned i = 0; i < n; i++)
		sb_object(b, &(struct sb_object){ .addr = 0x100000 + i * 64u, .type = t_str, .size = 60, .refcnt = 1 });
	/* as much again that nobody refers to: held by C code, and in a cycle */
	sb_object(b, &(struct sb_object){ .addr = 0xa000, .type = t_str, .size = 70000, .refcnt = 1 });
	sb_object(b, &(struct sb_object){ .addr = 0xb000, .type = t_list, .size = 80000, .refcnt = 1 });
	sb_edge(b, MA_EDGE_NEXT, 0xb000, 0);
	sb_finish(b);
	struct ma_snap *s;
	cr_assert_null(ma_snap_open(file, &s));
	unlink(file);
	struct ma_analysis a = analyse(s);
	cr_assert_eq(a.held.holders_count, 3);
	cr_expect_str_eq(a.held.holders[0].path, "main() all");
	cr_expect_eq(a.held.holders[0].bytes, 56 + 68 * n);
	cr_expect_eq(a.held.holders[0].elements, n);
	cr_expect_str_eq(a.held.holders[1].path, "garbage: list");
	cr_expect_str_eq(a.held.holders[2].path, "native code: str");
	cr_expect_eq(a.held.native_bytes, 70000);
	cr_expect_eq(a.held.lost_bytes, 80000);
	cr_expect_eq(a.books.excess, 0);
	ma_analysis_deinit(&a);
	ma_snap_close(s);
}
