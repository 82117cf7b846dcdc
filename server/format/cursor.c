// SPDX-License-Identifier: Apache-2.0
/* The pass over all objects. This is the hot loop of every report: varints are read without a bound each, in a
 * buffer with room behind its end, and the end is checked once for each record and edge. */
#include "cleanup.h"
#include "snap.h"
#include "values.h"
#include "varint.h"

#include <string.h>
#include <zstd.h>

/* Longest run of varints between two checks of the end: six fields of an object, or two of an edge; and the eight
 * bytes that are read at once. */
#define PAD (6u * MA_VARINT_MAX + 8u)

struct ma_snap_cursor {
	const struct ma_snap *s;
	size_t next_chunk;
	const uint8_t *wanted; /* by chunk; NULL: all are */
	const struct ma_snap_chunk *chunk;
	struct ma_block_iter blocks;
	bool in_chunk;
	const uint8_t *p, *end; /* of the block */
	uint32_t left;          /* records that should still begin in the block */
	uint64_t addr;          /* of the object before; deltas count from it */
	bool in_edges;
	uint64_t last_dst, index, key;
	uint64_t src;
	struct ma_error *err;
	bool ended;
	bool bad; /* a varint was malformed */
	void *dctx;
	uint8_t *stored, *raw;
	struct ma_value_reader *values; /* NULL: not wanted */
	struct ma_snap_value value;
	bool has_value;
};

struct ma_error *ma_snap_cursor_create(const struct ma_snap *s, struct ma_snap_cursor **ret)
{
	struct ma_snap_cursor *c = calloc(1, sizeof(*c));
	if (!c)
		return &ma_enomem;
	c->s = s;
	c->dctx = ZSTD_createDCtx();
	c->stored = malloc(MA_CHUNK_STORED_MAX);
	c->raw = malloc(MA_CHUNK_RAW_MAX + PAD);
	if (!c->dctx || !c->stored || !c->raw) {
		ma_snap_cursor_destroy(c);
		return &ma_enomem;
	}
	*ret = c;
	return NULL;
}

void ma_snap_cursor_destroy(struct ma_snap_cursor *c)
{
	if (!c)
		return;
	ZSTD_freeDCtx(c->dctx);
	ma_value_reader_destroy(c->values);
	ma_error_free(c->err);
	free(c->stored);
	free(c->raw);
	free(c);
}

struct ma_error *ma_snap_cursor_error(struct ma_snap_cursor *c)
{
	return ma_take_ptr(c->err);
}

static bool stop(struct ma_snap_cursor *c, struct ma_error *err)
{
	c->err = err;
	c->ended = true;
	c->in_edges = false;
	return false;
}

static bool malformed(struct ma_snap_cursor *c)
{
	return stop(c, ma_errorf(MA_ERR_BAD_DATA, "%s: a record in the chunk of objects at byte %llu is malformed",
				 c->s->path, (unsigned long long)c->chunk->off));
}

/* Nine bytes and more. Longer than ten bytes, or more than 64 bits, is malformed. */
static uint64_t varint_long(struct ma_snap_cursor *c, const uint8_t **p)
{
	uint64_t v = 0;
	const uint8_t *q = *p;
	unsigned shift = 0;
	uint8_t b;
	do {
		b = *q++;
		v |= (uint64_t)(b & 0x7f) << shift;
		shift += 7;
	} while (b >= 0x80 && shift < 64);
	if (b >= 0x80 || (shift == 70 && b > 1))
		c->bad = true;
	*p = q;
	return v;
}

/* Without a branch for each byte, since lengths change from field to field and every wrong guess costs more than
 * the rest: the lowest clear top bit ends the number, then its groups of seven bits move together in three steps. */
static inline uint64_t varint(struct ma_snap_cursor *c, const uint8_t **p)
{
	uint64_t w;
	memcpy(&w, *p, 8);
	if (!(w & 0x80)) {
		*p += 1;
		return w & 0x7f;
	}
	uint64_t stop = ~w & UINT64_C(0x8080808080808080);
	if (!stop)
		return varint_long(c, p);
	*p += ((unsigned)__builtin_ctzll(stop) + 1) / 8;
	w &= (stop ^ (stop - 1)) & UINT64_C(0x7f7f7f7f7f7f7f7f);
	w = (w & UINT64_C(0x007f007f007f007f)) | (w & UINT64_C(0x7f007f007f007f00)) >> 1;
	w = (w & UINT64_C(0x00003fff00003fff)) | (w & UINT64_C(0x3fff00003fff0000)) >> 2;
	return (w & UINT64_C(0x000000000fffffff)) | (w & UINT64_C(0x0fffffff00000000)) >> 4;
}

size_t ma_snap_chunks(const struct ma_snap *s)
{
	return s->chunks_count;
}

uint32_t ma_snap_chunk_objects(const struct ma_snap *s, size_t chunk)
{
	return s->chunks[chunk].hdr.kind == MA_BLOCK_OBJECTS ? s->chunks[chunk].hdr.records : 0;
}

size_t ma_snap_cursor_chunk(const struct ma_snap_cursor *c)
{
	return (size_t)(c->chunk - c->s->chunks);
}

void ma_snap_cursor_only(struct ma_snap_cursor *c, const uint8_t *wanted)
{
	c->wanted = wanted;
}

static bool is_wanted(const struct ma_snap_cursor *c, size_t chunk)
{
	return c->s->chunks[chunk].hdr.kind == MA_BLOCK_OBJECTS && (!c->wanted || c->wanted[chunk]);
}

/* Moves to the next block with objects in it; false at the end or with an error. */
static bool next_block(struct ma_snap_cursor *c)
{
	for (;;) {
		struct ma_block_hdr hdr;
		const uint8_t *payload;
		if (c->in_chunk) {
			int more = ma_block_iter_next(&c->blocks, &hdr, &payload);
			if (more < 0)
				return malformed(c);
			if (more > 0) {
				c->p = payload;
				c->end = payload + hdr.bytes;
				c->left = hdr.records;
				c->addr = 0;
				if (c->p < c->end)
					return true;
				if (c->left)
					return malformed(c);
				continue;
			}
			c->in_chunk = false;
		}
		while (c->next_chunk < c->s->chunks_count && !is_wanted(c, c->next_chunk))
			c->next_chunk++;
		if (c->next_chunk == c->s->chunks_count) {
			c->ended = true;
			return false;
		}
		c->chunk = &c->s->chunks[c->next_chunk++];
		struct ma_error *err = ma_snap_read_chunk(c->s, c->chunk, c->dctx, c->stored, c->raw);
		if (err)
			return stop(c, err);
		memset(c->raw + c->chunk->hdr.raw_bytes, 0, PAD);
		ma_block_iter_init(&c->blocks, &c->chunk->hdr, c->raw);
		c->in_chunk = true;
	}
}

/* The values of the block, whose first record tells which they are. */
static bool begin_values(struct ma_snap_cursor *c)
{
	const uint8_t *p = c->p;
	uint64_t first = (uint64_t)ma_unzigzag(varint(c, &p));
	struct ma_error *err = ma_value_reader_block(c->values, ma_snap_cursor_chunk(c), first);
	return err ? stop(c, err) : true;
}

struct ma_error *ma_snap_cursor_values(struct ma_snap_cursor *c)
{
	return c->values ? NULL : ma_value_reader_create(c->s, &c->values);
}

bool ma_snap_value(const struct ma_snap_cursor *c, struct ma_snap_value *ret)
{
	if (c->has_value)
		*ret = c->value;
	return c->has_value;
}

/* After the record: its type says whether it has a value. */
static bool read_value(struct ma_snap_cursor *c, const struct ma_snap_object *o)
{
	const struct ma_snap_type *t = o->type_id ? &c->s->tables.types[o->type_id - 1] : NULL;
	c->has_value = false;
	if (!t || !(t->flags & MA_TF_VALUES) || (o->extra & MA_OX_CONT))
		return true;
	c->has_value = true;
	struct ma_error *err = ma_value_reader_next(c->values, t, o, &c->value);
	return err ? stop(c, err) : true;
}

static bool skip_edges(struct ma_snap_cursor *c, uint64_t *edges, uint64_t *borrowed)
{
	const uint8_t *p = c->p, *end = c->end;
	c->in_edges = false;
	while (p < end) {
		uint64_t v = varint(c, &p);
		if (!v) {
			if (p > end || c->bad)
				break;
			c->p = p;
			return true;
		}
		unsigned kind = (v - 1) & 7;
		++*edges;
		*borrowed += kind == MA_EDGE_BORROWED;
		if (kind == MA_EDGE_AT || kind == MA_EDGE_NAMED || kind == MA_EDGE_BORROWED)
			varint(c, &p);
	}
	return malformed(c);
}

void ma_snap_count_edges(struct ma_snap_cursor *c, uint64_t *edges, uint64_t *borrowed)
{
	if (c->in_edges)
		skip_edges(c, edges, borrowed); /* an error ends the pass */
}

bool ma_snap_next_object(struct ma_snap_cursor *c, struct ma_snap_object *ret)
{
	uint64_t edges = 0, borrowed = 0;
	if (c->in_edges && !skip_edges(c, &edges, &borrowed))
		return false;
	if (c->ended)
		return false;
	if (c->p == c->end) {
		if (c->left)
			return malformed(c);
		if (!next_block(c))
			return false;
		if (c->values && !begin_values(c))
			return false;
	}
	if (!c->left)
		return malformed(c);
	const uint8_t *p = c->p;
	c->addr += 8 * (uint64_t)ma_unzigzag(varint(c, &p));
	uint64_t head = varint(c, &p);
	uint64_t type_id = head >> MA_OF_BITS;
	ret->addr = c->addr;
	ret->size = varint(c, &p);
	ret->refcnt = varint(c, &p);
	ret->immortal = ret->refcnt == 0;
	ret->buffer = head & MA_OF_BUFFER ? varint(c, &p) : 0;
	uint64_t extra = head & MA_OF_EXTRA ? varint(c, &p) : 0;
	ret->extra = (uint32_t)extra;
	ret->gc = (head & MA_OF_GC) != 0;
	ret->has_edges = (head & MA_OF_EDGES) != 0;
	ret->place = (enum ma_place)(head >> MA_OF_PLACE_SHIFT & 3);
	if (p > c->end || c->bad)
		return malformed(c);
	if (extra & (MA_OX_CONT | MA_OX_ZEROREF))
		ret->immortal = false;
	if (type_id > c->s->tables.types_count ||
	    (type_id && c->s->lost_types && !c->s->tables.types[type_id - 1].addr))
		type_id = 0;
	ret->type_id = (uint32_t)type_id;
	c->p = p;
	c->left--;
	c->in_edges = ret->has_edges;
	c->src = c->last_dst = c->addr;
	c->index = 0;
	c->key = 0;
	return !c->values || read_value(c, ret);
}

bool ma_snap_next_edge(struct ma_snap_cursor *c, struct ma_snap_edge *ret)
{
	if (!c->in_edges)
		return false;
	const uint8_t *p = c->p;
	if (p >= c->end)
		return malformed(c);
	uint64_t v = varint(c, &p);
	if (!v) {
		c->p = p;
		c->in_edges = false;
		return p > c->end ? malformed(c) : false;
	}
	v--;
	c->last_dst += 8 * (uint64_t)ma_unzigzag(v >> 3);
	ret->src = c->src;
	ret->dst = c->last_dst;
	ret->kind = (enum ma_edge_kind)(v & 7);
	ret->index = 0;
	ret->name_id = 0;
	ret->key = 0;
	switch (ret->kind) {
	case MA_EDGE_NEXT:
		ret->index = c->index++;
		break;
	case MA_EDGE_AT:
		ret->index = varint(c, &p);
		c->index = ret->index + 1;
		break;
	case MA_EDGE_NAMED:
	case MA_EDGE_BORROWED: {
		uint64_t name = varint(c, &p);
		ret->name_id = name > c->s->tables.names_count ? 0 : (uint32_t)name;
		break;
	}
	case MA_EDGE_KEY:
		c->key = ret->dst;
		break;
	case MA_EDGE_VALUE:
		ret->key = c->key;
		break;
	case MA_EDGE_PLAIN:
	case MA_EDGE_GUESSED:
		break;
	}
	if (p > c->end || c->bad)
		return malformed(c);
	c->p = p;
	return true;
}
