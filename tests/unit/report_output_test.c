// link: ma_report ma_graph ma_test_support ma_format ma_base
// SPDX-License-Identifier: Apache-2.0
#include "escape.h"
#include "leaky_snapshot.h"
#include "report.h"
#include "snapshot_builder.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

static char path[64];
static struct leaky_facts facts;
static struct ma_snap *snap;
static struct ma_analysis analysis;

static void begin(const struct leaky_options *opt)
{
	snprintf(path, sizeof(path), "/tmp/report_output_test-%d.mem", (int)getpid());
	leaky_snapshot(path, opt, &facts);
	cr_assert_null(ma_snap_open(path, &snap));
	unlink(path);
	cr_assert_null(ma_analysis_create(snap, true, &analysis));
}

static void end(void)
{
	ma_analysis_deinit(&analysis);
	ma_snap_close(snap);
}

/* The output as a string, which the caller frees. */
static char *output(struct ma_error *(*fn)(FILE *, const struct ma_analysis *, const struct ma_report_options *),
		    const struct ma_report_options *opt)
{
	char *text;
	size_t bytes;
	FILE *f = open_memstream(&text, &bytes);
	cr_assert_null(fn(f, &analysis, opt));
	fclose(f);
	cr_assert_eq(strlen(text), bytes, "no NUL");
	return text;
}

static json_t *parse(const char *text)
{
	json_error_t err;
	json_t *root = json_loads(text, 0, &err);
	cr_assert_not_null(root, "line %d: %s", err.line, err.text);
	return root;
}

static json_int_t number(json_t *root, const char *name)
{
	json_t *v = json_object_get(root, name);
	cr_assert(json_is_integer(v), "%s", name);
	return json_integer_value(v);
}

Test(json, has_every_field_of_the_contract)
{
	begin(&(struct leaky_options){ .sessions = 1000 });
	char *text = output(ma_report_json, &(struct ma_report_options){ .path = "x.mem", .columns = 80 });
	json_t *root = parse(text);
	static const char *const strings[] = { "snapshot", "taken_at", "host", "command", "python", "consistency" };
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		cr_expect(json_is_string(json_object_get(root, strings[i])), "%s", strings[i]);
	cr_expect_str_eq(json_string_value(json_object_get(root, "snapshot")), "x.mem");
	cr_expect_eq(number(root, "pid"), 4242);
	cr_expect_eq(number(root, "schema"), 1);
	cr_expect_eq((uint64_t)number(root, "objects"), facts.objects);
	cr_expect_eq((uint64_t)number(root, "edges"), facts.edges);
	cr_expect_eq((uint64_t)number(root, "bytes"), facts.bytes);
	cr_expect_eq((uint64_t)number(root, "rss_bytes"), facts.rss);
	cr_expect_eq(number(root, "refcount_excess"), 0);
	cr_expect_eq(number(root, "faults"), 0);
	number(root, "pause_ns");
	number(root, "attempts");
	number(root, "twin_ns");
	cr_expect(json_is_true(json_object_get(root, "complete")));

	static const char *const rows[] = { "objects",
					    "buffers",
					    "pymalloc_free_blocks",
					    "pymalloc_free_pools",
					    "arena_slack",
					    "freelists",
					    "pymalloc_other",
					    "malloc_used",
					    "malloc_slack",
					    "malloc_free",
					    "malloc_unread",
					    "stacks",
					    "code",
					    "data",
					    "file",
					    "shared",
					    "huge_waste",
					    "unknown" };
	json_t *memory = json_object_get(root, "memory");
	cr_assert_eq(json_array_size(memory), sizeof(rows) / sizeof(rows[0]));
	uint64_t sum = 0;
	for (size_t i = 0; i < json_array_size(memory); i++) {
		cr_expect_str_eq(json_string_value(json_object_get(json_array_get(memory, i), "name")), rows[i]);
		sum += (uint64_t)number(json_array_get(memory, i), "bytes");
	}
	cr_expect_eq(sum, facts.rss);

	json_t *types = json_object_get(root, "types");
	json_int_t count = 0, bytes = 0;
	for (size_t i = 0; i < json_array_size(types); i++) {
		count += number(json_array_get(types, i), "count");
		bytes += number(json_array_get(types, i), "bytes");
	}
	cr_expect_eq((uint64_t)count, facts.objects);
	cr_expect_eq((uint64_t)bytes, facts.bytes);

	json_t *thread = json_array_get(json_object_get(root, "threads"), 0);
	cr_expect_eq(number(thread, "tid"), 4242);
	cr_expect_str_eq(json_string_value(json_object_get(thread, "name")), "MainThread");
	cr_expect(json_is_true(json_object_get(thread, "holds_gil")));
	json_t *frame = json_array_get(json_object_get(thread, "frames"), 0);
	cr_expect_str_eq(json_string_value(json_object_get(frame, "function")), "serve");
	cr_expect_str_eq(json_string_value(json_object_get(frame, "file")), "/srv/leaky.py");
	cr_expect_eq(number(frame, "line"), 17);
	json_decref(root);
	free(text);
	end();
}

Test(json, hostile_strings_stay_valid)
{
	begin(&(struct leaky_options){ .sessions = 10, .hostile = true });
	char *text = output(ma_report_json, &(struct ma_report_options){ .path = "\xff.mem", .columns = 80 });
	json_t *root = parse(text); /* refuses what is not UTF-8 */
	cr_expect_str_eq(json_string_value(json_object_get(root, "snapshot")), "\xef\xbf\xbd.mem");
	bool found = false;
	json_t *types = json_object_get(root, "types");
	for (size_t i = 0; i < json_array_size(types); i++)
		found |= !strcmp(json_string_value(json_object_get(json_array_get(types, i), "type")),
				 "evil\x1b[31m\xe2\x80\xae\xef\xbf\xbd,\"x\"");
	cr_expect(found);
	json_decref(root);
	free(text);
	end();
}

Test(text, names_the_leak_on_the_first_screen)
{
	begin(&(struct leaky_options){ .sessions = 5000 });
	char *text = output(ma_report_text, &(struct ma_report_options){ .path = "x.mem", .columns = 80 });
	char *line = text;
	for (int i = 0; i < 23 && line; i++)
		line = strchr(line + 1, '\n');
	cr_assert_not_null(line);
	*line = '\0';
	cr_expect_not_null(strstr(text, "leaky.CACHE"));
	cr_expect_not_null(strstr(text, "leaky.Session"));
	cr_expect_not_null(strstr(text, "books balance"));
	free(text);
	end();
}

Test(text, fits_80_columns_and_is_plain_when_piped)
{
	begin(&(struct leaky_options){ .sessions = 5000, .hostile = true });
	for (int bytes = 0; bytes < 2; bytes++) {
		char *text = output(ma_report_text,
				    &(struct ma_report_options){ .path = "x.mem", .columns = 80, .bytes = bytes });
		cr_expect_null(strchr(text, '\x1b'));
		cr_expect_null(strstr(text, "\xe2\x80\xae"), "no right-to-left override");
		for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
			cr_expect_leq(ma_text_columns(line), 80, "%zu columns: %s", ma_text_columns(line), line);
		free(text);
	}
	end();
}

Test(text, threads_take_the_room_there_is)
{
	begin(&(struct leaky_options){ .sessions = 100, .function = "ThreadPool.wait_for_next_task" });
	char *text = output(ma_report_text, &(struct ma_report_options){ .path = "x.mem", .columns = 80 });
	cr_expect_not_null(strstr(text, "MainThread GIL  ThreadPool.wait_for_next_task  /srv/leaky.py:17\n"), "%s",
			   text);
	free(text);
	end();
}

Test(text, says_when_books_do_not_balance)
{
	begin(&(struct leaky_options){ .sessions = 100, .excess = true });
	char *text = output(ma_report_text, &(struct ma_report_options){ .path = "x.mem", .columns = 80 });
	cr_expect_null(strstr(text, "books balance"));
	cr_expect_not_null(strstr(text, "books do not balance"));
	cr_expect_not_null(strstr(text, "reference count 1, references found 2"));
	free(text);
	end();
}

Test(text, type_glob)
{
	begin(&(struct leaky_options){ .sessions = 100 });
	char *text = output(ma_report_text,
			    &(struct ma_report_options){ .path = "x.mem", .columns = 80, .type_glob = "leaky.*" });
	cr_expect_not_null(strstr(text, "leaky.Session"));
	cr_expect_null(strstr(text, "dict"));
	free(text);
	end();
}

Test(text, stacks)
{
	begin(&(struct leaky_options){ .sessions = 1, .hostile = true });
	char *text;
	size_t bytes;
	FILE *f = open_memstream(&text, &bytes);
	cr_assert_null(ma_stacks_text(f, snap, &(struct ma_report_options){ .path = "", .columns = 80 }));
	fclose(f);
	cr_expect_not_null(strstr(text, "    serve (/srv/leaky.py:17)\n    <module> (/srv/leaky.py:40)\n"));
	cr_expect_not_null(strstr(text, "(holds the GIL)"));
	cr_expect_null(strchr(text, '\x1b'));
	cr_expect_null(strchr(text, '\x9b'));
	free(text);
	f = open_memstream(&text, &bytes);
	cr_assert_null(ma_stacks_json(f, snap));
	fclose(f);
	json_decref(parse(text));
	free(text);
	end();
}
