// SPDX-License-Identifier: Apache-2.0
#include "values.h"

#include "cleanup.h"
#include "varint.h"

#include <string.h>
#include <zstd.h>

struct ma_value_reader {
	const struct ma_snap *s;
	bool texts;        /* the snapshot has them */
	size_t next_chunk; /* where to look for the next chunk of values */
	size_t chunk;      /* the one in `raw` */
	struct ma_block_iter blocks;
	bool in_chunk;
	/* the part that was read last; it may belong to a block of objects that is still to come */
	bool have_part, used;
	uint64_t first, part;
	struct ma_cursor lengths, hashes, pieces;
	/* the block of objects */
	bool live;
	size_t objects_chunk;
	ZSTD_DCtx *dctx;
	uint8_t *stored, *raw;
	uint8_t *text; /* of a text in several pieces; MA_VALUE_TEXT_MAX bytes, made when it is needed */
};

struct ma_error *ma_value_reader_create(const struct ma_snap *s, struct ma_value_reader **ret)
{
	struct ma_value_reader *r = calloc(1, sizeof(*r));
	if (!r)
		return &ma_enomem;
	r->s = s;
	r->texts = s->tables.meta.values >= MA_VALUES_PREFIX;
	r->dctx = ZSTD_createDCtx();
	r->stored = malloc(MA_CHUNK_STORED_MAX);
	r->raw = malloc(MA_CHUNK_RAW_MAX);
	if (!r->dctx || !r->stored || !r->raw) {
		ma_value_reader_destroy(r);
		return &ma_enomem;
	}
	*ret = r;
	return NULL;
}

void ma_value_reader_destroy(struct ma_value_reader *r)
{
	if (!r)
		return;
	ZSTD_freeDCtx(r->dctx);
	free(r->stored);
	free(r->raw);
	free(r->text);
	free(r);
}

static struct ma_error *malformed(const struct ma_value_reader *r)
{
	return ma_errorf(MA_ERR_BAD_DATA, "%s: a value in the chunk at byte %llu is malformed", r->s->path,
			 (unsigned long long)r->s->chunks[r->chunk].off);
}

/* Is nothing lost between the part and its objects? Else it could be that of other objects at the same address. */
static bool gapless(const struct ma_value_reader *r)
{
	const struct ma_snap_chunk *chunks = r->s->chunks;
	return chunks[r->objects_chunk].hdr.seq - chunks[r->chunk].hdr.seq == r->objects_chunk - r->chunk;
}

/* The next part in a chunk before `end`; have_part is false when there is none. */
static struct ma_error *next_part(struct ma_value_reader *r, size_t end)
{
	r->have_part = false;
	for (;;) {
		struct ma_block_hdr hdr;
		const uint8_t *payload;
		if (r->in_chunk) {
			int more = ma_block_iter_next(&r->blocks, &hdr, &payload);
			if (more < 0)
				return malformed(r);
			if (more > 0) {
				struct ma_cursor c;
				ma_cursor_init(&c, payload, hdr.bytes);
				r->first = ma_cursor_varint(&c);
				r->part = ma_cursor_varint(&c);
				uint64_t n = ma_cursor_varint(&c), bytes = ma_cursor_varint(&c);
				const uint8_t *lengths = ma_cursor_take(&c, bytes);
				const uint8_t *hashes =
					n <= MA_BLOCK_PAYLOAD ? ma_cursor_take(&c, n * MA_VALUE_HASH_BYTES) : NULL;
				if (!lengths || !hashes)
					return malformed(r);
				ma_cursor_init(&r->lengths, lengths, (size_t)bytes);
				ma_cursor_init(&r->hashes, hashes, (size_t)n * MA_VALUE_HASH_BYTES);
				r->pieces = c;
				r->have_part = true;
				return NULL;
			}
			r->in_chunk = false;
		}
		while (r->next_chunk < end && r->s->chunks[r->next_chunk].hdr.kind != MA_BLOCK_VALUES)
			r->next_chunk++;
		if (r->next_chunk >= end)
			return NULL;
		r->chunk = r->next_chunk++;
		const struct ma_snap_chunk *chunk = &r->s->chunks[r->chunk];
		MA_TRY(ma_snap_read_chunk(r->s, chunk, r->dctx, r->stored, r->raw));
		ma_block_iter_init(&r->blocks, &chunk->hdr, r->raw);
		r->in_chunk = true;
	}
}

struct ma_error *ma_value_reader_block(struct ma_value_reader *r, size_t chunk, uint64_t first)
{
	r->objects_chunk = chunk;
	r->live = false;
	if (r->s->tables.meta.values == MA_VALUES_NONE) /* or the chunk that said otherwise is lost */
		return NULL;
	/* parts of blocks that are lost come first */
	while (!r->have_part || r->used || r->first != first || r->part || !gapless(r)) {
		MA_TRY(next_part(r, chunk));
		r->used = false;
		if (!r->have_part)
			return NULL;
	}
	r->live = r->used = true;
	return NULL;
}

/* The next part of the same block; live is false when it is lost. */
static struct ma_error *go_on(struct ma_value_reader *r)
{
	uint64_t first = r->first, part = r->part;
	MA_TRY(next_part(r, r->objects_chunk));
	if (r->have_part && r->first == first && r->part == part + 1 && gapless(r))
		return NULL;
	r->live = false;
	return r->s->lost ? NULL : malformed(r);
}

static struct ma_error *read_text(struct ma_value_reader *r, struct ma_snap_value *v)
{
	uint32_t have = 0;
	for (;;) {
		uint64_t head = ma_cursor_varint(&r->pieces), n = head >> 1;
		const uint8_t *p = ma_cursor_take(&r->pieces, n);
		if (!p || n > MA_VALUE_TEXT_MAX - have)
			return malformed(r);
		if (!(head & 1) && !have) {
			v->text = p;
			v->text_bytes = (uint32_t)n;
			return NULL;
		}
		if (!r->text && !(r->text = malloc(MA_VALUE_TEXT_MAX)))
			return &ma_enomem;
		memcpy(r->text + have, p, n);
		have += (uint32_t)n;
		v->text = r->text;
		v->text_bytes = have;
		if (!(head & 1))
			return NULL;
		if (ma_cursor_left(&r->pieces)) /* a piece that goes on is the last of its part */
			return malformed(r);
		MA_TRY(go_on(r));
		if (!r->live)
			return NULL;
	}
}

struct ma_error *ma_value_reader_next(struct ma_value_reader *r, const struct ma_snap_type *t,
				      const struct ma_snap_object *o, struct ma_snap_value *ret)
{
	*ret = (struct ma_snap_value){ .kind = (enum ma_value_kind)MA_TF_VALUE_KIND(t->flags), .has_text = r->texts };
	bool hashed = ret->kind == MA_VALUE_STR || ret->kind == MA_VALUE_BYTES;
	if (r->live && !ma_cursor_left(hashed ? &r->hashes : &r->pieces))
		MA_TRY(go_on(r));
	if (!r->live || (!hashed && !r->texts))
		return NULL;
	if (hashed) {
		uint64_t base = ret->kind == MA_VALUE_STR ? r->s->tables.meta.values_str_base : t->basicsize;
		const uint8_t *p = ma_cursor_take(&r->hashes, MA_VALUE_HASH_BYTES);
		ret->length = o->size - base + (uint64_t)ma_unzigzag(ma_cursor_varint(&r->lengths));
		if (!p || r->lengths.bad)
			return malformed(r);
		memcpy(&ret->hash, p, MA_VALUE_HASH_BYTES);
	}
	if (r->texts)
		MA_TRY(read_text(r, ret));
	ret->read_failed = r->live && ((o->extra & MA_OX_FAULT) || (hashed && !ret->hash));
	ret->known = r->live && !ret->read_failed;
	return NULL;
}
