// link: ma_graph ma_test_support ma_format ma_base
// SPDX-License-Identifier: Apache-2.0
/* Random graphs, with cycles, long records and edges to nowhere: the tree has every object once, parents first. */
#include "dominators.h"
#include "holders.h"
#include "merged_ways.h"
#include "snapshot_builder.h"
#include "tree.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BASE UINT64_C(0x7f0000000000)

static uint64_t addr_of(unsigned i)
{
	return BASE + i * UINT64_C(48);
}

static struct ma_snap *random_snapshot(unsigned seed, unsigned n)
{
	static const char *const types[] = { "module", "dict", "list", "str", "Thing" };
	char file[64];
	srandom(seed);
	snprintf(file, sizeof(file), "/tmp/graph_tree_test-%d.mem", (int)getpid());
	struct snap_builder *b = sb_create(file);
	sb_meta_default(b);
	uint32_t ids[5], name = sb_name(b, "x");
	for (unsigned i = 0; i < 5; i++)
		ids[i] = sb_type(b, i == 4 ? "app" : "", types[i], 0x1000 + i * 0x1000, i == 4 ? MA_TF_HEAP : 0, 16, 0);
	sb_interp(b, 0, 0x5000, false);
	sb_edge(b, MA_EDGE_NAMED, addr_of((unsigned)random() % n), name);
	sb_thread(b, 1, 4242, 0x6000, 0, true);
	sb_frame(b, 0x7000, name, name, 1, 0x8000);
	sb_edge(b, MA_EDGE_NAMED, addr_of((unsigned)random() % n), name);
	for (unsigned i = 0; i < n; i++) {
		unsigned type = random() % 50 ? 1 + (unsigned)random() % 4 : 0, runs = 1 + (random() % 10 == 0) * 2;
		for (unsigned r = 0; r < runs; r++) {
			sb_object(b, &(struct sb_object){ .addr = addr_of(i),
							  .type = ids[type],
							  .size = r ? 0 : 16 + (uint64_t)random() % 5000,
							  .refcnt = r ? 0 : (uint64_t)random() % 6,
							  .extra = r ? MA_OX_CONT : 0 });
			for (unsigned e = (unsigned)random() % 4; e--;)
				sb_edge(b, (enum ma_edge_kind)(random() % 8), addr_of((unsigned)random() % (n + 3)),
					name);
		}
	}
	sb_finish(b);
	struct ma_snap *s;
	cr_assert_null(ma_snap_open(file, &s));
	unlink(file);
	return s;
}

Test(tree, every_object_once_and_parents_first)
{
	for (unsigned seed = 1; seed <= 40; seed++) {
		struct ma_snap *s = random_snapshot(seed, 20 + seed * 30);
		struct ma_graph *g;
		struct ma_tree t;
		cr_assert_null(ma_graph_create(s, true, &g));
		cr_assert_null(ma_tree_create(g, &t));
		cr_assert_eq(t.count, g->count);
		unsigned *place = calloc(g->count, sizeof(*place));
		for (uint32_t i = 0; i < t.count; i++) {
			cr_assert_lt(t.order[i], g->count);
			cr_assert_eq(place[t.order[i]], 0, "once");
			place[t.order[i]] = i + 1;
		}
		for (uint32_t i = 0; i < g->count; i++) {
			cr_assert_neq(t.parent[i], MA_ROOT_NONE);
			if (MA_IS_ROOT(t.parent[i]))
				continue;
			cr_assert_lt(place[t.parent[i]], place[i], "parents come first");
			bool edge = false;
			uint32_t dst;
			struct ma_graph_iter it = ma_graph_edges(g, t.parent[i]);
			while (ma_graph_next(&it, &dst))
				edge |= dst == i;
			cr_assert(edge, "the parent refers to it");
		}
		free(place);
		ma_tree_deinit(&t);
		ma_graph_destroy(g);
		ma_snap_close(s);
	}
}

/* The graph has the edges of the file, by a plain count. */
Test(tree, edges_of_the_graph)
{
	for (unsigned seed = 1; seed <= 20; seed++) {
		struct ma_snap *s = random_snapshot(seed, 300);
		struct ma_graph *g;
		struct ma_snap_cursor *c;
		struct ma_snap_object o;
		struct ma_snap_edge e;
		uint64_t file = 0, graph = 0;
		cr_assert_null(ma_graph_create(s, true, &g));
		cr_assert_null(ma_snap_cursor_create(s, &c));
		while (ma_snap_next_object(c, &o))
			while (o.has_edges && ma_snap_next_edge(c, &e))
				file += e.kind != MA_EDGE_BORROWED && e.dst < addr_of(300);
		ma_snap_cursor_destroy(c);
		for (uint32_t i = 0; i < g->count; i++) {
			uint32_t dst;
			struct ma_graph_iter it = ma_graph_edges(g, i);
			while (ma_graph_next(&it, &dst))
				graph++;
		}
		cr_assert_eq(file, graph);
		cr_assert_eq(graph, g->edges);
		ma_graph_destroy(g);
		ma_snap_close(s);
	}
}

/* Tree and dominators choose their roots apart; who goes through the tree in order meets what holds a node first. */
Test(tree, holders_come_first)
{
	unsigned behind = 0;
	for (unsigned seed = 1; seed <= 40; seed++) {
		struct ma_snap *s = random_snapshot(seed, 40 + seed * 40);
		struct ma_graph *g;
		struct ma_tree t;
		struct ma_dominators d;
		cr_assert_null(ma_graph_create(s, true, &g));
		cr_assert_null(ma_tree_create(g, &t));
		cr_assert_null(ma_dominators_create(g, &d));
		uint32_t *place = calloc(g->count, sizeof(*place));
		struct ma_dom_cut *cuts = NULL;
		size_t cuts_count = 0, cut = 0;
		for (uint32_t i = 0; i < t.count; i++)
			place[t.order[i]] = i;
		for (uint32_t i = 0; i < g->count; i++)
			cut += d.idom[i] != MA_DOM_NONE && place[d.idom[i]] > place[i];
		cr_assert_null(ma_dom_follow_tree(&d, &t, &cuts, &cuts_count));
		cr_assert_eq(cuts_count, cut);
		for (size_t i = 0; i < cuts_count; i++)
			cr_assert(d.idom[cuts[i].node] == MA_DOM_NONE && place[cuts[i].up] > place[cuts[i].node]);
		behind += (unsigned)cut;
		for (uint32_t i = 0; i < g->count; i++) {
			uint32_t up = ma_holder_of(&t, &d, i);
			cr_assert(MA_IS_ROOT(up) || place[up] < place[i], "seed %u, node %u", seed, i);
		}
		free(cuts);
		free(place);
		ma_dominators_deinit(&d);
		ma_tree_deinit(&t);
		ma_graph_destroy(g);
		ma_snap_close(s);
	}
	cr_assert_gt(behind, 0, "without such a node this shows nothing");
}

Test(tree, what_is_held_adds_up)
{
	for (unsigned seed = 1; seed <= 40; seed++) {
		struct ma_snap *s = random_snapshot(seed, 40 + seed * 40);
		struct ma_graph *g;
		struct ma_held held;
		cr_assert_null(ma_graph_create(s, true, &g));
		cr_assert_null(ma_held_create(g, &(struct ma_sites){ 0 }, &held));
		uint64_t sum = 0, objects = 0, classes = 0;
		for (size_t i = 0; i < held.holders_count; i++) {
			cr_assert_not_null(held.holders[i].path);
			cr_assert(!i || held.holders[i - 1].bytes >= held.holders[i].bytes, "most bytes first");
			sum += held.holders[i].bytes;
			objects += held.holders[i].objects;
		}
		for (size_t i = 0; i < held.classes_count; i++) {
			cr_assert_leq(held.classes[i].own_bytes, held.classes[i].bytes);
			classes += held.classes[i].bytes;
		}
		cr_assert_leq(sum, g->totals.bytes);
		cr_assert_leq(objects, g->totals.objects);
		cr_assert_leq(classes, g->totals.bytes);
		cr_assert_leq(held.native_bytes + held.lost_bytes, g->totals.bytes);
		ma_held_deinit(&held);
		ma_graph_destroy(g);
		ma_snap_close(s);
	}
}

/* The merged ways of a type have each of its objects once, and what they retain is at most the heap. */
Test(tree, merged_ways_have_every_object)
{
	for (unsigned seed = 1; seed <= 40; seed++) {
		struct ma_snap *s = random_snapshot(seed, 20 + seed * 30);
		struct ma_trees t;
		struct ma_merged_ways m;
		bool wanted[6] = { false };
		wanted[1 + seed % 5] = true;
		cr_assert_null(ma_trees_create(s, &t));
		cr_assert_null(ma_merged_ways_create(&t, wanted, &m));
		uint64_t count = m.others_count, retained = 0;
		for (size_t i = 0; i < m.ways_count; i++) {
			count += m.ways[i].count;
			retained += m.ways[i].retained;
			cr_assert(m.ways[i].path && wanted[t.graph->type[m.ways[i].example]]);
			cr_assert(!i || m.ways[i].count <= m.ways[i - 1].count);
		}
		cr_expect_eq(count, t.graph->totals.by_id[1 + seed % 5].count);
		cr_expect_eq(m.retained, t.graph->totals.by_id[1 + seed % 5].retained);
		cr_expect(m.others ? retained <= m.retained : retained == m.retained);
		ma_merged_ways_deinit(&m);
		ma_trees_deinit(&t);
		ma_snap_close(s);
	}
}
