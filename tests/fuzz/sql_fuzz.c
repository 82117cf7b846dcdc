// SPDX-License-Identifier: Apache-2.0
/* The input is SQL that a user gives, over sound snapshots: the first byte says of which, each byte behind 127 stands
 * for a word, the rest is text as it is. Whatever it asks, JSON can be parsed, and nothing reaches a terminal that it
 * obeys. */
#include "cleanup.h"
#include "fuzz.h"
#include "leaky_snapshot.h"
#include "query.h"
#include "snapshot_builder.h"
#include "sql.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SNAPSHOTS 6u
#define STEPS_MAX 100 /* of 1000 instructions of SQLite each: recursion without end is no finding */
#define OUT_MAX (8u << 20)

/* Each ends with a |. */
static const char words[] =
	"SELECT |* | FROM | WHERE | GROUP BY | ORDER BY | LIMIT | JOIN | ON | LEFT JOIN | AND | OR | NOT |"
	" IN | IS NULL | LIKE | BETWEEN | AS | UNION | UNION ALL | EXCEPT | DISTINCT |WITH RECURSIVE |"
	" HAVING | DESC | CASE WHEN | THEN | ELSE | END | EXISTS |count(*)|sum(|min(|max(|hex(|length(|"
	"typeof(|group_concat(|cast(|coalesce(|char(|zeroblob(|objects|edges|types|modules|waste|duplicates|"
	"frames|memory|buffers|native_words|roots|heaps|arenas|allocations|sites|addr|type|size|refcnt|gc|"
	"place|length|hash|value|retained|dominator|src|dst|name|count|bytes|module|package|instances|kind|"
	"example|tid|depth|file|function|line|counted|owner|object|library|found|excess|domain|site|id|"
	"touched|used|start|0x7f0000010000|-1|9223372036854775807|-9223372036854775808|18446744073709551616|"
	"1e308|NULL|''|'%'|'dict'|x'1b5b00ff'|'=cmd()'|char(27,8238,10,0)| GLOB | >= | <= | MATCH | REGEXP |"
	" OVER (ORDER BY |row_number()| NATURAL JOIN | CROSS JOIN | rowid | INTERSECT | COLLATE NOCASE |"
	" OFFSET | VALUES |(SELECT |PRAGMA |ATTACH |";

static void must(int good)
{
	if (!good)
		abort();
}

static void build(unsigned which, const char *path)
{
	struct leaky_facts facts;
	switch (which) {
	case 0:
		leaky_snapshot(path, &(struct leaky_options){ .sessions = 30, .hostile = true, .excess = true },
			       &facts);
		break;
	case 1:
		sb_sample(path, 20);
		break;
	case 2:
		sb_native_sample(path);
		break;
	case 3:
		sb_values_sample(path, MA_VALUES_ALL);
		break;
	case 4:
		sb_sites_sample(path);
		break;
	default:
		sb_malloc_sample(path, SB_MALLOC_PAGES | SB_MALLOC_HEAPS);
	}
}

static const struct ma_snap *snapshot(unsigned which)
{
	static struct ma_snap *opened[SNAPSHOTS];
	char path[64];
	if (opened[which])
		return opened[which];
	snprintf(path, sizeof(path), "/tmp/sql_fuzz-%d.mem", (int)getpid());
	build(which, path);
	must(!ma_snap_open(path, &opened[which]));
	unlink(path);
	return opened[which];
}

static void put_word(struct ma_buf *b, unsigned number)
{
	const char *p = words;
	for (; number && *p; number--)
		p = strchr(p, '|') + 1;
	if (*p)
		ma_buf_add(b, p, strcspn(p, "|"));
}

static void statement(struct ma_buf *b, const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (data[i] >= 0x80)
			put_word(b, data[i] - 0x80u);
		else if (data[i])
			ma_buf_u8(b, data[i]);
}

static int give_up(void *arg)
{
	unsigned *left = arg;
	return !(*left)--;
}

static void safe(const char *text, size_t bytes, enum ma_query_format format)
{
	if (format == MA_QUERY_JSON) {
		json_t *rows = json_loadb(text, bytes, JSON_ALLOW_NUL, NULL);
		must(json_is_array(rows));
		json_decref(rows);
	}
	for (size_t i = 0; format == MA_QUERY_TABLE && i < bytes; i++)
		must(((unsigned char)text[i] >= 0x20 && text[i] != 0x7f) || text[i] == '\n');
}

static void ask(const struct ma_snap *s, const char *text, enum ma_query_format format)
{
	struct ma_sql *sql;
	char *out = NULL;
	size_t bytes = 0;
	unsigned left = STEPS_MAX;
	FILE *f = open_memstream(&out, &bytes);
	must(f != NULL);
	must(!ma_sql_open(s, &sql));
	sqlite3_progress_handler(sql->db, 1000, give_up, &left);
	sqlite3_limit(sql->db, SQLITE_LIMIT_LENGTH, 10000);
	sqlite3_limit(sql->db, SQLITE_LIMIT_COLUMN, 60);
	sqlite3_limit(sql->db, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 20);
	struct ma_error *err = ma_query_sql(f, sql, text, format);
	ma_sql_close(sql);
	fclose(f);
	if (!err && bytes < OUT_MAX)
		safe(out, bytes, format);
	ma_error_free(err);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(1 << 16);
	if (!size || size > 2000)
		return 0;
	statement(&b, data + 1, size - 1);
	const struct ma_snap *s = snapshot(data[0] % SNAPSHOTS);
	ask(s, ma_buf_text(&b), (enum ma_query_format)(data[0] / SNAPSHOTS % 3));
	return 0;
}
