// SPDX-License-Identifier: Apache-2.0
/* writer_queue.h - full chunks on their way into the file: a bounded queue in memory, helper threads that
 * compress and write, and a spill file for what the queue has no room for.
 *
 * The spill is an unnamed file beside the snapshot. It is a stack: its last chunk is read back, cut off, and then
 * compressed and appended to the snapshot, so that the room on the disk for the smaller copy is always there. */
#ifndef MA_WRITER_QUEUE_H
#define MA_WRITER_QUEUE_H

#include "snap_file.h"

#include <memattach/snapshot.h>

struct ma_chunk {
	struct ma_chunk *next;
	uint32_t kind, seq, blocks, records, bytes;
	uint8_t data[MA_CHUNK_RAW_MAX];
};

struct ma_write_queue;

struct ma_write_queue_options {
	int zstd_level;
	unsigned threads;
	size_t backlog_bytes;
	int fd;                              /* of the snapshot; stays the caller's */
	const struct ma_snap_output *output; /* in place of fd, or NULL; stays the caller's */
	uint64_t off;                        /* where the first chunk goes */
	const char *path; /* of the snapshot: for messages, and its folder for the spill; stays the caller's */
};

MA_CHECK struct ma_error *ma_write_queue_create(const struct ma_write_queue_options *opt, struct ma_write_queue **ret);
/* An empty chunk to fill; NULL when memory is out. */
struct ma_chunk *ma_write_queue_get(struct ma_write_queue *q);
/* Takes `chunk`, which goes into the file under the next sequence number. Waits for the disk only, unless the
 * disk has no room for the spill: then for the compression. */
MA_CHECK struct ma_error *ma_write_queue_put(struct ma_write_queue *q, struct ma_chunk *chunk);
/* Compresses and writes all that is left, with the caller's help, and ends the threads. */
MA_CHECK struct ma_error *ma_write_queue_finish(struct ma_write_queue *q);
/* After finish: the index in order of sequence numbers, and the end of the last chunk. */
const struct ma_index_row *ma_write_queue_index(const struct ma_write_queue *q, size_t *rows_ret, uint64_t *end_ret);
/* Ends the threads without writing what is left. NULL is allowed; `chunk` the same as free. */
void ma_write_queue_destroy(struct ma_write_queue *q);
/* Counts of chunks that went through the spill: for tests and measurements. */
uint64_t ma_write_queue_spilled(const struct ma_write_queue *q);

/* Compresses `chunk` and fills *hdr. Returns what is to be stored: `out` (MA_CHUNK_STORED_MAX bytes) or the
 * chunk's own bytes when they do not shrink. `cctx` is a ZSTD_CCtx. */
const void *ma_chunk_pack(void *cctx, int level, const struct ma_chunk *chunk, void *out, struct ma_chunk_hdr *hdr);

#endif
