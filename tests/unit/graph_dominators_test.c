// link: ma_graph ma_test_support ma_format ma_base
// SPDX-License-Identifier: Apache-2.0
/* Dominators against a naive oracle: what can not be reached once an object is gone. */
#include "dominators.h"
#include "snapshot_builder.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX 64
#define TYPES 4

struct sample {
	struct ma_graph g;
	uint32_t type[MAX], size[MAX], start[MAX], targets[MAX * 8];
	struct ma_graph_more more[MAX];
	struct ma_type_total by_id[TYPES];
	uint32_t classes[TYPES];
	uint8_t flags[MAX], given[MAX];
	bool edge[MAX][MAX]; /* as they count */
};

static unsigned rnd(unsigned below)
{
	return (unsigned)random() % below;
}

static void make_sample(struct sample *s, unsigned seed)
{
	srandom(seed);
	memset(s, 0, sizeof(*s));
	unsigned n = 1 + rnd(seed % 2 ? MAX : 12), dense = 1 + rnd(4);
	s->g = (struct ma_graph){
		.count = n, .type = s->type, .size = s->size, .start = s->start, .targets = s->targets, .more = s->more
	};
	s->g.totals.by_id = s->by_id;
	s->g.totals.by_id_count = TYPES;
	for (unsigned t = 0; t < TYPES; t++)
		s->classes[t] = rnd(2) ? rnd(n) : MA_NO_INDEX;
	for (unsigned i = 0; i < n; i++) {
		s->type[i] = rnd(TYPES);
		s->size[i] = 1 + rnd(100);
		s->flags[i] = (uint8_t)((rnd(8) ? 0 : MA_DOM_ROOT) | (rnd(10) ? 0 : MA_DOM_NAMESPACE) |
					(rnd(6) ? 0 : MA_DOM_MODULE) | (rnd(8) ? 0 : MA_DOM_LOOSE));
	}
	for (unsigned i = 0; i < n; i++) {
		unsigned runs = rnd(6) ? 1 : 2;
		s->start[i] = MA_GRAPH_NO_EDGES;
		for (unsigned r = 0; r < runs; r++) {
			unsigned edges = rnd(dense + 1);
			if (!edges)
				continue;
			if (s->start[i] == MA_GRAPH_NO_EDGES) {
				s->start[i] = s->g.edges;
			} else {
				s->start[i] |= MA_GRAPH_CONTINUED;
				s->more[s->g.more_count++] = (struct ma_graph_more){ i, s->g.edges };
			}
			for (unsigned e = 0; e < edges; e++) {
				unsigned dst = rnd(n);
				s->targets[s->g.edges++] = dst | (e + 1 == edges ? MA_GRAPH_LAST : 0);
				s->edge[i][dst] = true;
			}
		}
		if (s->classes[s->type[i]] != MA_NO_INDEX)
			s->edge[i][s->classes[s->type[i]]] = true;
		for (unsigned k = 0; k < n; k++)
			if (s->flags[k] & MA_DOM_NAMESPACE && !(s->flags[i] & MA_DOM_MODULE))
				s->edge[i][k] = false;
	}
	memcpy(s->given, s->flags, sizeof(s->given));
}

/* What the roots reach without node `gone` (MAX = with all). */
static void reach(const struct sample *s, unsigned gone, bool *seen)
{
	unsigned n = s->g.count;
	memset(seen, 0, MAX * sizeof(*seen));
	for (bool more = true; more;) {
		more = false;
		for (unsigned i = 0; i < n; i++) {
			bool from = s->flags[i] & MA_DOM_ROOT;
			for (unsigned k = 0; k < n && !from; k++)
				from = k != gone && seen[k] && s->edge[k][i];
			if (i == gone || seen[i] || !from)
				continue;
			seen[i] = more = true;
		}
	}
}

static void check_types(const struct sample *s, const struct ma_dominators *d)
{
	uint32_t group_of[TYPES];
	uint64_t sums[TYPES], wanted[TYPES] = { 0 };
	for (uint32_t t = 0; t < TYPES; t++)
		group_of[t] = t;
	cr_assert_null(ma_dom_retained_by_group(&s->g, d, group_of, sums, TYPES));
	for (unsigned i = 0; i < s->g.count; i++) {
		bool in[TYPES] = { 0 };
		unsigned steps = 0;
		for (uint32_t k = i; k != MA_DOM_NONE; k = d->idom[k], steps++) {
			cr_assert_lt(steps, MAX, "a tree");
			in[s->type[k]] = true;
		}
		for (unsigned t = 0; t < TYPES; t++)
			wanted[t] += in[t] ? s->size[i] : 0;
	}
	for (unsigned t = 0; t < TYPES; t++)
		cr_assert_eq(sums[t], wanted[t]);
}

static void check_sample(unsigned seed)
{
	static struct sample s;
	static bool whole[MAX], without[MAX][MAX];
	struct ma_dominators d;
	make_sample(&s, seed);
	unsigned n = s.g.count;
	cr_assert_null(ma_dominators_compute(&s.g, s.classes, s.flags, &d));
	reach(&s, MAX, whole);
	for (unsigned i = 0; i < n; i++) {
		cr_assert(whole[i], "every object hangs below a root, seed %u", seed);
		cr_assert(!(s.given[i] & MA_DOM_ROOT) || s.flags[i] & MA_DOM_ROOT);
		reach(&s, i, without[i]);
	}
	for (unsigned i = 0; i < n; i++) {
		uint64_t retained = 0;
		unsigned dominators = 0, chain = 0;
		for (unsigned k = 0; k < n; k++) {
			retained += without[i][k] ? 0 : s.size[k];
			dominators += k != i && !without[k][i];
		}
		cr_assert_eq(d.retained[i], retained, "seed %u node %u: %lu is not %lu", seed, i, d.retained[i],
			     retained);
		for (uint32_t k = d.idom[i]; k != MA_DOM_NONE; k = d.idom[k]) {
			cr_assert(!without[k][i], "seed %u: %u does not dominate %u", seed, k, i);
			cr_assert_leq(++chain, dominators, "no cycle");
		}
		cr_assert_eq(chain, dominators, "seed %u node %u", seed, i);
	}
	check_types(&s, &d);
	ma_dominators_deinit(&d);
}

Test(dominators, as_the_oracle_says)
{
	for (unsigned seed = 1; seed <= 4000; seed++)
		check_sample(seed);
}

/* Chosen roots of what nothing leads to: first what has no reference to it, so that what hangs below it is its own. */
Test(dominators, garbage_hangs_below_its_top)
{
	uint32_t type[3] = { 0 }, size[3] = { 10, 20, 40 }, classes[1] = { MA_NO_INDEX };
	uint32_t start[3] = { 0, MA_GRAPH_NO_EDGES, 1 };
	uint32_t targets[2] = { 1 | MA_GRAPH_LAST, 0 | MA_GRAPH_LAST }; /* 2 -> 0 -> 1 */
	uint8_t flags[3] = { 0, 0, MA_DOM_LOOSE };
	struct ma_graph g = { .count = 3, .type = type, .size = size, .start = start, .targets = targets, .edges = 2 };
	struct ma_dominators d;
	cr_assert_null(ma_dominators_compute(&g, classes, flags, &d));
	cr_expect_eq(d.retained[2], 70);
	cr_expect_eq(d.idom[1], 0);
	cr_expect_eq(d.idom[2], MA_DOM_NONE);
	ma_dominators_deinit(&d);
}

/* A chain of a million, with an edge from each node to its second next, to the first, and to itself. */
Test(dominators, a_chain_of_a_million)
{
	const uint32_t n = 1000000;
	uint32_t *type = calloc(n, 4), *size = calloc(n, 4), *start = calloc(n, 4), *targets = calloc(n, 16);
	uint8_t *flags = calloc(n, 1);
	uint32_t group_of[1] = { 0 }, edges = 0;
	uint64_t sum;
	for (uint32_t i = 0; i < n; i++) {
		size[i] = 8;
		start[i] = edges;
		if (i + 1 < n)
			targets[edges++] = i + 1;
		if (i + 2 < n && i % 4 == 0)
			targets[edges++] = i + 2;
		targets[edges++] = 0;
		targets[edges++] = i | MA_GRAPH_LAST;
	}
	flags[0] = MA_DOM_ROOT;
	struct ma_graph g = {
		.count = n, .type = type, .size = size, .start = start, .targets = targets, .edges = edges
	};
	struct ma_dominators d;
	cr_assert_null(ma_dominators_compute(&g, NULL, flags, &d));
	cr_expect_eq(d.retained[0], 8 * (uint64_t)n);
	cr_expect_eq(d.idom[1], 0);
	cr_expect_eq(d.idom[2], 0, "node 1 is passed by");
	cr_expect_eq(d.idom[3], 2);
	cr_expect_eq(d.idom[n - 1], n - 2);
	cr_expect_eq(d.retained[n - 2], 16);
	cr_assert_null(ma_dom_retained_by_group(&g, &d, group_of, &sum, 1));
	cr_expect_eq(sum, 8 * (uint64_t)n, "nothing counted twice");
	ma_dominators_deinit(&d);
	free(type);
	free(size);
	free(start);
	free(targets);
	free(flags);
}

/* A module whose namespace functions of another module refer to; a list that native code holds, too; a weak reference.
 */
Test(dominators, roots_of_a_snapshot)
{
	char file[64];
	snprintf(file, sizeof(file), "/tmp/graph_dominators_test-%d.mem", (int)getpid());
	struct snap_builder *b = sb_create(file);
	sb_meta_default(b);
	uint32_t module = sb_type(b, "", "module", 0x1000, 0, 72, 0), dict = sb_type(b, "", "dict", 0x1100, 0, 64, 0),
		 list = sb_type(b, "", "list", 0x1200, 0, 56, 0), fn = sb_type(b, "", "function", 0x1300, 0, 136, 0);
	const uint64_t a = 0x10000, a_dict = 0x10100, b_ = 0x10200, b_dict = 0x10300, f = 0x10400, own = 0x10500,
		       native = 0x10600, weak = 0x10700, weakref = 0x10800;
	sb_object(b, &(struct sb_object){ .addr = a, .type = module, .size = 1, .refcnt = 1 });
	sb_edge(b, MA_EDGE_PLAIN, a_dict, 0);
	sb_object(b, &(struct sb_object){ .addr = a_dict, .type = dict, .size = 10, .refcnt = 2 });
	sb_edge(b, MA_EDGE_PLAIN, f, 0);
	sb_edge(b, MA_EDGE_PLAIN, own, 0);
	sb_edge(b, MA_EDGE_PLAIN, native, 0);
	sb_object(b, &(struct sb_object){ .addr = b_, .type = module, .size = 1, .refcnt = 1 });
	sb_edge(b, MA_EDGE_PLAIN, b_dict, 0);
	sb_object(b, &(struct sb_object){ .addr = b_dict, .type = dict, .size = 10, .refcnt = 1 });
	sb_edge(b, MA_EDGE_PLAIN, f, 0);
	sb_edge(b, MA_EDGE_PLAIN, weakref, 0);
	sb_object(b, &(struct sb_object){ .addr = f, .type = fn, .size = 100, .refcnt = 2 });
	sb_edge(b, MA_EDGE_PLAIN, a_dict, 0);
	sb_object(b, &(struct sb_object){ .addr = own, .type = list, .size = 1000, .refcnt = 1 });
	sb_edge(b, MA_EDGE_PLAIN, weak, 0);
	sb_object(b, &(struct sb_object){ .addr = native, .type = list, .size = 10000, .refcnt = 2 });
	sb_object(b, &(struct sb_object){ .addr = weak, .type = list, .size = 100000, .refcnt = 1 });
	sb_object(b, &(struct sb_object){ .addr = weakref, .type = list, .size = 1000000, .refcnt = 1 });
	sb_edge(b, MA_EDGE_BORROWED, weak, 0);
	sb_finish(b);
	struct ma_snap *s;
	struct ma_graph *g;
	struct ma_dominators d;
	cr_assert_null(ma_snap_open(file, &s));
	unlink(file);
	cr_assert_null(ma_graph_create(s, true, &g));
	cr_assert_null(ma_dominators_create(g, &d));
#define RETAINED(addr) d.retained[ma_addr_index_find(&g->index, addr)]
	cr_expect_eq(RETAINED(a), 1 + 10 + 1000 + 100000, "the namespace is the module's own");
	cr_expect_eq(RETAINED(b_), 1 + 10 + 1000000, "a weak reference retains nothing");
	cr_expect_eq(RETAINED(own), 101000);
	cr_expect_eq(d.idom[ma_addr_index_find(&g->index, f)], MA_DOM_NONE, "both modules have it");
	cr_expect_eq(d.idom[ma_addr_index_find(&g->index, native)], MA_DOM_NONE, "native code has it, too");
	cr_assert_null(ma_dom_retained_by_type(g, &d));
	uint64_t types = 0, dicts = 0;
	for (size_t i = 0; i < g->totals.types_count; i++) {
		if (!strcmp(g->totals.types[i].name, "module"))
			types = g->totals.types[i].retained;
		if (!strcmp(g->totals.types[i].name, "dict"))
			dicts = g->totals.types[i].retained;
	}
	cr_expect_eq(types, RETAINED(a) + RETAINED(b_));
	cr_expect_eq(dicts, types - 2);
	ma_dominators_deinit(&d);
	ma_graph_destroy(g);
	ma_snap_close(s);
}
