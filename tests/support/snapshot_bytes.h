// SPDX-License-Identifier: Apache-2.0
/* snapshot_bytes.h - a snapshot file as bytes in memory: to damage it, to put it together from chunks with right
 * checksums and wrong contents, and to open it. Failures of the helpers abort. */
#ifndef MA_TEST_SNAPSHOT_BYTES_H
#define MA_TEST_SNAPSHOT_BYTES_H

#include "buffer.h"
#include "snap_file.h"

#include <memattach/snapshot.h>

/* The whole file at `path`; the caller frees it. */
uint8_t *snap_bytes_read(const char *path, size_t *bytes_ret);
/* sb_sample(objects) as bytes. */
uint8_t *snap_bytes_sample(unsigned objects, size_t *bytes_ret);
/* Opens `bytes` as if they were a file. */
MA_CHECK struct ma_error *snap_bytes_open(const void *bytes, size_t len, struct ma_snap **ret);
MA_CHECK struct ma_error *snap_bytes_check(const void *bytes, size_t len, uint64_t *objects_ret, uint64_t *edges_ret);
/* Walks all objects and edges; returns the error of the cursor. Counts are valid with an error, too. */
MA_CHECK struct ma_error *snap_walk(const struct ma_snap *s, uint64_t *objects_ret, uint64_t *edges_ret);
/* Opens, walks and touches every table: what a fuzzer wants. Any error is freed. */
void snap_bytes_exercise(const void *bytes, size_t len);

/* Chunks of a sound file: offsets of headers, index chunk and trailer left out. Returns the count, at most `max`. */
size_t snap_bytes_chunks(const void *bytes, size_t len, size_t *offs, size_t max);

/* Putting a file together. */
void snap_put_header(struct ma_buf *b);
/* One block with its header in a chunk of its own, stored as it is. */
void snap_put_block(struct ma_buf *b, uint32_t seq, unsigned kind, uint32_t records, const void *payload,
		    uint32_t bytes);
/* A file of what a fuzzer gives: blocks, each kind (1 byte), records (1), bytes of payload (2, little-endian), payload.
 */
void snap_put_input(struct ma_buf *b, const uint8_t *data, size_t size);
/* A chunk with these bytes as they are; hdr's mark and checksums are set. */
void snap_put_chunk(struct ma_buf *b, struct ma_chunk_hdr hdr, const void *stored);

#endif
