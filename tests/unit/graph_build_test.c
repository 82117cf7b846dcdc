// link: ma_graph ma_test_support ma_format ma_base
// SPDX-License-Identifier: Apache-2.0
/* A graph is the same however many threads read it, and its places say where in the file the edges of an object stand.
 */
#include "cleanup.h"
#include "copies.h"
#include "graph_build.h"
#include "places.h"
#include "snapshot_builder.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OBJECTS 60000u /* some chunks */

static uint64_t addr_of(unsigned i)
{
	return 0x100000 + (uint64_t)i * 48;
}

/* Objects in any order, with all kinds of edges, rests of objects far behind them and, with `holes`, unknown addresses.
 */
static struct ma_snap *random_snapshot(unsigned holes)
{
	char file[64];
	snprintf(file, sizeof(file), "/tmp/graph_build_test.%d.mem", (int)getpid());
	srandom(7);
	struct snap_builder *b = sb_create(file);
	uint32_t name = sb_name(b, "x"), ids[4];
	static const char *const types[] = { "dict", "list", "type", "str" };
	sb_meta_default(b);
	for (unsigned i = 0; i < 4; i++)
		ids[i] = sb_type(b, "", types[i], addr_of(i), i == 2 ? MA_TF_HEAP : 0, 16, 0);
	for (unsigned i = 0, rest = 0; i < OBJECTS; i += !rest) {
		rest = !rest && i > 100 && random() % 50 == 0;
		unsigned at = (unsigned)((uint64_t)(rest ? (unsigned)random() % i : i) * 7919 % OBJECTS);
		sb_object(b, &(struct sb_object){ .addr = addr_of(at),
						  .type = ids[random() % 4],
						  .size = rest             ? 0
							  : random() % 500 ? 16 + (uint64_t)random() % 5000
									   : 1ull << 33,
						  .refcnt = rest ? 0 : (uint64_t)random() % 6,
						  .extra = rest ? MA_OX_CONT : 0,
						  .place = random() % 9 ? MA_PLACE_ARENA : MA_PLACE_STATIC });
		for (unsigned e = (unsigned)random() % 5; e--;)
			sb_edge(b, (enum ma_edge_kind)(random() % 8), addr_of((unsigned)random() % (OBJECTS + holes)),
				name);
	}
	sb_finish(b);
	struct ma_snap *s;
	cr_assert_null(ma_snap_open(file, &s));
	unlink(file);
	cr_assert_gt(ma_snap_chunks(s), 4);
	return s;
}

static struct ma_graph *build(const struct ma_snap *s, unsigned parts)
{
	struct ma_graph *g = calloc(1, sizeof(*g));
	g->snap = s;
	g->with_edges = true;
	cr_assert_null(ma_graph_build(g, parts));
	return g;
}

#define SAME(array, count) cr_assert_arr_eq(a->array, b->array, (count) * sizeof(*a->array), #array)

static void check_same(const struct ma_graph *a, const struct ma_graph *b)
{
	cr_assert_eq(a->count, b->count);
	cr_assert_eq(a->edges, b->edges);
	SAME(type, a->count);
	SAME(size, a->count);
	SAME(start, a->count);
	SAME(refcnt, a->count);
	SAME(found, a->count);
	SAME(targets, a->edges);
	SAME(chunk_edges, ma_snap_chunks(a->snap) + 1);
	cr_assert_eq(a->more_count, b->more_count);
	SAME(more, a->more_count);
	cr_assert_eq(a->big_count, b->big_count);
	for (size_t i = 0; i < a->big_count; i++)
		cr_assert(a->big[i].node == b->big[i].node && a->big[i].size == b->big[i].size);
	cr_assert_eq(a->guessed_count, b->guessed_count);
	SAME(guessed, a->guessed_count);
	cr_assert_eq(a->interned_count, b->interned_count);
	SAME(interned, a->interned_count);
	cr_assert_eq(a->static_types_count, b->static_types_count);
	SAME(static_types, a->static_types_count);
	cr_assert_eq(a->dangling, b->dangling);
	cr_assert_eq(a->unknown, b->unknown);
	cr_assert_eq(a->implied, b->implied);
	cr_assert_eq(a->totals.objects, b->totals.objects);
	cr_assert_eq(a->totals.edges, b->totals.edges);
	cr_assert_eq(a->totals.bytes, b->totals.bytes);
	cr_assert_eq(a->totals.types_count, b->totals.types_count);
	for (size_t i = 0; i < a->totals.types_count; i++)
		cr_assert(a->totals.types[i].count == b->totals.types[i].count &&
			  a->totals.types[i].bytes == b->totals.types[i].bytes);
}

Test(build, two_threads_make_the_same_graph)
{
	for (unsigned holes = 0; holes <= 999; holes += 999) {
		_cleanup_snap_ struct ma_snap *s = random_snapshot(holes);
		_cleanup_graph_ struct ma_graph *one = build(s, 1), *two = build(s, 2);
		cr_assert_eq(holes != 0, one->unknown != 0);
		cr_assert_gt(one->more_count, 100);
		cr_assert_gt(one->big_count, 10);
		check_same(one, two);
	}
}

/* The node of each record in the chunks that are wanted. */
static void mark_read(struct ma_graph *g, const uint8_t *wanted, uint8_t *seen)
{
	struct ma_snap_cursor *c;
	struct ma_snap_object o;
	cr_assert_null(ma_snap_cursor_create(g->snap, &c));
	ma_snap_cursor_only(c, wanted);
	while (ma_snap_next_object(c, &o)) {
		uint64_t edges = 0, borrowed = 0;
		cr_assert(wanted[ma_snap_cursor_chunk(c)]);
		ma_snap_count_edges(c, &edges, &borrowed);
		if (edges > borrowed)
			seen[ma_addr_index_find(&g->index, o.addr)]++;
	}
	cr_assert_null(ma_snap_cursor_error(c));
	ma_snap_cursor_destroy(c);
}

Test(places, chunks_with_all_edges_of_a_node)
{
	_cleanup_snap_ struct ma_snap *s = random_snapshot(0);
	_cleanup_graph_ struct ma_graph *g = build(s, 2);
	_cleanup_free_ uint8_t *all = malloc(ma_snap_chunks(s)), *in_all = calloc(g->count, 1);
	memset(all, 1, ma_snap_chunks(s));
	mark_read(g, all, in_all);
	size_t fewest = ma_snap_chunks(s);
	for (uint32_t node = 0; node < g->count; node += 1999) {
		_cleanup_places_ struct ma_places p = { 0 }, q = { 0 };
		_cleanup_free_ uint8_t *seen = calloc(g->count, 1);
		_cleanup_free_ uint64_t *bits = calloc(g->count / 64 + 1, sizeof(*bits));
		cr_assert_null(ma_places_create(g, &p));
		ma_places_add(&p, node);
		mark_read(g, p.wanted, seen);
		cr_assert_eq(seen[node], in_all[node], "every record of it");
		size_t chunks = 0;
		for (size_t i = 0; i < ma_snap_chunks(s); i++)
			chunks += p.wanted[i];
		fewest = chunks < fewest ? chunks : fewest;
		cr_assert_null(ma_places_create(g, &q));
		bits[node / 64] |= UINT64_C(1) << node % 64;
		ma_places_add_referrers(&q, bits);
		for (uint32_t from = 0; from < g->count; from++) {
			uint32_t dst;
			struct ma_graph_iter it = ma_graph_edges(g, from);
			while (ma_graph_next(&it, &dst))
				if (dst == node && !(g->start[from] & MA_GRAPH_CONTINUED)) {
					_cleanup_places_ struct ma_places r = { 0 };
					cr_assert_null(ma_places_create(g, &r));
					ma_places_add(&r, from);
					for (size_t i = 0; i < ma_snap_chunks(s); i++)
						cr_assert(!r.wanted[i] || q.wanted[i]);
				}
		}
	}
	cr_assert_leq(fewest, 1);
}

Test(places, an_unknown_edge_wants_all)
{
	_cleanup_snap_ struct ma_snap *s = random_snapshot(99);
	_cleanup_graph_ struct ma_graph *g = build(s, 2);
	_cleanup_places_ struct ma_places p = { 0 };
	cr_assert_null(ma_places_create(g, &p));
	for (size_t i = 0; i < ma_snap_chunks(s); i++)
		cr_assert(p.wanted[i]);
}

static int by_key(const void *a, const void *b)
{
	const struct ma_copy *x = a, *y = b;
	uint64_t k = ma_copy_key(x), l = ma_copy_key(y);
	return k != l ? (k < l ? -1 : 1) : x->node < y->node ? -1 : x->node > y->node;
}

Test(copies, as_qsort_says)
{
	for (unsigned seed = 0; seed < 60; seed++) {
		struct ma_copies c = { 0 };
		srandom(seed);
		size_t n = (size_t)(random() % 4000);
		for (size_t i = 0; i < n; i++) {
			uint64_t key =
				seed % 3 ? (uint64_t)random() << 33 ^ (uint64_t)random() : (uint64_t)random() % 3;
			cr_assert_null(ma_copies_add(&c, seed % 7 ? key : 5, (uint32_t)random()));
		}
		_cleanup_free_ struct ma_copy *wanted = calloc(n + 1, sizeof(*wanted));
		if (n) {
			memcpy(wanted, c.items, n * sizeof(*wanted));
			qsort(wanted, n, sizeof(*wanted), by_key);
		}
		ma_copies_sort(&c);
		for (size_t i = 0; i < n; i++)
			cr_assert_eq(by_key(&c.items[i], &wanted[i]), 0, "seed %u", seed);
		ma_copies_deinit(&c);
	}
}

static void long_object(struct snap_builder *b, unsigned at, uint32_t type, unsigned records, unsigned entries,
			bool dict, enum ma_edge_kind kind)
{
	for (unsigned r = 0; r < records; r++) {
		sb_object(b, &(struct sb_object){ .addr = addr_of(at),
						  .type = type,
						  .size = r ? 0 : 64,
						  .refcnt = !r,
						  .extra = r ? MA_OX_CONT : 0 });
		for (unsigned e = 0; e < entries; e++) {
			if (dict)
				sb_edge(b, MA_EDGE_KEY, addr_of(10 + e), 0);
			sb_edge(b, kind, addr_of(11 + e), 0);
		}
	}
}

Test(build, elements_of_long_objects)
{
	char file[64];
	snprintf(file, sizeof(file), "/tmp/graph_elements_test.%d.mem", (int)getpid());
	struct snap_builder *b = sb_create(file);
	sb_meta_default(b);
	uint32_t type = sb_type(b, "", "dict", 0x1000, 0, 16, 0);
	for (unsigned i = 10; i < 200; i++)
		long_object(b, i, type, 1, 0, false, MA_EDGE_PLAIN);
	long_object(b, 1, type, 3, 100, true, MA_EDGE_VALUE);
	long_object(b, 2, type, 2, 90, false, MA_EDGE_KEY); /* a set */
	long_object(b, 3, type, 1, 80, false, MA_EDGE_NEXT);
	long_object(b, 4, type, 1, 20, true, MA_EDGE_VALUE);
	long_object(b, 5, type, 9, 20, true, MA_EDGE_VALUE); /* the first record is short */
	long_object(b, 6, type, 1, 0, false, MA_EDGE_PLAIN);
	sb_finish(b);
	_cleanup_snap_ struct ma_snap *s = NULL;
	cr_assert_null(ma_snap_open(file, &s));
	unlink(file);
	_cleanup_graph_ struct ma_graph *g = build(s, 1);
	const uint64_t wanted[] = { 300, 180, 80, 0, 0, 0 };
	for (unsigned i = 1; i <= 6; i++) {
		uint64_t n = 0;
		bool known = ma_graph_elements(g, ma_addr_index_find(&g->index, addr_of(i)), &n);
		cr_expect_eq(known, wanted[i - 1] != 0, "object %u", i);
		cr_expect_eq(n, wanted[i - 1], "object %u: %lu", i, n);
	}
}
