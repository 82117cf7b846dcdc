// SPDX-License-Identifier: Apache-2.0
/* Records of RAW blocks: buffers of native code, and native words that hold objects; and of CONTENTS blocks. */
#include "cleanup.h"
#include "snap.h"
#include "varint.h"

#include <string.h>

struct ma_error *ma_snap_raw_record(struct ma_snap *s, struct ma_raw_prev *prev, struct ma_cursor *c)
{
	uint64_t kind = ma_cursor_varint(c);
	uint64_t addr = prev->addr + (uint64_t)ma_unzigzag(ma_cursor_varint(c));
	uint64_t bytes = kind == MA_RAW_WORD ? 8 : ma_cursor_varint(c);
	uint64_t object = prev->object + 8 * (uint64_t)ma_unzigzag(ma_cursor_varint(c));
	if (c->bad || !kind || kind > MA_RAW_WORD || !bytes || bytes > UINT64_MAX - addr) {
		c->bad = true;
		return NULL;
	}
	*prev = (struct ma_raw_prev){ addr, object };
	if (kind == MA_RAW_WORD) {
		struct ma_snap_word *row;
		MA_TRY(ma_vec_add(&s->words, sizeof(*row), MA_ROWS_MAX, (void **)&row));
		*row = (struct ma_snap_word){ addr, object };
		return NULL;
	}
	struct ma_snap_raw *row;
	MA_TRY(ma_vec_add(&s->raws, sizeof(*row), MA_ROWS_MAX, (void **)&row));
	*row = (struct ma_snap_raw){ .addr = addr, .bytes = bytes, .owner = object, .kind = (uint32_t)kind };
	return NULL;
}

struct ma_error *ma_snap_content_record(struct ma_snap *s, struct ma_raw_prev *prev, struct ma_cursor *c)
{
	struct ma_snap_content *row,
		content = { .object = prev->object + 8 * (uint64_t)ma_unzigzag(ma_cursor_varint(c)) };
	content.bytes = ma_cursor_varint(c);
	const uint8_t *hash = ma_cursor_take(c, sizeof(content.hash));
	uint64_t kind = ma_cursor_varint(c);
	const uint8_t *samples = kind ? ma_cursor_take(c, sizeof(struct ma_snap_samples)) : NULL;
	if (c->bad || !hash || !content.bytes || kind > MA_CONTENT_INT) {
		c->bad = true;
		return NULL;
	}
	memcpy(&content.hash, hash, sizeof(content.hash));
	prev->object = content.object;
	content.kind = (uint32_t)kind;
	content.samples = (uint32_t)s->samples.count;
	if (samples) {
		struct ma_snap_samples *to;
		MA_TRY(ma_vec_add(&s->samples, sizeof(*to), MA_ROWS_MAX, (void **)&to));
		memcpy(to->words, samples, sizeof(to->words));
	}
	MA_TRY(ma_vec_add(&s->contents, sizeof(*row), MA_ROWS_MAX, (void **)&row));
	*row = content;
	return NULL;
}
