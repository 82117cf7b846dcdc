// SPDX-License-Identifier: Apache-2.0
/* Arrow IPC files (the random access form, "Feather version 2"): rows of a SELECT in record batches, through nanoarrow.
 */
#include "buffer.h"
#include "cleanup.h"
#include "escape.h"
#include "export.h"
#include "sql.h"

#include <nanoarrow/nanoarrow.h>
#include <nanoarrow/nanoarrow_ipc.h>
#include <string.h>

#define BATCH_ROWS 65536
#define BATCH_BYTES (64u << 20) /* of text: offsets in a batch have 31 bits */
#define CELL_BYTES (1u << 20)

struct arrow {
	FILE *out;
	sqlite3_stmt *stmt;
	struct ArrowSchema schema;
	struct ArrowArray batch;
	struct ArrowArrayView view;
	struct ArrowIpcWriter writer;
	struct ArrowError error;
	bool have_writer;
	int64_t rows;
	size_t text_bytes;
};

static enum ArrowType column_type(const char *name)
{
	static const char *const texts[] = { "type", "place", "hash", "value", "name", "file", "function" };
	for (size_t i = 0; i < MA_ARRAY_SIZE(texts); i++)
		if (!strcmp(name, texts[i]))
			return NANOARROW_TYPE_STRING;
	return strcmp(name, "gc") ? NANOARROW_TYPE_UINT64 : NANOARROW_TYPE_BOOL;
}

static struct ma_error *failure(struct arrow *a, int rc)
{
	if (rc == ENOMEM)
		return &ma_enomem;
	if (ferror(a->out)) /* the caller has the reason */
		return NULL;
	return ma_errorf(MA_ERR_OS, "Arrow: %s", a->error.message[0] ? a->error.message : strerror(rc));
}

#define TRY_ARROW(a, expr)                        \
	do {                                      \
		int rc_ = (expr);                 \
		if (rc_)                          \
			return failure((a), rc_); \
	} while (0)

static struct ma_error *begin_batch(struct arrow *a)
{
	if (a->batch.release)
		ArrowArrayRelease(&a->batch);
	a->rows = 0;
	a->text_bytes = 0;
	TRY_ARROW(a, ArrowArrayInitFromSchema(&a->batch, &a->schema, &a->error));
	TRY_ARROW(a, ArrowArrayStartAppending(&a->batch));
	return NULL;
}

/* nanoarrow leaves the rest of the last byte of a bitmap as it was in memory. */
static void clear_rest(struct ArrowArray *column)
{
	struct ArrowBitmap *b = ArrowArrayValidityBitmap(column);
	unsigned used = (unsigned)(b->size_bits % 8);
	if (used && b->buffer.data)
		b->buffer.data[b->size_bits / 8] &= (uint8_t)((1u << used) - 1);
}

static struct ma_error *write_batch(struct arrow *a)
{
	for (int64_t i = 0; i < a->batch.n_children; i++)
		clear_rest(a->batch.children[i]);
	TRY_ARROW(a, ArrowArrayFinishBuildingDefault(&a->batch, &a->error));
	TRY_ARROW(a, ArrowArrayViewSetArray(&a->view, &a->batch, &a->error));
	TRY_ARROW(a, ArrowIpcWriterWriteArrayView(&a->writer, &a->view, &a->error));
	return begin_batch(a);
}

static struct ma_error *begin(struct arrow *a)
{
	int columns = sqlite3_column_count(a->stmt);
	ArrowSchemaInit(&a->schema);
	TRY_ARROW(a, ArrowSchemaSetTypeStruct(&a->schema, columns));
	for (int i = 0; i < columns; i++) {
		const char *name = sqlite3_column_name(a->stmt, i);
		if (!name)
			return &ma_enomem;
		TRY_ARROW(a, ArrowSchemaSetType(a->schema.children[i], column_type(name)));
		TRY_ARROW(a, ArrowSchemaSetName(a->schema.children[i], name));
	}
	TRY_ARROW(a, ArrowArrayViewInitFromSchema(&a->view, &a->schema, &a->error));
	struct ArrowIpcOutputStream stream;
	TRY_ARROW(a, ArrowIpcOutputStreamInitFile(&stream, a->out, 0));
	TRY_ARROW(a, ArrowIpcWriterInit(&a->writer, &stream));
	a->have_writer = true;
	TRY_ARROW(a, ArrowIpcWriterStartFile(&a->writer, &a->error));
	TRY_ARROW(a, ArrowIpcWriterWriteSchema(&a->writer, &a->schema, &a->error));
	return begin_batch(a);
}

static struct ma_error *append_text(struct arrow *a, struct ArrowArray *column, int i)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(CELL_BYTES);
	const char *p = (const char *)sqlite3_column_text(a->stmt, i);
	if (!p)
		return &ma_enomem;
	ma_escape_utf8(&b, p, (size_t)sqlite3_column_bytes(a->stmt, i));
	MA_TRY(ma_buf_error(&b));
	a->text_bytes += b.len;
	struct ArrowStringView text = { ma_buf_text(&b), (int64_t)b.len };
	TRY_ARROW(a, ArrowArrayAppendString(column, text));
	return NULL;
}

static struct ma_error *append_row(struct arrow *a)
{
	for (int i = 0; i < sqlite3_column_count(a->stmt); i++) {
		struct ArrowArray *column = a->batch.children[i];
		if (sqlite3_column_type(a->stmt, i) == SQLITE_NULL)
			TRY_ARROW(a, ArrowArrayAppendNull(column, 1));
		else if (!strcmp(a->schema.children[i]->format, "u"))
			MA_TRY(append_text(a, column, i));
		else
			TRY_ARROW(a, ArrowArrayAppendUInt(column, (uint64_t)sqlite3_column_int64(a->stmt, i)));
	}
	TRY_ARROW(a, ArrowArrayFinishElement(&a->batch));
	a->rows++;
	return NULL;
}

static struct ma_error *write_all(struct arrow *a, struct ma_sql *sql)
{
	int rc;
	MA_TRY(begin(a));
	while ((rc = sqlite3_step(a->stmt)) == SQLITE_ROW && !ferror(a->out)) {
		MA_TRY(append_row(a));
		if (a->rows == BATCH_ROWS || a->text_bytes >= BATCH_BYTES)
			MA_TRY(write_batch(a));
	}
	if (rc != SQLITE_DONE && rc != SQLITE_ROW)
		return ma_sql_error(sql, rc);
	if (ferror(a->out))
		return NULL;
	if (a->rows)
		MA_TRY(write_batch(a));
	TRY_ARROW(a, ArrowIpcWriterFinalizeFile(&a->writer, &a->error));
	return NULL;
}

struct ma_error *ma_export_arrow(FILE *out, struct ma_sql *sql, const char *statement)
{
	struct arrow a = { .out = out };
	int rc = sqlite3_prepare_v2(sql->db, statement, -1, &a.stmt, NULL);
	if (rc != SQLITE_OK)
		return ma_sql_error(sql, rc);
	ArrowArrayViewInitFromType(&a.view, NANOARROW_TYPE_UNINITIALIZED);
	struct ma_error *err = write_all(&a, sql);
	if (a.have_writer)
		ArrowIpcWriterReset(&a.writer);
	ArrowArrayViewReset(&a.view);
	if (a.batch.release)
		ArrowArrayRelease(&a.batch);
	if (a.schema.release)
		ArrowSchemaRelease(&a.schema);
	sqlite3_finalize(a.stmt);
	return err;
}
