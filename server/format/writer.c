// SPDX-License-Identifier: Apache-2.0
/* The writer: gathers blocks into chunks of one kind, and writes header, index and trailer around them. */
#include "cleanup.h"
#include "output_file.h"
#include "writer_queue.h"

#include <memattach/snapshot.h>
#include <string.h>
#include <zstd.h>

/* Definitions gather in chunks of their own beside the open chunk, and go out before it: so that a file that is cut
 * off has the definitions of what it still has, and a type now and then does not make small chunks of objects. */
enum open_chunk { OPEN_TYPES, OPEN_NAMES, OPEN_OTHER, OPEN_COUNT };

struct ma_snap_writer {
	struct ma_output_file file;
	bool has_output;
	struct ma_snap_output output; /* in place of file, of which only the path is used */
	bool committed, failed;
	struct ma_write_queue *queue;
	struct ma_chunk *open[OPEN_COUNT];
};

static struct ma_error *append(struct ma_snap_writer *w, const void *data, size_t bytes, uint64_t *end)
{
	if (w->has_output) {
		MA_TRY(w->output.write(w->output.arg, data, bytes));
	} else {
		int errnum = ma_pwrite_all(w->file.fd, data, bytes, *end);
		if (errnum)
			return ma_error_os(errnum, "cannot write %s", w->file.path);
	}
	*end += bytes;
	return NULL;
}

/* The file's header, and the queue for what follows. */
static struct ma_error *start(struct ma_snap_writer *w, const struct ma_snap_writer_options *opt)
{
	uint64_t end = 0;
	struct ma_file_hdr hdr = { .version = MA_FILE_VERSION, .wire_version = MA_WIRE_VERSION };
	memcpy(hdr.magic, MA_FILE_MAGIC, sizeof(hdr.magic));
	hdr.checksum = ma_file_sum(&hdr, offsetof(struct ma_file_hdr, checksum));
	MA_TRY(append(w, &hdr, sizeof(hdr), &end));
	struct ma_write_queue_options q = {
		.zstd_level = opt ? opt->zstd_level : 0,
		.threads = opt ? opt->threads : 0,
		.backlog_bytes = opt ? opt->backlog_bytes : 0,
		.fd = w->file.fd,
		.output = w->has_output ? &w->output : NULL,
		.off = end,
		.path = w->file.path,
	};
	return ma_write_queue_create(&q, &w->queue);
}

struct ma_error *ma_snap_writer_create(const char *path, const struct ma_snap_writer_options *opt,
				       struct ma_snap_writer **ret)
{
	struct ma_snap_writer *w = calloc(1, sizeof(*w));
	if (!w)
		return &ma_enomem;
	w->file.fd = -1;
	struct ma_error *err = ma_output_file_create(path, &w->file);
	if (!err)
		err = start(w, opt);
	if (err) {
		ma_snap_writer_destroy(w);
		return err;
	}
	*ret = w;
	return NULL;
}

struct ma_error *ma_snap_writer_create_output(const struct ma_snap_output *output, const char *folder,
					      const struct ma_snap_writer_options *opt, struct ma_snap_writer **ret)
{
	struct ma_snap_writer *w = calloc(1, sizeof(*w));
	if (!w)
		return &ma_enomem;
	w->file.fd = -1;
	w->has_output = true;
	w->output = *output;
	struct ma_error *err = asprintf(&w->file.path, "%s/snapshot", folder) < 0 ? &ma_enomem : start(w, opt);
	if (err) {
		ma_snap_writer_destroy(w);
		return err;
	}
	*ret = w;
	return NULL;
}

static struct ma_error *flush(struct ma_snap_writer *w, enum open_chunk which)
{
	if (!w->open[which] || !w->open[which]->bytes)
		return NULL;
	if (which == OPEN_OTHER) {
		MA_TRY(flush(w, OPEN_TYPES));
		MA_TRY(flush(w, OPEN_NAMES));
	}
	return ma_write_queue_put(w->queue, ma_take_ptr(w->open[which]));
}

static struct ma_error *add_block(struct ma_snap_writer *w, const struct ma_block_hdr *hdr, const void *payload)
{
	if (!ma_chunk_kind_known(hdr->kind) || hdr->bytes > MA_BLOCK_PAYLOAD)
		return ma_errorf(MA_ERR_BAD_DATA, "a block of kind %u with %u bytes can not be in a snapshot",
				 hdr->kind, hdr->bytes);
	enum open_chunk which = hdr->kind == MA_BLOCK_TYPES   ? OPEN_TYPES
				: hdr->kind == MA_BLOCK_NAMES ? OPEN_NAMES
							      : OPEN_OTHER;
	/* META stays first: only objects wait for definitions that came after them */
	if (which != OPEN_OTHER && w->open[OPEN_OTHER] && w->open[OPEN_OTHER]->kind != MA_BLOCK_OBJECTS)
		MA_TRY(flush(w, OPEN_OTHER));
	struct ma_chunk *c = w->open[which];
	if (c && c->bytes && (c->kind != hdr->kind || c->bytes + sizeof(*hdr) + hdr->bytes > MA_CHUNK_RAW_MAX)) {
		MA_TRY(flush(w, which));
		c = NULL;
	}
	if (!c) {
		c = w->open[which] = ma_write_queue_get(w->queue);
		if (!c)
			return &ma_enomem;
	}
	struct ma_block_hdr clean = { .kind = hdr->kind, .bytes = hdr->bytes, .records = hdr->records };
	c->kind = hdr->kind;
	memcpy(c->data + c->bytes, &clean, sizeof(clean));
	if (hdr->bytes)
		memcpy(c->data + c->bytes + sizeof(clean), payload, hdr->bytes);
	c->bytes += (uint32_t)sizeof(clean) + hdr->bytes;
	c->records += hdr->records;
	c->blocks++;
	return NULL;
}

/* After an error nothing may follow, and no commit. */
static struct ma_error *guard(struct ma_snap_writer *w)
{
	if (w->failed || w->committed)
		return ma_errorf(MA_ERR_USAGE, "%s: the writer has %s", w->file.path, w->failed ? "failed" : "ended");
	w->failed = true; /* until the call is through */
	return NULL;
}

struct ma_error *ma_snap_writer_block(struct ma_snap_writer *w, const struct ma_block_hdr *hdr, const void *payload)
{
	struct ma_block_hdr copy = *hdr; /* it may lie in memory that another process writes */
	MA_TRY(guard(w));
	MA_TRY(add_block(w, &copy, payload));
	w->failed = false;
	return NULL;
}

/* The index in as many chunks as it needs, then the trailer. */
static struct ma_error *write_end(struct ma_snap_writer *w, const struct ma_index_row *rows, size_t count,
				  uint64_t *end)
{
	struct ma_file_trailer t = { .index_off = *end, .chunks = (uint32_t)count };
	_cleanup_free_ struct ma_chunk *c = malloc(sizeof(*c));
	_cleanup_free_ uint8_t *out = malloc(MA_CHUNK_STORED_MAX);
	const size_t most = MA_CHUNK_RAW_MAX / sizeof(*rows);
	if (!c || !out)
		return &ma_enomem;
	ZSTD_CCtx *cctx = ZSTD_createCCtx(); /* without it the index is stored as it is */
	uint32_t seq = (uint32_t)count;
	struct ma_error *err = NULL;
	while (count && !err) {
		size_t n = count < most ? count : most;
		struct ma_chunk_hdr hdr;
		c->kind = MA_CHUNK_INDEX;
		c->seq = seq++;
		c->blocks = 0;
		c->records = (uint32_t)n;
		c->bytes = (uint32_t)(n * sizeof(*rows));
		memcpy(c->data, rows, c->bytes);
		const void *stored = ma_chunk_pack(cctx, 3, c, out, &hdr);
		err = append(w, &hdr, sizeof(hdr), end);
		if (!err)
			err = append(w, stored, hdr.stored_bytes, end);
		rows += n;
		count -= n;
	}
	ZSTD_freeCCtx(cctx);
	if (err)
		return err;
	memcpy(t.mark, MA_TRAILER_MARK, MA_MARK_BYTES);
	t.file_bytes = *end + sizeof(t);
	t.checksum = ma_file_sum(&t, offsetof(struct ma_file_trailer, checksum));
	return append(w, &t, sizeof(t), end);
}

struct ma_error *ma_snap_writer_commit(struct ma_snap_writer *w, uint64_t *file_bytes_ret)
{
	size_t rows_count;
	uint64_t end;
	MA_TRY(guard(w));
	for (unsigned i = 0; i < OPEN_COUNT; i++)
		MA_TRY(flush(w, (enum open_chunk)i));
	MA_TRY(ma_write_queue_finish(w->queue));
	const struct ma_index_row *rows = ma_write_queue_index(w->queue, &rows_count, &end);
	MA_TRY(write_end(w, rows, rows_count, &end));
	if (!w->has_output)
		MA_TRY(ma_output_file_publish(&w->file, ""));
	w->committed = true;
	w->failed = false;
	if (file_bytes_ret)
		*file_bytes_ret = end;
	return NULL;
}

void ma_snap_writer_destroy(struct ma_snap_writer *w)
{
	if (!w)
		return;
	ma_write_queue_destroy(w->queue); /* ends the threads before their file goes */
	for (unsigned i = 0; i < OPEN_COUNT; i++)
		free(w->open[i]);
	ma_output_file_deinit(&w->file);
	free(w);
}
