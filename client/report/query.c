// SPDX-License-Identifier: Apache-2.0
#include "query.h"

#include "cleanup.h"
#include "escape.h"
#include "sql.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE_ROWS 256 /* a table's columns are as wide as in these; later rows may stand out */
#define CELL_LIMIT (64u << 20)

struct sink {
	FILE *out;
	sqlite3_stmt *stmt;
	int columns;
	uint64_t rows;
	/* of a table */
	char **cells; /* columns * SAMPLE_ROWS */
	bool *right;  /* the same: numbers stand at the right */
	size_t *width;
	size_t kept;
};

/* Of what is not NULL, SQLite has no text where memory ran out, or where it is an empty blob. */
static struct ma_error *cell_bytes(sqlite3_stmt *stmt, int column, const char **p, size_t *bytes)
{
	*p = (const char *)sqlite3_column_text(stmt, column);
	*bytes = *p ? (size_t)sqlite3_column_bytes(stmt, column) : 0;
	if (*p)
		return NULL;
	*p = "";
	return sqlite3_errcode(sqlite3_db_handle(stmt)) == SQLITE_NOMEM ? &ma_enomem : NULL;
}

/* A column's name: there is one but where memory ran out. */
static struct ma_error *column_name(sqlite3_stmt *stmt, int column, const char **ret)
{
	*ret = sqlite3_column_name(stmt, column);
	return *ret ? NULL : &ma_enomem;
}

static struct ma_error *csv_line(struct sink *s, bool head)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(CELL_LIMIT);
	for (int i = 0; i < s->columns; i++) {
		const char *p;
		size_t bytes;
		int type = head ? SQLITE_TEXT : sqlite3_column_type(s->stmt, i);
		MA_TRY(head ? column_name(s->stmt, i, &p) : cell_bytes(s->stmt, i, &p, &bytes));
		if (head)
			bytes = strlen(p);
		if (i)
			ma_buf_u8(&b, ',');
		if (type == SQLITE_INTEGER || type == SQLITE_FLOAT) /* a number with a minus is no formula */
			ma_buf_add(&b, p, bytes);
		else
			ma_escape_csv(&b, p, bytes);
	}
	ma_buf_str(&b, "\r\n");
	if (b.data)
		fwrite(b.data, 1, b.len, s->out);
	return ma_buf_error(&b);
}

static struct ma_error *json_value(struct ma_buf *b, sqlite3_stmt *stmt, int i)
{
	const char *p;
	size_t bytes;
	switch (sqlite3_column_type(stmt, i)) {
	case SQLITE_INTEGER:
		ma_buf_printf(b, "%lld", (long long)sqlite3_column_int64(stmt, i));
		break;
	case SQLITE_FLOAT:
		if (isfinite(sqlite3_column_double(stmt, i)))
			ma_buf_printf(b, "%.17g", sqlite3_column_double(stmt, i));
		else
			ma_buf_str(b, "null");
		break;
	case SQLITE_NULL:
		ma_buf_str(b, "null");
		break;
	default:
		MA_TRY(cell_bytes(stmt, i, &p, &bytes));
		ma_escape_json(b, p, bytes);
		break;
	}
	return NULL;
}

static struct ma_error *json_line(struct sink *s)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(CELL_LIMIT);
	ma_buf_str(&b, s->rows ? ",\n  {" : "\n  {");
	for (int i = 0; i < s->columns; i++) {
		const char *name;
		MA_TRY(column_name(s->stmt, i, &name));
		ma_buf_str(&b, i ? ", " : "");
		ma_escape_json(&b, name, strlen(name));
		ma_buf_str(&b, ": ");
		MA_TRY(json_value(&b, s->stmt, i));
	}
	ma_buf_str(&b, "}");
	if (b.data)
		fwrite(b.data, 1, b.len, s->out);
	return ma_buf_error(&b);
}

static void put_cell(const struct sink *s, int column, const char *text, bool right)
{
	size_t used = ma_text_columns(text), fill = s->width[column] > used ? s->width[column] - used : 0;
	if (column)
		fputs("  ", s->out);
	if (right)
		fprintf(s->out, "%*s", (int)fill, "");
	fputs(text, s->out);
	if (!right && column + 1 < s->columns)
		fprintf(s->out, "%*s", (int)fill, "");
}

static struct ma_error *table_head(struct sink *s)
{
	for (int i = 0; i < s->columns; i++) {
		_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(CELL_LIMIT);
		const char *name;
		MA_TRY(column_name(s->stmt, i, &name));
		ma_escape_text(&b, name, strlen(name));
		MA_TRY(ma_buf_error(&b));
		size_t columns = ma_text_columns(ma_buf_text(&b));
		if (columns > s->width[i])
			s->width[i] = columns;
		put_cell(s, i, ma_buf_text(&b), s->kept && s->right[i]);
	}
	fputc('\n', s->out);
	for (int i = 0; i < s->columns; i++) {
		fputs(i ? "  " : "", s->out);
		for (size_t j = 0; j < s->width[i]; j++)
			fputc('-', s->out);
	}
	fputc('\n', s->out);
	return NULL;
}

static struct ma_error *table_flush(struct sink *s)
{
	MA_TRY(table_head(s));
	for (size_t r = 0; r < s->kept; r++) {
		for (int i = 0; i < s->columns; i++) {
			size_t at = r * (size_t)s->columns + (size_t)i;
			put_cell(s, i, s->cells[at], s->right[at]);
			free(s->cells[at]);
			s->cells[at] = NULL;
		}
		fputc('\n', s->out);
	}
	return NULL;
}

static struct ma_error *table_line(struct sink *s)
{
	bool keep = s->rows < SAMPLE_ROWS;
	if (s->rows == SAMPLE_ROWS)
		MA_TRY(table_flush(s));
	for (int i = 0; i < s->columns; i++) {
		_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(CELL_LIMIT);
		const char *p;
		size_t bytes;
		int type = sqlite3_column_type(s->stmt, i);
		bool right = type == SQLITE_INTEGER || type == SQLITE_FLOAT;
		MA_TRY(cell_bytes(s->stmt, i, &p, &bytes));
		ma_escape_text(&b, p, bytes);
		MA_TRY(ma_buf_error(&b));
		if (!keep) {
			put_cell(s, i, ma_buf_text(&b), right);
			continue;
		}
		size_t at = s->kept * (size_t)s->columns + (size_t)i, columns = ma_text_columns(ma_buf_text(&b));
		s->cells[at] = strdup(ma_buf_text(&b));
		if (!s->cells[at])
			return &ma_enomem;
		s->right[at] = right;
		if (columns > s->width[i])
			s->width[i] = columns;
	}
	if (keep)
		s->kept++;
	else
		fputc('\n', s->out);
	return NULL;
}

static struct ma_error *one_row(struct sink *s, enum ma_query_format format)
{
	switch (format) {
	case MA_QUERY_CSV:
		return csv_line(s, false);
	case MA_QUERY_JSON:
		return json_line(s);
	case MA_QUERY_TABLE:
		break;
	}
	return table_line(s);
}

static struct ma_error *print_rows(struct ma_sql *sql, struct sink *s, enum ma_query_format format)
{
	int rc;
	if (format == MA_QUERY_CSV)
		MA_TRY(csv_line(s, true));
	else if (format == MA_QUERY_JSON)
		fputc('[', s->out);
	while ((rc = sqlite3_step(s->stmt)) == SQLITE_ROW && !ferror(s->out)) {
		MA_TRY(one_row(s, format));
		s->rows++;
	}
	if (rc != SQLITE_DONE && rc != SQLITE_ROW)
		return ma_sql_error(sql, rc);
	if (format == MA_QUERY_JSON)
		fputs(s->rows ? "\n]\n" : "]\n", s->out);
	else if (format == MA_QUERY_TABLE && s->rows <= SAMPLE_ROWS)
		return table_flush(s);
	return NULL;
}

static struct ma_error *run(struct ma_sql *sql, struct sink *s, const char *statement, enum ma_query_format format)
{
	const char *tail;
	int rc = sqlite3_prepare_v2(sql->db, statement, -1, &s->stmt, &tail);
	if (rc != SQLITE_OK)
		return ma_sql_error(sql, rc);
	if (!s->stmt || tail[strspn(tail, " \t\r\n;")])
		return ma_errorf(MA_ERR_USAGE, "SQL: one statement, please");
	s->columns = sqlite3_column_count(s->stmt);
	size_t columns = (size_t)(s->columns ? s->columns : 1);
	s->cells = calloc(columns * SAMPLE_ROWS, sizeof(*s->cells));
	s->right = calloc(columns * SAMPLE_ROWS, sizeof(*s->right));
	s->width = calloc(columns, sizeof(*s->width));
	if (!s->cells || !s->right || !s->width)
		return &ma_enomem;
	return print_rows(sql, s, format);
}

struct ma_error *ma_query_sql(FILE *out, struct ma_sql *sql, const char *statement, enum ma_query_format format)
{
	struct sink s = { .out = out };
	struct ma_error *err = run(sql, &s, statement, format);
	sqlite3_finalize(s.stmt);
	for (size_t i = 0; s.cells && i < (size_t)s.columns * SAMPLE_ROWS; i++)
		free(s.cells[i]);
	free(s.cells);
	free(s.right);
	free(s.width);
	return err;
}

struct ma_error *ma_query_run(FILE *out, const struct ma_snap *snap, const char *statement, enum ma_query_format format)
{
	struct ma_sql *sql;
	MA_TRY(ma_sql_open(snap, &sql));
	struct ma_error *err = ma_query_sql(out, sql, statement, format);
	ma_sql_close(sql);
	return err;
}
