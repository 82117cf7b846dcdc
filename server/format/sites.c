// SPDX-License-Identifier: Apache-2.0
/* Where memory was allocated: the sites, loaded by open, and the pass over the blocks of memory that name them. */
#include "cleanup.h"
#include "snap.h"
#include "varint.h"

#include <zstd.h>

struct ma_error *ma_snap_site_record(struct ma_snap *s, struct ma_cursor *c)
{
	struct ma_snap_site *site, r = { 0 };
	uint64_t id = ma_cursor_varint(c);
	uint64_t total = ma_cursor_varint(c), n = ma_cursor_varint(c);
	if (c->bad || id <= s->sites.count || id > MA_SITES_MAX || n > total || n > MA_SITE_FRAMES_MAX ||
	    total > UINT16_MAX || (id != s->sites.count + 1 && !s->lost)) {
		c->bad = true;
		return NULL;
	}
	r.total = (uint32_t)total;
	r.frames_begin = (uint32_t)s->site_frames.count;
	for (uint64_t i = 0; i < n; i++) {
		struct ma_snap_site_frame *f;
		uint64_t file = ma_cursor_varint(c), line = ma_cursor_varint(c);
		if (c->bad || line > UINT32_MAX) {
			s->site_frames.count = r.frames_begin;
			c->bad = true;
			return NULL;
		}
		MA_TRY(ma_vec_add(&s->site_frames, sizeof(*f), MA_ROWS_MAX, (void **)&f));
		f->file_id = file > s->names.count ? 0 : (uint32_t)file;
		f->line = (uint32_t)line;
	}
	r.frames_end = (uint32_t)s->site_frames.count;
	while (s->sites.count < id) /* those whose definition is lost have no frames */
		MA_TRY(ma_vec_add(&s->sites, sizeof(*site), MA_SITES_MAX, (void **)&site));
	((struct ma_snap_site *)s->sites.data)[id - 1] = r;
	return NULL;
}

struct ma_trace_cursor {
	const struct ma_snap *s;
	size_t next_chunk;
	const struct ma_snap_chunk *chunk;
	struct ma_block_iter blocks;
	bool in_chunk, ended;
	struct ma_cursor c; /* of the block */
	uint32_t left;      /* records that should still begin in it */
	uint64_t rows;      /* to come of the record at hand */
	unsigned shift;
	struct ma_snap_trace row;
	struct ma_error *err;
	ZSTD_DCtx *dctx;
	uint8_t *stored, *raw;
};

struct ma_error *ma_trace_cursor_create(const struct ma_snap *s, struct ma_trace_cursor **ret)
{
	struct ma_trace_cursor *t = calloc(1, sizeof(*t));
	if (!t)
		return &ma_enomem;
	t->s = s;
	t->dctx = ZSTD_createDCtx();
	t->stored = malloc(MA_CHUNK_STORED_MAX);
	t->raw = malloc(MA_CHUNK_RAW_MAX);
	if (!t->dctx || !t->stored || !t->raw) {
		ma_trace_cursor_destroy(t);
		return &ma_enomem;
	}
	*ret = t;
	return NULL;
}

void ma_trace_cursor_destroy(struct ma_trace_cursor *t)
{
	if (!t)
		return;
	ZSTD_freeDCtx(t->dctx);
	ma_error_free(t->err);
	free(t->stored);
	free(t->raw);
	free(t);
}

struct ma_error *ma_trace_cursor_error(struct ma_trace_cursor *t)
{
	return ma_take_ptr(t->err);
}

static bool stop(struct ma_trace_cursor *t, struct ma_error *err)
{
	t->err = err;
	t->ended = true;
	return false;
}

static bool malformed(struct ma_trace_cursor *t)
{
	return stop(t, ma_errorf(MA_ERR_BAD_DATA, "%s: a record in the chunk of traces at byte %llu is malformed",
				 t->s->path, (unsigned long long)t->chunk->off));
}

static bool next_chunk(struct ma_trace_cursor *t)
{
	const struct ma_snap *s = t->s;
	while (t->next_chunk < s->chunks_count && s->chunks[t->next_chunk].hdr.kind != MA_BLOCK_TRACES)
		t->next_chunk++;
	if (t->next_chunk == s->chunks_count) {
		t->ended = true;
		return false;
	}
	t->chunk = &s->chunks[t->next_chunk++];
	struct ma_error *err = ma_snap_read_chunk(s, t->chunk, t->dctx, t->stored, t->raw);
	if (err)
		return stop(t, err);
	ma_block_iter_init(&t->blocks, &t->chunk->hdr, t->raw);
	t->in_chunk = true;
	return true;
}

/* The next record with rows in it; false at the end or with an error. */
static bool next_record(struct ma_trace_cursor *t)
{
	while (!t->rows) {
		if (t->left) {
			uint64_t domain = ma_cursor_varint(&t->c), shift = ma_cursor_varint(&t->c);
			t->rows = ma_cursor_varint(&t->c);
			if (t->c.bad || domain > UINT32_MAX || (shift && shift != 3))
				return malformed(t);
			t->left--;
			t->shift = (unsigned)shift;
			t->row = (struct ma_snap_trace){ .domain = (uint32_t)domain };
			continue;
		}
		if (t->in_chunk && ma_cursor_left(&t->c))
			return malformed(t);
		if (!t->in_chunk && !next_chunk(t))
			return false;
		struct ma_block_hdr hdr;
		const uint8_t *payload;
		int more = ma_block_iter_next(&t->blocks, &hdr, &payload);
		if (more < 0)
			return malformed(t);
		t->in_chunk = more > 0;
		ma_cursor_init(&t->c, more > 0 ? payload : t->raw, more > 0 ? hdr.bytes : 0);
		t->left = more > 0 ? hdr.records : 0;
	}
	return true;
}

bool ma_trace_next(struct ma_trace_cursor *t, struct ma_snap_trace *ret)
{
	if (t->ended || !next_record(t))
		return false;
	uint64_t step = ma_cursor_varint(&t->c), site;
	bool fits = step << t->shift >> t->shift == step && step << t->shift <= UINT64_MAX - t->row.addr;
	t->row.addr += step << t->shift;
	t->row.bytes = ma_cursor_varint(&t->c);
	site = ma_cursor_varint(&t->c);
	if (t->c.bad || !fits || t->row.bytes > UINT64_MAX - t->row.addr)
		return malformed(t);
	t->row.site_id = site > t->s->sites.count ? 0 : (uint32_t)site;
	t->rows--;
	*ret = t->row;
	return true;
}
