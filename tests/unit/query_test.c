// link: ma_report ma_graph ma_test_support ma_format ma_base
// SPDX-License-Identifier: Apache-2.0
#include "leaky_snapshot.h"
#include "query.h"
#include "snapshot_builder.h"
#include "snapshot_bytes.h"
#include "sql.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

static char path[64];
static struct leaky_facts facts;
static struct ma_snap *snap;

static void begin(const struct leaky_options *opt)
{
	snprintf(path, sizeof(path), "/tmp/query_test-%d.mem", (int)getpid());
	leaky_snapshot(path, opt, &facts);
	cr_assert_null(ma_snap_open(path, &snap));
	unlink(path);
}

/* The output, which the caller frees. */
static char *ask(const char *sql, enum ma_query_format format)
{
	char *text;
	size_t bytes;
	FILE *f = open_memstream(&text, &bytes);
	struct ma_error *err = ma_query_run(f, snap, sql, format);
	fclose(f);
	cr_assert_null(err, "%s: %s", sql, err ? err->message : "");
	return text;
}

/* The first column of the only row, as text. */
static void expect_one(const char *sql, const char *want)
{
	char *text = ask(sql, MA_QUERY_CSV), *row = strchr(text, '\n');
	cr_assert_not_null(row);
	row++;
	row[strcspn(row, "\r")] = '\0';
	cr_expect_str_eq(row, want, "%s: %s, not %s", sql, row, want);
	free(text);
}

static void expect_number(const char *sql, uint64_t want)
{
	char text[32];
	snprintf(text, sizeof(text), "%" PRIu64, want);
	expect_one(sql, text);
}

static void expect_refused(const char *sql)
{
	char *text;
	size_t bytes;
	FILE *f = open_memstream(&text, &bytes);
	struct ma_error *err = ma_query_run(f, snap, sql, MA_QUERY_TABLE);
	fclose(f);
	cr_assert_not_null(err, "%s", sql);
	cr_expect_eq(err->code, MA_ERR_USAGE, "%s: %s", sql, err->message);
	cr_expect_null(strchr(err->message, '\n'));
	ma_error_free(err);
	free(text);
}

Test(query, tables_hold_what_the_file_holds)
{
	begin(&(struct leaky_options){ .sessions = 300 });
	expect_number("SELECT count(*) FROM objects", facts.objects);
	expect_number("SELECT sum(size) FROM objects", facts.bytes);
	expect_number("SELECT count(*) FROM edges", facts.edges);
	expect_number("SELECT count FROM types WHERE type = 'leaky.Session'", 300);
	expect_number("SELECT sum(bytes) FROM types", facts.bytes);
	expect_number("SELECT sum(bytes) FROM memory", facts.rss);
	expect_number("SELECT count(*) FROM memory", 18);
	expect_one("SELECT function FROM frames WHERE tid = 4242 AND depth = 0", "serve");
	expect_number("SELECT line FROM frames WHERE depth = 1", 40);
	expect_number("SELECT count(*) FROM objects WHERE type = 'leaky.Session' AND gc AND place = 'arena'", 300);
	expect_number("SELECT refcnt FROM objects WHERE type = 'type' AND place = 'malloc'", 301);
	expect_number("SELECT count(*) FROM objects WHERE place = 'static'", 4);
	expect_number("SELECT count(*) FROM roots WHERE kind = 'module'", 1);
	expect_number("SELECT count(*) FROM roots WHERE kind = 'native' AND excess != refcnt - found", 0);
	ma_snap_close(snap);
}

Test(query, by_address_and_joined)
{
	char sql[256];
	begin(&(struct leaky_options){ .sessions = 300 });
	snprintf(sql, sizeof(sql), "SELECT type FROM objects WHERE addr = %" PRIu64, facts.session0);
	expect_one(sql, "leaky.Session");
	snprintf(sql, sizeof(sql), "SELECT count(*) FROM edges WHERE src = %" PRIu64, facts.cache);
	expect_number(sql, 600);
	snprintf(sql, sizeof(sql), "SELECT count(*) FROM objects WHERE addr = %" PRIu64, facts.session0 + 8);
	expect_number(sql, 0);
	snprintf(sql, sizeof(sql), "SELECT name FROM edges WHERE dst = %" PRIu64, facts.session0);
	expect_one(sql, "[<str>]");
	snprintf(sql, sizeof(sql), "SELECT name FROM edges WHERE dst = %" PRIu64, facts.key0);
	expect_one(sql, "<key>");
	snprintf(sql, sizeof(sql), "SELECT name FROM edges WHERE dst = %" PRIu64, facts.cache);
	expect_one(sql, ".CACHE");
	/* as many look-ups as rows: the first ones by passes, the others from the index */
	expect_number("SELECT count(*) FROM objects o JOIN edges e ON e.src = o.addr WHERE o.type = 'leaky.Session'",
		      300);
	expect_number("SELECT count(*) FROM edges e JOIN objects o ON o.addr = e.dst WHERE o.type = 'leaky.Session'",
		      300);
	expect_number("SELECT count(*) FROM objects o JOIN edges e ON e.dst = o.addr JOIN objects h ON h.addr = e.src "
		      "WHERE o.type = 'leaky.Session' AND h.type = 'dict' AND e.name = '[<str>]'",
		      300);
	/* what is no integer is compared by the rules of SQLite */
	expect_number("SELECT count(*) FROM objects WHERE addr = 'x'", 0);
	expect_number("SELECT count(*) FROM objects WHERE addr IS NULL", 0);
	ma_snap_close(snap);
}

/* leaky.CACHE and all sessions hang below its module, whose namespace native code holds, too. */
Test(query, retained_and_dominator)
{
	char sql[160];
	begin(&(struct leaky_options){ .sessions = 500 });
	snprintf(sql, sizeof(sql), "SELECT retained FROM objects WHERE addr = %" PRIu64, facts.session0);
	expect_number(sql, 48 + 104);
	snprintf(sql, sizeof(sql), "SELECT dominator FROM objects WHERE addr = %" PRIu64, facts.session0);
	expect_number(sql, facts.cache);
	snprintf(sql, sizeof(sql),
		 "SELECT count(*) FROM objects o JOIN objects d ON d.addr = o.dominator WHERE d.addr = %" PRIu64,
		 facts.cache);
	expect_number(sql, 1000);
	snprintf(sql, sizeof(sql), "SELECT retained FROM objects WHERE addr = %" PRIu64, facts.cache);
	expect_number(sql, 64 + 500 * (104 + 48 + 104 + 60)); /* not the str that others have, too */
	expect_number("SELECT retained FROM types WHERE type = 'leaky.Session'", 500 * (48 + 104));
	expect_number("SELECT count(*) FROM objects o JOIN objects d ON d.addr = o.dominator WHERE o.dominator IS NULL",
		      0);
	char *text = ask("SELECT * FROM objects LIMIT 1", MA_QUERY_CSV);
	cr_expect_null(strstr(text, "retained"), "only when asked for");
	free(text);
	ma_snap_close(snap);
}

Test(query, only_select)
{
	begin(&(struct leaky_options){ .sessions = 3 });
	static const char *const refused[] = {
		"ATTACH '/tmp/query_test_attached.db' AS x",
		"PRAGMA writable_schema = 1",
		"CREATE TABLE t(x)",
		"CREATE TEMP TABLE t(x)",
		"INSERT INTO types VALUES ('x', 1, 1)",
		"DELETE FROM objects",
		"DROP TABLE objects",
		"SELECT load_extension('x')",
		"BEGIN",
		"VACUUM INTO '/tmp/query_test_vacuum.db'",
		"SELECT 1; SELECT 2",
		"SELECT nothing FROM objects",
		"SELEKT 1",
		"",
		" ; ",
	};
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		expect_refused(refused[i]);
	cr_expect_neq(access("/tmp/query_test_attached.db", F_OK), 0);
	cr_expect_neq(access("/tmp/query_test_vacuum.db", F_OK), 0);
	ma_snap_close(snap);
}

Test(query, json)
{
	begin(&(struct leaky_options){ .sessions = 500, .hostile = true });
	char *text = ask("SELECT type, size, NULL AS n, 0.5 AS f FROM objects", MA_QUERY_JSON);
	json_error_t err;
	json_t *rows = json_loads(text, 0, &err);
	cr_assert_not_null(rows, "line %d: %s", err.line, err.text);
	cr_expect_eq(json_array_size(rows), facts.objects);
	json_t *row = json_array_get(rows, 0);
	cr_expect(json_is_string(json_object_get(row, "type")));
	cr_expect(json_is_integer(json_object_get(row, "size")));
	cr_expect(json_is_null(json_object_get(row, "n")));
	cr_expect(json_is_real(json_object_get(row, "f")));
	json_decref(rows);
	free(text);
	text = ask("SELECT * FROM objects WHERE 0", MA_QUERY_JSON);
	cr_expect_str_eq(text, "[]\n");
	free(text);
	ma_snap_close(snap);
}

Test(query, csv_and_table_are_safe)
{
	begin(&(struct leaky_options){ .sessions = 3, .hostile = true });
	expect_one("SELECT '=cmd()'", "\"'=cmd()\"");
	expect_one("SELECT -5", "-5");
	char *text = ask("SELECT type FROM objects", MA_QUERY_TABLE);
	cr_expect_null(strchr(text, '\x1b'));
	cr_expect_not_null(strstr(text, "evil\\x1b[31m\\u202e\\xff"));
	free(text);
	ma_snap_close(snap);
}

Test(query, a_long_table_has_one_head)
{
	begin(&(struct leaky_options){ .sessions = 1000 });
	char *text = ask("SELECT addr, type FROM objects", MA_QUERY_TABLE);
	size_t lines = 0, heads = 0;
	for (char *p = text; (p = strchr(p, '\n')); p++)
		lines++;
	for (char *p = text; (p = strstr(p, "----")); p += strspn(p, "- "))
		heads++;
	cr_expect_eq(lines, facts.objects + 2);
	cr_expect_eq(heads, 1);
	free(text);
	ma_snap_close(snap);
}

/* sb_values_sample(): by a pass, and from the index that a third look-up by address makes. */
Test(query, values)
{
	snprintf(path, sizeof(path), "/tmp/query_test-%d.mem", (int)getpid());
	sb_values_sample(path, MA_VALUES_PREFIX);
	cr_assert_null(ma_snap_open(path, &snap));
	unlink(path);
	for (unsigned i = 0; i < 4; i++) {
		expect_one("SELECT length || ' ' || hash || ' ' || value FROM objects WHERE addr = 0x7f0000010080",
			   "3 0302011fa4 key");
		expect_one("SELECT value FROM objects WHERE addr = 0x7f0000010100", "caf\xc3\xa9 au lait sans su");
		expect_one("SELECT length || value FROM objects WHERE addr = 0x7f0000010180", "2\\x00\\xff");
		expect_one("SELECT typeof(value) || value FROM objects WHERE addr = 0x7f0000010200", "integer-2");
		expect_one("SELECT typeof(value) || value FROM objects WHERE addr = 0x7f0000010280", "real0.5");
		expect_one("SELECT length IS NULL AND hash IS NULL AND value IS NULL FROM objects WHERE addr = "
			   "0x7f0000010300",
			   "1");
		expect_one("SELECT value FROM objects WHERE addr = 0x7f0000010380", "18446744073709551616");
		expect_one("SELECT coalesce(length, hash, value, 'nothing') FROM objects WHERE addr = 0x7f0000010000",
			   "nothing");
		expect_one("SELECT name FROM edges WHERE dst = 0x7f0000010100", "['key']");
		expect_one("SELECT name FROM edges WHERE dst = 0x7f0000010200", "[b'\\x00\\xff']");
	}
	expect_one("SELECT count(*) FROM objects WHERE value = 'key'", "1");
	ma_snap_close(snap);
}

/* The types come in order, so that SQLite need not sort; an expression it has to. */
Test(query, groups_are_as_sqlite_makes_them)
{
	static const char *const pairs[][2] = {
		{ "SELECT type, count(*) FROM objects GROUP BY type",
		  "SELECT type, count(*) FROM objects GROUP BY type || ''" },
		{ "SELECT type, sum(size), min(addr), max(refcnt), sum(gc), count(DISTINCT place) FROM objects GROUP "
		  "BY 1",
		  "SELECT type, sum(size), min(addr), max(refcnt), sum(gc), count(DISTINCT place) FROM objects "
		  "GROUP BY type || ''" },
		{ "SELECT DISTINCT type FROM objects ORDER BY type", "SELECT type FROM objects GROUP BY type || ''" },
		{ "SELECT type FROM objects ORDER BY type DESC", "SELECT type FROM objects ORDER BY type || '' DESC" },
		{ "SELECT type, sum(size) AS s FROM objects WHERE size > 60 GROUP BY type HAVING s > 100 ORDER BY s, "
		  "type",
		  "SELECT type, sum(size) AS s FROM objects WHERE size > 60 GROUP BY type || '' HAVING s > 100 ORDER "
		  "BY s, type" },
		{ "SELECT type, sum(length) FROM objects GROUP BY type",
		  "SELECT type, sum(length) FROM objects GROUP BY type || ''" },
		{ "SELECT a.type, count(*) FROM objects a, types b WHERE a.type = b.type GROUP BY a.type",
		  "SELECT type, count(*) FROM objects GROUP BY type || ''" },
		{ "SELECT b.type, (SELECT count(*) FROM (SELECT DISTINCT type FROM objects)) FROM types b ORDER BY 1",
		  "SELECT type, (SELECT count(DISTINCT type || '') FROM objects) FROM types ORDER BY type || ''" },
	};
	begin(&(struct leaky_options){ .sessions = 50 });
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		char *fast = ask(pairs[i][0], MA_QUERY_CSV), *slow = ask(pairs[i][1], MA_QUERY_CSV);
		const char *rows = strchr(fast, '\n'), *wanted = strchr(slow, '\n'); /* names of columns may differ */
		cr_assert(rows && wanted);
		cr_assert_gt(strlen(rows), 20);
		cr_expect_str_eq(rows, wanted, "%s", pairs[i][0]);
		free(fast);
		free(slow);
	}
	ma_snap_close(snap);
}

/* Whatever a statement needs of a damaged file fails each time it is asked for: nothing half-made is gone on with. */
Test(query, fails_in_the_same_way_again)
{
	static const char edges[] = "\2\101\1\1\1\1\1\1\1\1\0", malformed[] = "\2\100\1";
	static const char *const statements[] = { "SELECT count(*) FROM edges WHERE src = 8",
						  "SELECT count(*) FROM edges WHERE dst = 8 AND name = 'x'",
						  "SELECT count(*) FROM objects WHERE addr = 8" };
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(1 << 20);
	struct ma_sql *sql;
	snap_put_header(&b);
	snap_put_block(&b, 0, MA_BLOCK_OBJECTS, 1, edges, sizeof(edges) - 1);
	snap_put_block(&b, 1, MA_BLOCK_OBJECTS, 1, malformed, sizeof(malformed) - 1);
	cr_assert_null(snap_bytes_open(b.data, b.len, &snap));
	cr_assert_null(ma_sql_open(snap, &sql));
	FILE *out = fopen("/dev/null", "w");
	for (unsigned i = 0; i < 3 * 2000; i++) { /* often enough to run past what was made for the first */
		struct ma_error *err = ma_query_sql(out, sql, statements[i % 3], MA_QUERY_TABLE);
		cr_assert_not_null(err);
		cr_assert_not_null(strstr(err->message, "malformed"), "%s", err->message);
		ma_error_free(err);
	}
	fclose(out);
	cr_assert_null(sql->objects.size);
	cr_assert_null(sql->edges.edges);
	ma_sql_close(sql);
	ma_snap_close(snap);
}
