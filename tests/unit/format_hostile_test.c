// link: ma_test_support ma_format ma_base
// SPDX-License-Identifier: Apache-2.0
/* Files whose checksums are right and whose contents are not: what a hostile or broken writer could make. */
#include "snapshot_builder.h"
#include "snapshot_bytes.h"

#include <criterion/criterion.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

static void ok(struct ma_error *err)
{
	cr_assert_null(err, "%s", err ? err->message : "");
}

/* Opens a file of one block; what it has must be told in `missing` with this part. Returns the snapshot. */
static struct ma_snap *one_block(unsigned kind, uint32_t records, const void *payload, size_t bytes, const char *part)
{
	struct ma_snap *s;
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(1 << 20);
	snap_put_header(&b);
	snap_put_block(&b, 0, kind, records, payload, (uint32_t)bytes);
	ok(snap_bytes_open(b.data, b.len, &s));
	const char *missing = ma_snap_tables(s)->missing;
	cr_assert_not_null(missing);
	if (part)
		cr_assert_not_null(strstr(missing, part), "%s", missing);
	else
		cr_assert_null(strstr(missing, "malformed"), "%s", missing);
	return s;
}

static void malformed(unsigned kind, uint32_t records, const void *payload, size_t bytes)
{
	ma_snap_close(one_block(kind, records, payload, bytes, "malformed"));
}

#define MALFORMED(kind, records, text) malformed(kind, records, text, sizeof(text) - 1)
#define FINE(kind, records, text) ma_snap_close(one_block(kind, records, text, sizeof(text) - 1, NULL))

Test(hostile, records_that_are_not)
{
	/* each FINE shows that the bytes beside it fail for their own reason */
	FINE(MA_BLOCK_TYPES, 1, "\1\1\1\1\1\1m\1T");
	MALFORMED(MA_BLOCK_TYPES, 1, "\1\1\1\1\1\1m\2T");                   /* string past the end */
	MALFORMED(MA_BLOCK_TYPES, 1, "\1\1\1\1\1\1m");                      /* no qualified name */
	MALFORMED(MA_BLOCK_TYPES, 2, "\1\1\1\1\1\1m\1T");                   /* fewer records than the header says */
	MALFORMED(MA_BLOCK_TYPES, 0, "\1\1\1\1\1\1m\1T");                   /* more */
	MALFORMED(MA_BLOCK_TYPES, 1, "\0\1\1\1\1\1m\1T");                   /* id 0 */
	MALFORMED(MA_BLOCK_TYPES, 2, "\1\1\1\1\1\1m\1T\1\1\1\1\1\1m\1T");   /* an id again */
	MALFORMED(MA_BLOCK_TYPES, 1, "\1\1\xff\xff\xff\xff\x1f\1\1\1m\1T"); /* flags of 33 bits */
	MALFORMED(MA_BLOCK_TYPES, 1, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02\1\1\1\1\1m\1T"); /* 65 bits */
	MALFORMED(MA_BLOCK_TYPES, 1, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
	MALFORMED(MA_BLOCK_NAMES, 1, "\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\1a"); /* a string of 2^64 - 1 bytes */
	MALFORMED(MA_BLOCK_META, 1, "\4\7abcdefg");                                /* a number of 7 bytes */
	FINE(MA_BLOCK_META, 1, "\4\010abcdefgh");
	FINE(MA_BLOCK_META, 1, "\x7f\3abc"); /* an unknown tag is passed over */
	FINE(MA_BLOCK_SITES, 1, "\1\1\1\0\7");
	FINE(MA_BLOCK_SITES, 1, "\1\1\1\x63\7");                      /* a name that is not there: 0 */
	MALFORMED(MA_BLOCK_SITES, 1, "\1\1\2\0\7\0\7");               /* more frames than it had */
	MALFORMED(MA_BLOCK_SITES, 1, "\1\2\2\0\7");                   /* fewer frames than it says */
	MALFORMED(MA_BLOCK_SITES, 1, "\0\1\1\0\7");                   /* id 0 */
	MALFORMED(MA_BLOCK_SITES, 1, "\1\xff\xff\4\x81\1\0\7");       /* more frames than a record has */
	MALFORMED(MA_BLOCK_SITES, 1, "\1\1\1\0\xff\xff\xff\xff\x1f"); /* a line of 33 bits */
	MALFORMED(MA_BLOCK_SITES, 1, "\x81\x80\x80\2\1\1\0\7");       /* an id that would cost memory */
	MALFORMED(MA_BLOCK_META, 1, "\x7f\4abc");
	FINE(MA_BLOCK_META, 1, "\27\3abc"); /* a tid too short to be one */
	FINE(MA_BLOCK_STATS, 1, "\x7f\1");
	MALFORMED(MA_BLOCK_STATS, 1, "\1");
	FINE(MA_BLOCK_THREADS, 1, "\1\1\1\1\1\1");
	MALFORMED(MA_BLOCK_THREADS, 1, "\4\1\1\1\1\1"); /* an unknown record can not be passed over */
	FINE(MA_BLOCK_THREADS, 2, "\1\1\1\1\1\1\2\1\0\0\1\1\0");
	MALFORMED(MA_BLOCK_THREADS, 2, "\1\1\1\1\1\1\2\1\0\0\1\1\1"); /* edges without an end */
	MALFORMED(MA_BLOCK_THREADS, 1, "\2\1\0\0\1\1\0");             /* a frame without a thread */
	FINE(MA_BLOCK_THREADS, 1, "\3\1\1\1\0");
	MALFORMED(MA_BLOCK_THREADS, 1, "\3\1\1\1\4"); /* a named edge without its name */
	MALFORMED(MA_BLOCK_ARENAS, 1, "\4\1\1\1\1");
	FINE(MA_BLOCK_ARENAS, 1, "\1\1\1\1\1");
	MALFORMED(MA_BLOCK_ARENAS, 1, "\3\5abcd\1\1");
	MALFORMED(MA_BLOCK_REGIONS, 1, "\1\2\3\4\1a\1\1\1\1\1\1\1\1");
	FINE(MA_BLOCK_REGIONS, 1, "\1\2\3\4\1a\1\1\1\1\1\1\1\1\1");
	FINE(MA_BLOCK_MALLOC, 1, "\1\3\1\0\1"); /* pages */
	MALFORMED(MA_BLOCK_MALLOC, 1, "\1\4\1\0\1");
	MALFORMED(MA_BLOCK_MALLOC, 1, "\1\3\1\1\0");                                    /* no page present */
	MALFORMED(MA_BLOCK_MALLOC, 1, "\1\4\1\0\1\1");                                  /* half a pair */
	MALFORMED(MA_BLOCK_MALLOC, 2, "\1\3\1\5\1\1\3\1\0\1");                          /* backwards */
	MALFORMED(MA_BLOCK_MALLOC, 1, "\1\13\1\0\xff\xff\xff\xff\xff\xff\xff\xff\x7f"); /* beyond any address */
	FINE(MA_BLOCK_MALLOC, 1, "\3\22\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1");          /* a heap */
	MALFORMED(MA_BLOCK_MALLOC, 1, "\3\21\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1");
	MALFORMED(MA_BLOCK_MALLOC, 1, "\3\22\1\1\1\0\1\1\1\1\1\1\1\1\1\1\1\1\1\1"); /* an empty one */
	FINE(MA_BLOCK_MALLOC, 1, "\4\5\1\1\1\1\1"); /* a span, and what a later version adds */
	MALFORMED(MA_BLOCK_MALLOC, 1, "\4\3\1\1\1");
	FINE(MA_BLOCK_MALLOC, 1, "\5\5\1\1\1\1\1");
	MALFORMED(MA_BLOCK_MALLOC, 1, "\5\4\1\1\1\1");
	FINE(MA_BLOCK_MALLOC, 1, "\6\3\1\1\1");
	MALFORMED(MA_BLOCK_MALLOC, 1, "\6\3\1\1\2"); /* more zeros than bytes */
	FINE(MA_BLOCK_MALLOC, 1, "\x7f\3abc");       /* an unknown tag is passed over */
	FINE(MA_BLOCK_RAW, 2, "\1\2\3\4\100\2\4");
	MALFORMED(MA_BLOCK_RAW, 1, "\1\2\0\4");   /* an empty buffer */
	MALFORMED(MA_BLOCK_RAW, 1, "\0\2\3\4");   /* no kind */
	MALFORMED(MA_BLOCK_RAW, 1, "\101\2\3\4"); /* a kind that can not be skipped */
	MALFORMED(MA_BLOCK_RAW, 1, "\1\1\3\4");   /* behind the end of the address space */
	MALFORMED(MA_BLOCK_RAW, 1, "\1\2\3");
	FINE(MA_BLOCK_CONTENTS, 2, "\2\10abcdefgh\0\4\10abcdefgh\0");
	MALFORMED(MA_BLOCK_CONTENTS, 1, "\2\0abcdefgh\0"); /* an array of nothing */
	MALFORMED(MA_BLOCK_CONTENTS, 1, "\2\10abcdefgh");
	MALFORMED(MA_BLOCK_CONTENTS, 1, "\2\10abcdefgh\1abcdefgh"); /* too few samples */
	MALFORMED(MA_BLOCK_CONTENTS, 1, "\2\10abcdefgh\3");
}

/* Ids out of the tables are told as 0, so that a reader may use them as an index. */
Test(hostile, ids_out_of_range)
{
	struct ma_snap *s = one_block(MA_BLOCK_THREADS, 2, "\1\1\1\1\1\1\2\1\7\7\1\1\4\7\0", 15, NULL);
	const struct ma_snap_tables *t = ma_snap_tables(s);
	cr_assert_eq(t->frames_count, 1);
	cr_assert_eq(t->frames[0].file_id, 0);
	cr_assert_eq(t->frames[0].function_id, 0);
	cr_assert_eq(t->locals_count, 1);
	cr_assert_eq(t->locals[0].name_id, 0);
	ma_snap_close(s);

	struct ma_snap_cursor *c;
	struct ma_snap_object o;
	struct ma_snap_edge e;
	s = one_block(MA_BLOCK_OBJECTS, 1, "\2\xc1\7\1\1\4\7\0", 8, NULL);
	ok(ma_snap_cursor_create(s, &c));
	cr_assert(ma_snap_next_object(c, &o));
	cr_assert_eq(o.type_id, 0);
	cr_assert(ma_snap_next_edge(c, &e));
	cr_assert_eq(e.kind, MA_EDGE_NAMED);
	cr_assert_eq(e.name_id, 0);
	ma_snap_cursor_destroy(c);
	ma_snap_close(s);
}

static void bad_objects(uint32_t records, const void *payload, size_t bytes)
{
	uint64_t o, e;
	struct ma_snap *s = one_block(MA_BLOCK_OBJECTS, records, payload, bytes, NULL);
	struct ma_error *err = snap_walk(s, &o, &e);
	cr_assert_not_null(err);
	cr_assert_eq(err->code, MA_ERR_BAD_DATA);
	cr_assert_not_null(strstr(err->message, "objects at byte 32 is malformed"), "%s", err->message);
	ma_error_free(err);
	ma_snap_close(s);
}

#define BAD_OBJECTS(records, text) bad_objects(records, text, sizeof(text) - 1)

Test(hostile, objects_that_are_not)
{
	uint64_t o, e;
	struct ma_snap *s = one_block(MA_BLOCK_OBJECTS, 2, "\2\101\1\1\1\0\2\100\1\1", 10, NULL);
	ok(snap_walk(s, &o, &e));
	cr_assert_eq(o, 2);
	cr_assert_eq(e, 1);
	ma_snap_close(s);
	BAD_OBJECTS(1, "\2\101\1\1\1\0\2\100\1\1");                         /* more records than the header says */
	BAD_OBJECTS(3, "\2\101\1\1\1\0\2\100\1\1");                         /* fewer */
	BAD_OBJECTS(1, "\2\101\1\1\1");                                     /* edges without an end */
	BAD_OBJECTS(1, "\2\101\1\1");                                       /* no edges where the flag says so */
	BAD_OBJECTS(1, "\2\101\1\1\4");                                     /* a named edge without its name */
	BAD_OBJECTS(1, "\2\100\1");                                         /* no reference count */
	BAD_OBJECTS(1, "\2\120\1\1");                                       /* no buffer size where the flag says so */
	BAD_OBJECTS(1, "\2\100\1\x80");                                     /* a number cut off */
	BAD_OBJECTS(1, "\2\100\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"); /* 65 bits */
	BAD_OBJECTS(1, "");
}

static void refused(const struct ma_buf *b, const char *part)
{
	uint64_t o, e;
	struct ma_error *err = snap_bytes_check(b->data, b->len, &o, &e);
	cr_assert_not_null(err);
	cr_assert_eq(err->code, MA_ERR_BAD_DATA, "%s", err->message);
	cr_assert_not_null(strstr(err->message, part), "%s", err->message);
	ma_error_free(err);
	snap_bytes_exercise(b->data, b->len);
}

Test(hostile, chunks_that_are_not)
{
	static uint8_t raw[MA_CHUNK_RAW_MAX], packed[MA_CHUNK_STORED_MAX];
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(8 << 20);
	struct ma_chunk_hdr h = { .kind = MA_BLOCK_NAMES, .codec = MA_CODEC_ZSTD, .blocks = 1, .records = 1 };
	struct ma_block_hdr block = { .kind = MA_BLOCK_NAMES, .bytes = 3, .records = 1 };
	memcpy(raw, &block, sizeof(block));
	memcpy(raw + sizeof(block), "\1\1a", 3);
	const uint32_t bytes = sizeof(block) + 3;
	size_t n = ZSTD_compress(packed, sizeof(packed), raw, bytes, 1);
	h.stored_bytes = (uint32_t)n;
	for (unsigned i = 0; i < 2; i++) { /* raw size too large, too small */
		b.len = 0;
		snap_put_header(&b);
		h.raw_bytes = i ? bytes - 1 : bytes + 1;
		snap_put_chunk(&b, h, packed);
		struct ma_snap *s;
		struct ma_error *err = snap_bytes_open(b.data, b.len, &s);
		cr_assert_not_null(err);
		cr_assert_not_null(strstr(err->message, "can not be unpacked"), "%s", err->message);
		ma_error_free(err);
	}
	h.raw_bytes = bytes;
	h.records = 2; /* another count than that of the block */
	b.len = 0;
	snap_put_header(&b);
	snap_put_chunk(&b, h, packed);
	refused(&b, "malformed");
	h.records = 1;
	h.kind = MA_BLOCK_TYPES; /* another kind than that of the block */
	b.len = 0;
	snap_put_header(&b);
	snap_put_chunk(&b, h, packed);
	refused(&b, "malformed");
	/* a length over the limit, with a right header checksum: no chunk at all */
	h.kind = MA_BLOCK_NAMES;
	h.raw_bytes = MA_CHUNK_RAW_MAX + 1;
	b.len = 0;
	snap_put_header(&b);
	snap_put_chunk(&b, h, packed);
	refused(&b, "cut off before its first chunk");
	/* a block that goes on past its chunk */
	block.bytes = 4;
	memcpy(raw, &block, sizeof(block));
	h = (struct ma_chunk_hdr){
		.kind = MA_BLOCK_NAMES, .blocks = 1, .records = 1, .raw_bytes = bytes, .stored_bytes = bytes
	};
	b.len = 0;
	snap_put_header(&b);
	snap_put_chunk(&b, h, raw);
	refused(&b, "malformed");
}

/* 5000 small chunks that unpack to 256 KiB each: over the limit, and found before memory is out. */
Test(hostile, bomb)
{
	static uint8_t raw[MA_CHUNK_RAW_MAX], packed[MA_CHUNK_STORED_MAX];
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(64 << 20);
	struct ma_block_hdr block = { .kind = MA_BLOCK_META, .bytes = sizeof(raw) - sizeof(block) };
	block.records = 1;
	memset(raw, 0, sizeof(raw));
	memcpy(raw, &block, sizeof(block));
	uint8_t *p = raw + sizeof(block);
	*p++ = 0x7f; /* one field that nobody knows, of four bytes less than the payload */
	const uint32_t field = block.bytes - 4;
	*p++ = (uint8_t)(field | 0x80);
	*p++ = (uint8_t)(field >> 7 | 0x80);
	*p++ = (uint8_t)(field >> 14);
	struct ma_chunk_hdr h = { .kind = MA_BLOCK_META,
				  .codec = MA_CODEC_ZSTD,
				  .blocks = 1,
				  .records = block.records,
				  .raw_bytes = sizeof(raw) };
	h.stored_bytes = (uint32_t)ZSTD_compress(packed, sizeof(packed), raw, sizeof(raw), 1);
	snap_put_header(&b);
	for (h.seq = 0; h.seq < 5000; h.seq++)
		snap_put_chunk(&b, h, packed);
	refused(&b, "take more than 512 MiB");
}

/* A record with a far id is no reason to fill a table up to it: not at all in a file that lost nothing, and to a limit
 * in one that did. */
Test(hostile, id_gap)
{
	static const struct {
		uint32_t seq; /* 1: chunk 0 is lost */
		uint64_t id;
		size_t count;
	} table[] = { { 0, 1, 1 },       { 1, 1000, 1000 },    { 1, 4194305, 4194305 },
		      { 1, 4194306, 0 }, { 1, 1000000000, 0 }, { 1, UINT64_MAX, 0 } };
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(1 << 20), names = MA_BUF_INIT(1 << 20);
		struct ma_snap *s;
		snap_put_header(&b);
		ma_buf_varint(&names, table[i].id);
		ma_buf_str(&names, "\1a");
		snap_put_block(&b, table[i].seq, MA_BLOCK_NAMES, 1, names.data, (uint32_t)names.len);
		ok(snap_bytes_open(b.data, b.len, &s));
		cr_assert_eq(ma_snap_tables(s)->names_count, table[i].count, "row %zu: %zu", i,
			     ma_snap_tables(s)->names_count);
		cr_assert_eq(strstr(ma_snap_tables(s)->missing, "malformed") != NULL, !table[i].count);
		ma_snap_close(s);
	}
	/* a gap in a whole file: the same file with an index would be complete but for this */
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(1 << 20);
	static const uint8_t payload[] = { 2, 1, 'a' };
	struct ma_index_row row = {
		.off = 32, .records = 1, .kind = MA_BLOCK_NAMES, .raw_bytes = 19, .stored_bytes = 19
	};
	snap_put_header(&b);
	snap_put_block(&b, 0, MA_BLOCK_NAMES, 1, payload, sizeof(payload));
	struct ma_file_trailer t = { .index_off = b.len, .chunks = 1 };
	struct ma_chunk_hdr h = {
		.kind = MA_CHUNK_INDEX, .seq = 1, .records = 1, .raw_bytes = sizeof(row), .stored_bytes = sizeof(row)
	};
	snap_put_chunk(&b, h, &row);
	memcpy(t.mark, MA_TRAILER_MARK, MA_MARK_BYTES);
	t.file_bytes = b.len + sizeof(t);
	t.checksum = ma_file_sum(&t, 32);
	ma_buf_add(&b, &t, sizeof(t));
	refused(&b, "a block of names in the chunk at byte 32 is malformed at its record 0");
}

static uint64_t rnd(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/* A sound file unpacked, bytes changed at random, sealed again: past the checksums, into the parsers. */
Test(hostile, random_changes_with_right_checksums)
{
	static uint8_t raw[64][MA_CHUNK_RAW_MAX];
	size_t len, offs[64];
	uint8_t *bytes = snap_bytes_sample(50, &len);
	size_t n = snap_bytes_chunks(bytes, len, offs, 64);
	struct ma_chunk_hdr hdrs[64];
	ZSTD_DCtx *d = ZSTD_createDCtx();
	for (size_t i = 0; i < n; i++) {
		memcpy(&hdrs[i], bytes + offs[i], sizeof(hdrs[i]));
		cr_assert(ma_chunk_unpack(d, &hdrs[i], bytes + offs[i] + sizeof(hdrs[i]), raw[i]));
		hdrs[i].codec = MA_CODEC_NONE;
		hdrs[i].stored_bytes = hdrs[i].raw_bytes;
	}
	ZSTD_freeDCtx(d);
	free(bytes);
	uint64_t x = 88172645463325252u;
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(1 << 20);
	for (unsigned round = 0; round < 3000; round++) {
		size_t victim = rnd(&x) % n;
		uint8_t was[4];
		size_t at[4];
		for (unsigned k = 0; k < 4; k++) {
			static const uint8_t nasty[] = { 0, 1, 0x7f, 0x80, 0xff, 0xfe, 6, 2 };
			at[k] = rnd(&x) % hdrs[victim].raw_bytes;
			was[k] = raw[victim][at[k]];
			raw[victim][at[k]] = nasty[rnd(&x) % sizeof(nasty)];
		}
		b.len = 0;
		snap_put_header(&b);
		for (size_t i = 0; i < n; i++)
			snap_put_chunk(&b, hdrs[i], raw[i]);
		snap_bytes_exercise(b.data, b.len);
		for (unsigned k = 4; k--;)
			raw[victim][at[k]] = was[k];
	}
}
