// SPDX-License-Identifier: Apache-2.0
/* emit.c - the parts of writing records that are not on the fast path. */
#include "emit.h"
#include "value.h"

/* The work list is at its limit: what the collector tracks is left unmarked, the scan of its lists comes to it.
 * While a collection is under way the lists may not hold it, so then the list grows. */
MAA_COLD void maa_push_slow(struct maa *m, uint64_t item)
{
	addr_t a = item & ~TAG_ALL;
	if (m->wtop >= m->whard) {
		maa_unmark(m, a);
		m->overflowed = 1;
		return;
	}
	if (!(item & (TAG_ATTR | TAG_CONT)) && !m->collecting && m->phase < PH_GC) {
		const struct maa_type *t = maa_type_find(m, rd64(a + OB_TYPE));
		if (t && (t->flags & MT_GC) && !(t->flags & MT_TYPEOBJ) && maa_readable(m, a - GC_HEAD) &&
		    rd64(a - GC_HEAD)) {
			maa_unmark(m, a);
			m->overflowed = 1;
			return;
		}
	}
	m->work[m->wtop] = item;
	*(volatile uint64_t *)&m->wtop = m->wtop + 1;
	if (m->wtop > m->wpeak)
		m->wpeak = m->wtop;
}

void maa_record_cont(struct maa *m, struct maa_w *w)
{
	m->stat[MA_STAT_EDGES] += w->edges; /* these are out, whatever becomes of the rest */
	m->cur_extra |= MA_OX_CONT;
	maa_record_start(m, w);
	maa_header_write(m, w, MA_OF_EDGES);
}

MAA_COLD void maa_spill(struct maa *m, struct maa_w *w)
{
	if (w->limit != m->ob.data + MA_BLOCK_PAYLOAD - MAA_ROOM)
		return; /* a thread or interpreter record has no continuation: its writer looks at the room itself */
	*w->p++ = 0;
	m->ob.p = w->p;
	maa_flush(m, &m->ob);
	maa_record_cont(m, w);
}

/* What the faulting object left half written becomes a record without edges. */
void maa_record_fault(struct maa *m)
{
	struct maa_w w;
	if (m->in_record == 3) { /* a leaf: nothing was written, and nothing about it was kept */
		m->rec = m->ob.p;
		m->rec_prev = m->ob_prev;
		m->cur_size = m->cur_buffer = m->cur_rc = m->cur_gc = m->cur_extra = 0;
		m->values.added = 0;
	}
	m->ob.p = m->rec;
	m->ob_prev = m->rec_prev;
	if (m->in_record == 2) { /* its header had been written */
		m->ob.records--;
		m->conts -= (m->cur_extra & MA_OX_CONT) != 0;
	}
	m->in_record = 0;
	m->cur_extra |= MA_OX_FAULT;
	maa_record_start(m, &w);
	maa_header_write(m, &w, 0);
	m->ob.p = w.p;
	m->in_record = 0;
	if (m->cur_type->value && !m->values.added && !(m->cur_extra & MA_OX_CONT))
		maa_value_lost(m, m->cur_type);
	if (!(m->cur_extra & MA_OX_CONT))
		m->stat[MA_STAT_BYTES] += m->cur_size;
}

/* The same as the inline ones, for where speed does not matter and size does. */
void maa_edge_plain(struct maa *m, struct maa_w *w, addr_t dst)
{
	edge_plain(m, w, dst);
}

void maa_edge_tagged(struct maa *m, struct maa_w *w, addr_t dst, uint32_t name, uint64_t tag)
{
	edge_tagged(m, w, dst, name, tag);
}

void maa_edge_named(struct maa *m, struct maa_w *w, addr_t dst, uint32_t name)
{
	maa_edge_tagged(m, w, dst, name, 0);
}

void maa_edge_borrowed(struct maa *m, struct maa_w *w, addr_t dst, uint32_t name, uint64_t tag)
{
	edge_borrowed(m, w, dst, name, tag);
}
