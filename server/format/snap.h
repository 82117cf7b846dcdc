// SPDX-License-Identifier: Apache-2.0
/* snap.h - the reader's private side: an open snapshot, its chunks, and what builds its tables. */
#ifndef MA_SNAP_H
#define MA_SNAP_H

#include "buffer.h"
#include "snap_file.h"
#include "varint.h"

#include <memattach/snapshot.h>

/* Limits of what open loads, so that a small hostile file can not take the machine's memory. */
#define MA_TABLE_RAW_MAX (UINT64_C(512) << 20) /* unpacked bytes of all chunks but objects */
/* memory of all tables: so much, and for each byte of the file so much more */
#define MA_TABLES_MAX (UINT64_C(192) << 20)
#define MA_TABLES_PER_BYTE 64u
#define MA_TYPES_MAX (4u << 20)
#define MA_NAMES_MAX (16u << 20)
#define MA_ROWS_MAX (16u << 20)   /* of any other table */
#define MA_THREADS_MAX (1u << 17) /* JSON takes more for each than the file does; so with MA_FRAMES_MAX */
#define MA_SITES_MAX (4u << 20)
#define MA_INTERPS_MAX 4096u /* interpreters of which the tool tells more */
/* ids in all whose definition may be lost: a number in a hostile file that names a far id must not cost its memory */
#define MA_LOST_TYPES_MAX (64u << 10)
#define MA_LOST_NAMES_MAX (4u << 20)

/* A chunk that is whole, in order of seq. */
struct ma_snap_chunk {
	uint64_t off; /* of its header */
	struct ma_chunk_hdr hdr;
};

struct ma_vec {
	void *data;
	size_t count, cap, row_bytes;
};

struct ma_text_block; /* strings live as long as the snapshot */

struct ma_snap {
	char *path;
	int fd;
	uint64_t file_bytes;
	bool head_only; /* nothing but META, RESULT and STATS is loaded */
	struct ma_snap_chunk *chunks;
	size_t chunks_count;
	bool lost;             /* chunks that were written are not there */
	struct ma_buf missing; /* sentences, joined by "; " */

	struct ma_snap_tables tables;
	struct ma_vec types, names, regions, threads, frames, interps, locals, arenas, classes, freelists, tids, notes;
	struct ma_vec natives, native_frames, interp_states;
	struct ma_vec raws, words, contents, samples;
	struct ma_vec sites, site_frames;
	struct ma_vec pages, huge, heaps, spans, fills, zeros;
	size_t lost_types, lost_names; /* entries whose definition is lost */
	struct ma_text_block *text;
	uint64_t text_bytes;
};

/* Finds the chunks that are whole and says what is not there (scan.c). */
MA_CHECK struct ma_error *ma_snap_scan(struct ma_snap *s);
/* Loads every chunk but objects (tables.c). */
MA_CHECK struct ma_error *ma_snap_load(struct ma_snap *s);
/* Gives the threads of the interpreters the numbers and names that the kernel has for them (thread_names.c). */
MA_CHECK struct ma_error *ma_snap_name_threads(struct ma_snap *s);
/* One record of a RAW block (raw.c). */
struct ma_raw_prev {
	uint64_t addr, object;
};
MA_CHECK struct ma_error *ma_snap_raw_record(struct ma_snap *s, struct ma_raw_prev *prev, struct ma_cursor *c);
/* One record of a CONTENTS block (the same): `prev` has the object. */
MA_CHECK struct ma_error *ma_snap_content_record(struct ma_snap *s, struct ma_raw_prev *prev, struct ma_cursor *c);
/* One record of a SITES block (sites.c). */
MA_CHECK struct ma_error *ma_snap_site_record(struct ma_snap *s, struct ma_cursor *c);
/* One field of a MALLOC block (mallocs.c). */
MA_CHECK struct ma_error *ma_snap_malloc_field(struct ma_snap *s, struct ma_cursor *c);
/* natives.c: a record of a NATIVE block (`first` of its block); and what the tool says of interpreters, to what the
 * agent says of them. */
struct ma_cursor;
MA_CHECK struct ma_error *ma_snap_native_record(struct ma_snap *s, struct ma_cursor *c, bool first);
void ma_snap_join_interps(struct ma_snap *s);
/* Adds a sentence to `missing`: the snapshot is then not complete. */
void ma_snap_lacks(struct ma_snap *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Reads a chunk again and unpacks it: `stored` has MA_CHUNK_STORED_MAX bytes, `raw` MA_CHUNK_RAW_MAX. The error
 * says that the file changed or that the bytes, though their checksum is right, can not be unpacked. */
MA_CHECK struct ma_error *ma_snap_read_chunk(const struct ma_snap *s, const struct ma_snap_chunk *c, void *dctx,
					     void *stored, void *raw);

/* Memory that belongs to the snapshot; NULL when memory is out. text.c */
char *ma_snap_text(struct ma_snap *s, const void *bytes, size_t len); /* a copy with a NUL after it */
/* Reads a string of a record; a cursor that failed gives an empty one. */
MA_CHECK struct ma_error *ma_snap_string(struct ma_snap *s, struct ma_cursor *c, struct ma_str *ret);
void ma_snap_text_free(struct ma_snap *s);
/* Room for one more row of `bytes`, zeroed, at most `limit` rows. */
MA_CHECK struct ma_error *ma_vec_add(struct ma_vec *v, size_t bytes, size_t limit, void **row_ret);

/* The blocks of an unpacked chunk, one after the other. */
struct ma_block_iter {
	const uint8_t *p, *end;
	const struct ma_chunk_hdr *chunk;
	uint32_t blocks, records;
};
void ma_block_iter_init(struct ma_block_iter *it, const struct ma_chunk_hdr *chunk, const void *raw);
/* 1 and a block, 0 at a sound end, -1 when the bytes are no blocks of this chunk's kind or count. */
int ma_block_iter_next(struct ma_block_iter *it, struct ma_block_hdr *hdr_ret, const uint8_t **payload_ret);

#endif
