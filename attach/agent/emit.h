// SPDX-License-Identifier: Apache-2.0
/* emit.h - writing object records and their edges. A record is built in m->ob and goes to the ring with
 * its block. The writer's position is a local copy (struct maa_w) so that it can live in registers;
 * m->rec says where the record began, and what a fault leaves behind it is dropped. */
#ifndef MAA_EMIT_H
#define MAA_EMIT_H

#include "maa.h"

enum maa_fixed_name {
	N_NONE = 0,
#define NAME(id, text) N_##id,
#include "fixed_names.h"
#undef NAME
	N_COUNT
};

#define MAA_ROOM 256u /* kept free at the end of a block: a header, a few edges and a terminator always fit */

struct maa_w {
	uint8_t *p, *limit;
	addr_t last;
	uint64_t next, edges;
};

MAA_INLINE uint8_t *put(uint8_t *p, uint64_t v)
{
	while (v >= 0x80) {
		*p++ = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	*p++ = (uint8_t)v;
	return p;
}

MAA_INLINE uint64_t zigzag(int64_t v)
{
	return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

/* The distance of two addresses in words, its sign in bit 0. Both are multiples of 8. */
MAA_INLINE uint64_t words_apart(addr_t a, addr_t from)
{
	int64_t d = (int64_t)(a - from);
	return (uint64_t)(d >> 2 ^ d >> 63);
}

/* emit.c */
void maa_spill(struct maa *m, struct maa_w *w); /* ends the record, starts its continuation in the next block */
void maa_push_slow(struct maa *m, uint64_t item);
void maa_record_cont(struct maa *m, struct maa_w *w);
void maa_record_fault(struct maa *m);
void maa_edge_plain(struct maa *m, struct maa_w *w, addr_t dst);
void maa_edge_named(struct maa *m, struct maa_w *w, addr_t dst, uint32_t name);
void maa_edge_tagged(struct maa *m, struct maa_w *w, addr_t dst, uint32_t name, uint64_t tag);
void maa_edge_borrowed(struct maa *m, struct maa_w *w, addr_t dst, uint32_t name, uint64_t tag);

MAA_INLINE void maa_header_write(struct maa *m, struct maa_w *w, unsigned flags)
{
	uint8_t *p = w->p;
	const struct maa_type *t = m->cur_type;
	p = put(p, words_apart(m->cur, m->ob_prev));
	m->ob_prev = m->cur;
	m->cur_place = maa_place(m, m->cur);
	flags |= m->cur_place << MA_OF_PLACE_SHIFT;
	if (m->cur_gc)
		flags |= MA_OF_GC;
	m->in_record = 2;
	int cont = (m->cur_extra & MA_OX_CONT) != 0;
	if (m->cur_buffer && !cont)
		flags |= MA_OF_BUFFER;
	if (m->cur_extra)
		flags |= MA_OF_EXTRA;
	p = put(p, ((uint64_t)t->id << MA_OF_BITS) | flags);
	p = put(p, cont ? 0 : m->cur_size);
	p = put(p, cont ? 0 : m->cur_rc);
	if (flags & MA_OF_BUFFER)
		p = put(p, m->cur_buffer);
	if (flags & MA_OF_EXTRA)
		p = put(p, m->cur_extra);
	w->p = p;
	m->ob.records++;
	m->conts += (unsigned)cont;
}

MAA_INLINE void maa_record_start(struct maa *m, struct maa_w *w)
{
	uint8_t *limit = m->ob.data + MA_BLOCK_PAYLOAD - MAA_ROOM;
	if (UNLIKELY(m->ob.p > limit))
		maa_flush(m, &m->ob);
	w->p = m->rec = m->ob.p;
	w->limit = limit;
	m->rec_prev = m->ob_prev;
	w->last = m->cur;
	w->next = w->edges = 0;
	m->in_record = 1;
}

MAA_INLINE void maa_push(struct maa *m, uint64_t item)
{
	uint64_t t = m->wtop;
	if (UNLIKELY(t >= m->wcap)) {
		maa_push_slow(m, item);
		return;
	}
	m->work[t] = item;
	*(volatile uint64_t *)&m->wtop = t + 1;
}

/* A reference to dst exists: sees to it that dst is walked. 0 when dst can not be an object. */
MAA_INLINE int maa_reach(struct maa *m, addr_t dst, uint64_t tag)
{
	uint64_t arena;
	int seen = maa_mark_where(m, dst, &arena);
	if (seen == MAA_NEW)
		maa_push(m, dst | tag | arena);
	return seen != MAA_NO;
}

MAA_INLINE void edge_raw(struct maa_w *w, addr_t dst, unsigned kind)
{
	w->p = put(w->p, (words_apart(dst, w->last) << 3) + kind + 1);
	w->last = dst;
	w->edges++;
}

MAA_INLINE void edge_room(struct maa *m, struct maa_w *w)
{
	if (UNLIKELY(w->p > w->limit))
		maa_spill(m, w);
}

MAA_INLINE void edge_plain(struct maa *m, struct maa_w *w, addr_t dst)
{
	if (!dst || !maa_reach(m, dst, 0))
		return;
	edge_room(m, w);
	edge_raw(w, dst, MA_EDGE_PLAIN);
}

MAA_INLINE void edge_item(struct maa *m, struct maa_w *w, addr_t dst, uint64_t i)
{
	if (!dst || !maa_reach(m, dst, 0))
		return;
	edge_room(m, w);
	if (LIKELY(w->next == i)) {
		edge_raw(w, dst, MA_EDGE_NEXT);
	} else {
		edge_raw(w, dst, MA_EDGE_AT);
		w->p = put(w->p, i);
	}
	w->next = i + 1;
}

MAA_INLINE void edge_tagged(struct maa *m, struct maa_w *w, addr_t dst, uint32_t name, uint64_t tag)
{
	if (!dst || !maa_reach(m, dst, tag))
		return;
	edge_room(m, w);
	edge_raw(w, dst, name ? MA_EDGE_NAMED : MA_EDGE_PLAIN);
	if (name)
		w->p = put(w->p, name);
}

MAA_INLINE void edge_named(struct maa *m, struct maa_w *w, addr_t dst, uint32_t name)
{
	edge_tagged(m, w, dst, name, 0);
}

/* A reference that is not in dst's count. */
MAA_INLINE void edge_borrowed(struct maa *m, struct maa_w *w, addr_t dst, uint32_t name, uint64_t tag)
{
	if (!dst || !maa_reach(m, dst, tag))
		return;
	edge_room(m, w);
	edge_raw(w, dst, MA_EDGE_BORROWED);
	w->p = put(w->p, name);
}

#endif
