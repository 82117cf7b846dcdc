// link: ma_graph ma_test_support ma_format ma_base
// SPDX-License-Identifier: Apache-2.0
/* What grew between two made-up snapshots of a module `app`: by which path, and by how much. */
#include "snapshot_builder.h"

#include <memattach/diff.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BASE UINT64_C(0x7f0000000000)
#define THINGS_MAX 4096
#define EDGES_MAX 8192

enum type { MODULE, DICT, LIST, STR, THING, TYPES };

/* One state of the program. Edges are references; an object is held as often as they say. */
struct program {
	struct {
		uint64_t addr, size;
		enum type type;
	} things[THINGS_MAX];
	struct {
		uint64_t src, dst;
		char name[16]; /* "" = an element */
	} edges[EDGES_MAX];
	size_t things_count, edges_count;
	uint64_t start_time;
};

static struct program *begin(void)
{
	static struct program programs[2];
	static unsigned next;
	struct program *p = &programs[next++ % 2];
	memset(p, 0, sizeof(*p));
	p->start_time = 77;
	return p;
}

static uint64_t put(struct program *p, uint64_t at, enum type type, uint64_t size)
{
	cr_assert_lt(p->things_count, THINGS_MAX);
	p->things[p->things_count].addr = BASE + at * 16;
	p->things[p->things_count].size = size;
	p->things[p->things_count++].type = type;
	return BASE + at * 16;
}

static void refer(struct program *p, uint64_t src, uint64_t dst, const char *name)
{
	cr_assert_lt(p->edges_count, EDGES_MAX);
	p->edges[p->edges_count].src = src;
	p->edges[p->edges_count].dst = dst;
	snprintf(p->edges[p->edges_count++].name, sizeof(p->edges[0].name), "%s", name);
}

/* The module and its dict; returns the dict. */
static uint64_t app(struct program *p)
{
	uint64_t module = put(p, 1, MODULE, 72), space = put(p, 2, DICT, 232);
	refer(p, module, space, "__dict__");
	return space;
}

/* A list at `at` under a name of `space`, with `count` elements of 100 bytes at addresses from `first` on. */
static uint64_t list(struct program *p, uint64_t space, const char *name, uint64_t at, uint64_t first, unsigned count)
{
	uint64_t l = put(p, at, LIST, 56);
	refer(p, space, l, name);
	for (unsigned i = 0; i < count; i++)
		refer(p, l, put(p, first + i, STR, 100), "");
	return l;
}

static struct ma_snap *snapshot(const struct program *p)
{
	static const char *const names[TYPES] = { "module", "dict", "list", "str", "Thing" };
	char file[64];
	snprintf(file, sizeof(file), "/tmp/graph_growth_test-%d.mem", (int)getpid());
	struct snap_builder *b = sb_create(file);
	uint32_t ids[TYPES];
	sb_meta_default(b);
	sb_meta_num(b, MA_META_START_TIME, p->start_time);
	for (unsigned i = 0; i < TYPES; i++)
		ids[i] = sb_type(b, i == THING ? "app" : "", names[i], 0x1000 + i * 0x1000, 0, 16, 0);
	/* sys.modules, which names the module */
	sb_interp(b, 0, 0x9000, false);
	sb_edge(b, MA_EDGE_NAMED, BASE, sb_name(b, "sys.modules"));
	sb_object(b, &(struct sb_object){ .addr = BASE, .type = ids[DICT], .size = 232, .refcnt = 1, .gc = true });
	sb_edge(b, MA_EDGE_NAMED, BASE + 16, sb_name(b, "app"));
	for (size_t i = 0; i < p->things_count; i++) {
		uint64_t refs = p->things[i].type == MODULE;
		for (size_t e = 0; e < p->edges_count; e++)
			refs += p->edges[e].dst == p->things[i].addr;
		sb_object(b, &(struct sb_object){ .addr = p->things[i].addr,
						  .type = ids[p->things[i].type],
						  .size = p->things[i].size,
						  .refcnt = refs });
		for (size_t e = 0, n = 0; e < p->edges_count; e++) {
			if (p->edges[e].src != p->things[i].addr)
				continue;
			if (p->edges[e].name[0])
				sb_edge(b, MA_EDGE_NAMED, p->edges[e].dst, sb_name(b, p->edges[e].name));
			else
				sb_edge(b, MA_EDGE_AT, p->edges[e].dst, n++);
		}
	}
	sb_finish(b);
	struct ma_snap *s;
	cr_assert_null(ma_snap_open(file, &s));
	unlink(file);
	return s;
}

struct outcome {
	struct ma_snap *old, *new;
	struct ma_diff d;
};

static struct outcome compare(const struct program *old, const struct program *new)
{
	struct outcome o = { .old = snapshot(old), .new = snapshot(new) };
	struct ma_error *err = ma_diff_create(o.old, NULL, o.new, &o.d);
	cr_assert_null(err, "%s", err ? err->message : "");
	return o;
}

/* Growth point `i` is `path`, and gained `objects` objects. */
static void expect_growth(const struct outcome *o, size_t i, const char *path, int64_t objects)
{
	cr_assert_lt(i, o->d.growths.count);
	cr_expect_str_eq(o->d.growths.points[i].path, path);
	cr_expect_eq(o->d.growths.points[i].objects, objects, "%s: %lld", path,
		     (long long)o->d.growths.points[i].objects);
}

static void end(struct outcome *o)
{
	ma_diff_deinit(&o->d);
	ma_snap_close(o->old);
	ma_snap_close(o->new);
}

Test(growth, a_list_that_grew)
{
	struct program *old = begin(), *new = begin();
	uint64_t space = app(old);
	list(old, space, "leak", 10, 1000, 200);
	list(old, space, "steady", 11, 2000, 200);
	space = app(new);
	list(new, space, "leak", 10, 1000, 500);
	list(new, space, "steady", 11, 2000, 200);
	struct outcome o = compare(old, new);
	cr_assert_eq(o.d.growths.count, 1);
	expect_growth(&o, 0, "app.leak", 300);
	cr_expect_eq(o.d.growths.points[0].bytes, 30000);
	cr_expect_eq(o.d.growths.points[0].old_retained, 20056);
	cr_expect_eq(o.d.growths.points[0].new_retained, 50056);
	cr_expect(!o.d.growths.points[0].is_new);
	end(&o);
}

/* What churns frees its strings, and the leak gets their addresses: neither hides the other. */
Test(growth, addresses_that_are_used_anew)
{
	struct program *old = begin(), *new = begin();
	uint64_t space = app(old);
	list(old, space, "leak", 10, 1000, 200);
	list(old, space, "churn", 11, 2000, 400);
	space = app(new);
	uint64_t leak = list(new, space, "leak", 10, 1000, 200);
	for (unsigned i = 0; i < 400; i++)
		refer(new, leak, put(new, 2000 + i, STR, 100), "");
	list(new, space, "churn", 11, 5000, 400);
	struct outcome o = compare(old, new);
	cr_assert_eq(o.d.growths.count, 1);
	expect_growth(&o, 0, "app.leak", 400);
	end(&o);
}

/* A container that hangs elsewhere than before, with what it had, is no growth; one that only has its address is. */
Test(growth, a_container_that_moved)
{
	struct program *old = begin(), *new = begin();
	uint64_t space = app(old), a = put(old, 20, DICT, 232), b = put(old, 21, DICT, 232);
	refer(old, space, a, "a");
	refer(old, space, b, "b");
	list(old, a, "", 10, 1000, 300);
	list(old, a, "", 11, 2000, 300);
	space = app(new);
	a = put(new, 20, DICT, 232);
	b = put(new, 21, DICT, 232);
	refer(new, space, a, "a");
	refer(new, space, b, "b");
	list(new, b, "", 10, 1000, 300); /* the same */
	list(new, b, "", 11, 3000, 300); /* another */
	struct outcome o = compare(old, new);
	cr_assert_eq(o.d.growths.count, 2);
	expect_growth(&o, 0, "app.b", 301);
	expect_growth(&o, 1, "app.a", -301);
	end(&o);
}

Test(growth, elements_that_all_grew_are_their_container)
{
	struct program *old = begin(), *new = begin();
	for (unsigned i = 0; i < 2; i++) {
		struct program *p = i ? new : old;
		uint64_t space = app(p), all = put(p, 20, DICT, 232);
		refer(p, space, all, "tenants");
		for (unsigned k = 0; k < 12; k++)
			list(p, all, "", 30 + k, 1000 + k * 500, i ? 150 : 50);
	}
	struct outcome o = compare(old, new);
	cr_assert_eq(o.d.growths.count, 1);
	expect_growth(&o, 0, "app.tenants", 1200);
	end(&o);
}

Test(growth, variables_that_grew_are_apart)
{
	struct program *old = begin(), *new = begin();
	for (unsigned i = 0; i < 2; i++) {
		struct program *p = i ? new : old;
		uint64_t space = app(p);
		for (unsigned k = 0; k < 10; k++) {
			char name[8];
			snprintf(name, sizeof(name), "v%u", k);
			list(p, space, name, 30 + k, 1000 + k * 500, i ? 200 + k * 10 : 50);
		}
	}
	struct outcome o = compare(old, new);
	cr_assert_eq(o.d.growths.count, 10);
	expect_growth(&o, 0, "app.v9", 240);
	expect_growth(&o, 9, "app.v0", 150);
	end(&o);
}

Test(growth, a_longer_copy_in_the_place_of_a_list)
{
	struct program *old = begin(), *new = begin();
	uint64_t space = app(old), thing = put(old, 20, THING, 48);
	refer(old, space, thing, "journal");
	list(old, thing, "lines", 10, 1000, 200);
	space = app(new);
	thing = put(new, 20, THING, 48);
	refer(new, space, thing, "journal");
	list(new, thing, "lines", 400, 1000, 600);
	struct outcome o = compare(old, new);
	cr_assert_eq(o.d.growths.count, 1);
	expect_growth(&o, 0, "app.journal.lines", 400);
	cr_expect_eq(o.d.growths.points[0].old_retained, 20056);
	cr_expect(!o.d.growths.points[0].is_new);
	end(&o);
}

Test(growth, the_head_of_a_chain)
{
	struct program *old = begin(), *new = begin();
	for (unsigned i = 0; i < 2; i++) {
		struct program *p = i ? new : old;
		uint64_t before = app(p);
		for (unsigned k = 0; k < (i ? 900 : 300); k++) {
			uint64_t link = put(p, 100 + k, THING, 100);
			refer(p, before, link, k ? "next" : "head");
			before = link;
		}
	}
	struct outcome o = compare(old, new);
	cr_assert_eq(o.d.growths.count, 1);
	expect_growth(&o, 0, "app.head", 600);
	end(&o);
}

Test(growth, another_process_is_matched_by_path)
{
	struct program *old = begin(), *new = begin();
	uint64_t space = app(old);
	list(old, space, "leak", 10, 1000, 200);
	list(old, space, "steady", 11, 2000, 200);
	space = app(new);
	new->start_time = 78;
	list(new, space, "leak", 3010, 3100, 500);
	list(new, space, "steady", 3011, 3700, 200);
	struct outcome o = compare(old, new);
	cr_expect(!o.d.same_process);
	cr_assert_eq(o.d.growths.count, 1);
	expect_growth(&o, 0, "app.leak", 300);
	cr_expect_eq(o.d.growths.points[0].old_retained, 20056);
	end(&o);
}

Test(growth, three_snapshots_have_to_be_in_order_and_of_one_process)
{
	struct program *p = begin();
	list(p, app(p), "leak", 10, 1000, 200);
	struct ma_snap *a = snapshot(p);
	p->start_time = 78;
	struct ma_snap *b = snapshot(p);
	struct ma_diff d;
	struct ma_error *err = ma_diff_create(a, b, a, &d);
	cr_assert_not_null(err);
	cr_expect_eq(err->code, MA_ERR_USAGE);
	ma_error_free(err);
	cr_assert_null(ma_diff_create(a, a, a, &d));
	cr_expect_eq(d.middle.objects, 0);
	ma_diff_deinit(&d);
	ma_snap_close(a);
	ma_snap_close(b);
}
