// link: ma_graph ma_test_support ma_format ma_base
// SPDX-License-Identifier: Apache-2.0
/* What other programs get of libmemattach: memattach/objects.h, and the example that is built against the headers. */
#include "leaky_snapshot.h"

#include <criterion/criterion.h>
#include <memattach/objects.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64], before[128], after[128];
static struct leaky_facts facts;
static struct ma_snap *snap;
static struct ma_objects *objects;

static void ok(struct ma_error *err)
{
	cr_assert_null(err, "%s", err ? err->message : "");
}

static void setup(void)
{
	snprintf(folder, sizeof(folder), "/tmp/library_test-XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	snprintf(before, sizeof(before), "%s/before", folder);
	snprintf(after, sizeof(after), "%s/after", folder);
	leaky_snapshot(before, &(struct leaky_options){ .sessions = 10 }, &facts);
	leaky_snapshot(after, &(struct leaky_options){ .sessions = 1500 }, &facts);
	ok(ma_snap_open(after, &snap));
	ok(ma_objects_create(snap, &objects));
}

static void teardown(void)
{
	ma_objects_destroy(objects);
	ma_snap_close(snap);
	unlink(before);
	unlink(after);
	cr_expect_eq(rmdir(folder), 0);
}

TestSuite(library, .init = setup, .fini = teardown);

Test(library, an_object_says_what_it_retains_and_who_holds_it)
{
	struct ma_object o, above;
	uint32_t cache = ma_objects_find(objects, facts.cache);
	char *path;
	cr_assert_eq(ma_objects_count(objects), facts.objects);
	cr_assert(ma_objects_get(objects, cache, &o));
	cr_expect_eq(o.addr, facts.cache);
	cr_expect_str_eq(o.type, "dict");
	cr_expect_geq(o.retained, o.size + facts.sessions_bytes);
	cr_assert(ma_objects_get(objects, o.dominator, &above));
	cr_expect_geq(above.retained, o.retained + above.size);
	cr_assert(ma_objects_get(objects, o.parent, &above));
	ok(ma_objects_paths(objects, &cache, 1, &path));
	cr_expect_str_eq(path, "leaky.CACHE");
	free(path);
	cr_assert(ma_objects_get(objects, ma_objects_find(objects, facts.module), &o));
	cr_expect_eq(o.parent, MA_OBJECT_NONE);
	cr_expect_eq(o.dominator, MA_OBJECT_NONE);
}

Test(library, references_are_counted_beyond_the_room_for_them)
{
	uint32_t to[3] = { 77, 77, 77 }, cache = ma_objects_find(objects, facts.cache);
	size_t all = ma_objects_references(objects, cache, to, 2);
	cr_expect_eq(all, 2 * 1500);
	cr_expect_eq(ma_objects_references(objects, cache, NULL, 0), all);
	cr_expect_lt(to[0], ma_objects_count(objects));
	cr_expect_lt(to[1], ma_objects_count(objects));
	cr_expect_eq(to[2], 77, "there was room for two");
}

Test(library, the_largest_come_first)
{
	uint32_t count = ma_objects_count(objects);
	uint32_t *all = calloc(count + 1, sizeof(*all)), some[16];
	cr_assert_not_null(all);
	cr_assert_eq(ma_objects_largest(objects, all, count + 1), count);
	cr_assert_eq(ma_objects_largest(objects, some, 16), 16);
	cr_assert_eq(ma_objects_largest(objects, some, 0), 0);
	struct ma_object o, next;
	for (uint32_t i = 0; i + 1 < count; i++) {
		cr_assert(ma_objects_get(objects, all[i], &o));
		cr_assert(ma_objects_get(objects, all[i + 1], &next));
		cr_assert_geq(o.retained, next.retained, "%u", i);
	}
	for (uint32_t i = 0; i < 16; i++) {
		cr_assert(ma_objects_get(objects, all[i], &o));
		cr_assert(ma_objects_get(objects, some[i], &next));
		cr_expect_eq(o.retained, next.retained, "%u", i);
	}
	free(all);
}

Test(library, types_add_up)
{
	size_t count;
	const struct ma_object_type *types = ma_objects_types(objects, &count);
	uint64_t bytes = 0, objects_of_all = 0;
	for (size_t i = 0; i < count; i++) {
		bytes += types[i].bytes;
		objects_of_all += types[i].count;
		cr_expect_geq(types[i].retained, types[i].bytes, "%s", types[i].name);
	}
	cr_expect_eq(bytes, facts.bytes);
	cr_expect_eq(objects_of_all, facts.objects);
}

Test(library, a_number_that_is_no_objects_is_refused)
{
	uint32_t none = ma_objects_count(objects), twice[] = { 0, 1, 0 };
	struct ma_object o;
	char *paths[3];
	cr_expect_not(ma_objects_get(objects, none, &o));
	cr_expect_eq(ma_objects_references(objects, none, NULL, 0), 0);
	cr_expect_eq(ma_objects_find(objects, 0x123), MA_OBJECT_NONE);
	struct ma_error *err = ma_objects_paths(objects, &none, 1, paths);
	cr_assert(err && err->code == MA_ERR_USAGE);
	ma_error_free(err);
	err = ma_objects_paths(objects, twice, 3, paths);
	cr_assert(err && err->code == MA_ERR_USAGE);
	ma_error_free(err);
	ok(ma_objects_paths(objects, NULL, 0, NULL));
}

static int run_example(const char *first, const char *second, char *out, size_t room)
{
	char command[512];
	snprintf(command, sizeof(command), TEST_BIN_DIR "/example_growth %s %s 2>&1", first, second);
	FILE *f = popen(command, "r");
	cr_assert_not_null(f);
	size_t n = fread(out, 1, room - 1, f);
	out[n] = '\0';
	return WEXITSTATUS(pclose(f));
}

Test(library, the_example_names_what_is_large_and_what_grew)
{
	char out[4096], line[128];
	struct ma_object o;
	cr_expect_eq(run_example(before, after, out, sizeof(out)), 0);
	cr_assert(ma_objects_get(objects, ma_objects_find(objects, facts.cache), &o));
	snprintf(line, sizeof(line), "retains %llu: leaky.CACHE (dict)\n", (unsigned long long)o.retained);
	cr_expect(strstr(out, line), "%s", out);
	cr_expect(strstr(out, "grew by "), "%s", out);
	const char *grew = strstr(out, "objects: leaky.CACHE\n");
	cr_expect(grew, "%s", out);
	cr_expect_eq(run_example(TEST_SOURCE_DIR "/tests/golden/v1/sample.snap", "", out, sizeof(out)), 0);
	cr_expect(strstr(out, "items (list)\n"), "%s", out);
	cr_expect_eq(run_example("/dev/null", "", out, sizeof(out)), 6);
	cr_expect_eq(strncmp(out, "growth: ", 8), 0, "%s", out);
}
