// SPDX-License-Identifier: Apache-2.0
/* raw.c - memory outside Python's own structures: buffers by address range, words that hold objects, hashes of data. */
#include "emit.h"

static uint8_t *room(struct maa *m)
{
	if (m->rw.p > m->rw.data + MA_BLOCK_PAYLOAD - MAA_ROOM)
		maa_flush(m, &m->rw);
	if (m->rw.p == m->rw.data)
		m->rw_addr = m->rw_owner = 0;
	return m->rw.p;
}

void maa_raw(struct maa *m, unsigned kind, addr_t a, uint64_t bytes, addr_t owner)
{
	uint8_t *p = room(m);
	p = put(p, kind);
	p = put(p, zigzag((int64_t)(a - m->rw_addr)));
	p = put(p, bytes);
	p = put(p, zigzag((int64_t)(owner - m->rw_owner) >> 3));
	m->rw_addr = a;
	m->rw_owner = owner;
	m->rw.p = p;
	m->rw.records++;
	m->stat[MA_STAT_RAW]++;
}

void maa_raw_word(struct maa *m, addr_t word, addr_t object)
{
	uint8_t *p = room(m);
	p = put(p, MA_RAW_WORD);
	p = put(p, zigzag((int64_t)(word - m->rw_addr)));
	p = put(p, zigzag((int64_t)(object - m->rw_owner) >> 3));
	m->rw_addr = word;
	m->rw_owner = object;
	m->rw.p = p;
	m->rw.records++;
	m->stat[MA_STAT_RAW_WORDS]++;
}

void maa_content(struct maa *m, addr_t object, uint64_t bytes, uint64_t hash, unsigned kind, addr_t data)
{
	struct maa_buf *b = &m->co;
	if (b->p > b->data + MA_BLOCK_PAYLOAD - MAA_ROOM)
		maa_flush(m, b);
	if (b->p == b->data)
		m->co_object = 0;
	uint8_t *p = put(b->p, zigzag((int64_t)(object - m->co_object) >> 3));
	p = put(p, bytes);
	memcpy(p, &hash, sizeof(hash));
	p = put(p + sizeof(hash), kind);
	for (uint64_t i = 0; kind && i < MA_CONTENT_SAMPLES; i++, p += 8) {
		uint64_t item = rd64(data + 8 * (i * (bytes / 8) / MA_CONTENT_SAMPLES));
		memcpy(p, &item, sizeof(item));
	}
	b->p = p;
	b->records++;
	m->co_object = object;
	m->stat[MA_STAT_CONTENTS]++;
}
