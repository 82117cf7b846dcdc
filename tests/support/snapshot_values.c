// SPDX-License-Identifier: Apache-2.0
#include "snapshot_builder.h"

#include "buffer.h"
#include "varint.h"

#include <string.h>

#define FIRST 0x7f0000010000u
#define FLAGS(kind) (MA_TF_VALUES | (kind) << MA_TF_VALUE_KIND_SHIFT)

static void text(struct ma_buf *b, const char *p, size_t bytes, bool more)
{
	ma_buf_varint(b, bytes << 1 | more);
	ma_buf_add(b, p, bytes);
}
#define TEXT(b, literal, more) text(b, literal, sizeof(literal) - 1, more)

static void part(struct snap_builder *b, uint64_t number, int64_t length0, int64_t length1, const char *hashes,
		 const struct ma_buf *texts, uint32_t records)
{
	_cleanup_buf_ struct ma_buf p = MA_BUF_INIT(MA_BLOCK_PAYLOAD), lengths = MA_BUF_INIT(64);
	ma_buf_varint(&lengths, ma_zigzag(length0));
	ma_buf_varint(&lengths, ma_zigzag(length1));
	ma_buf_varint(&p, FIRST / 8);
	ma_buf_varint(&p, number);
	ma_buf_varint(&p, strlen(hashes) / MA_VALUE_HASH_BYTES);
	ma_buf_varint(&p, lengths.len);
	ma_buf_add(&p, lengths.data, lengths.len);
	ma_buf_str(&p, hashes);
	ma_buf_add(&p, texts->data, texts->len);
	sb_raw_block(b, MA_BLOCK_VALUES, records, p.data, (uint32_t)p.len);
}

void sb_values_sample(const char *path, enum ma_values mode)
{
	const bool texts = mode >= MA_VALUES_PREFIX, all = mode == MA_VALUES_ALL;
	struct snap_builder *b = sb_create(path);
	sb_meta_default(b);
	sb_meta_num(b, MA_META_VALUES, mode);
	if (mode == MA_VALUES_PREFIX)
		sb_meta_num(b, MA_META_VALUES_LIMIT, 20);
	sb_meta_num(b, MA_META_VALUES_STR_BASE, 49);
	sb_meta_num(b, MA_META_VALUES_KEY_ID, 0x1122334455667788);
	const uint32_t types[] = {
		sb_type(b, "", "dict", 0x1000, 0, 48, 0),
		sb_type(b, "", "str", 0x2000, FLAGS(MA_VALUE_STR), 80, 0),
		sb_type(b, "", "bytes", 0x3000, FLAGS(MA_VALUE_BYTES), 33, 1),
		sb_type(b, "", "int", 0x4000, texts ? FLAGS(MA_VALUE_INT) : 0, 24, 4),
		sb_type(b, "", "float", 0x5000, texts ? FLAGS(MA_VALUE_FLOAT) : 0, 24, 0),
	};
	static const struct {
		unsigned type;
		uint64_t size;
		uint32_t extra;
	} objects[] = {
		{ 0, 232, 0 },          { 1, 49 + 3, 0 }, /* "key" */
		{ 1, 73 + 26 + 1, 0 },  /* not ASCII: its size says 25 characters more than it has. In two parts, and
					   cut but with MA_VALUES_ALL */
		{ 2, 33 + 2, 0 },       /* 00 ff */
		{ 3, 28, 0 },           /* -2 */
		{ 4, 24, 0 },           /* 0.5 */
		{ 1, 49, MA_OX_FAULT }, /* could not be read */
		{ 3, 36, 0 },           /* 2^64 */
	};
	_cleanup_buf_ struct ma_buf first = MA_BUF_INIT(1024), second = MA_BUF_INIT(1024);
	TEXT(&first, "key", false);
	TEXT(&first, "caf\xc3\xa9 au lait", true);
	if (all)
		TEXT(&second, " sans sucre s.", false);
	else
		TEXT(&second, " sans su", false);
	TEXT(&second, "\0\xff", false);
	TEXT(&second, "\xfe", false);
	TEXT(&second, "\0\0\0\0\0\0\xe0\x3f", false);
	TEXT(&second, "", false);
	TEXT(&second, "\0\0\0\0\0\0\0\0\1", false);
	if (!texts)
		first.len = second.len = 0;
	sb_flush(b);
	part(b, 0, 0, -25, "\xa4\x1f\x01\x02\x03\xfb\x7f\xf7\x90\x68", &first, 2);
	part(b, 1, 0, 0, "\x4e\x29\x20\xb1\xa4zzzzz", &second, texts ? 6 : 2);
	for (unsigned i = 0; i < sizeof(objects) / sizeof(objects[0]); i++) {
		sb_object(b, &(struct sb_object){ .addr = FIRST + 128 * i,
						  .type = types[objects[i].type],
						  .size = objects[i].size,
						  .refcnt = 1,
						  .extra = objects[i].extra });
		for (unsigned k = 1; !i && k + 1 < 6; k += 2) {
			sb_edge(b, MA_EDGE_KEY, FIRST + 128 * k, 0);
			sb_edge(b, MA_EDGE_VALUE, FIRST + 128 * (k + 1), 0);
		}
	}
	sb_stat(b, MA_STAT_VALUES, texts ? 7 : 4);
	sb_finish(b);
}
