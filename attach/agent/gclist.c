// SPDX-License-Identifier: Apache-2.0
/* gclist.c - the lists of the garbage collector: what it tracks and no walk from the roots has met.
 *
 * While a collection is under way (a finaliser sleeps in it) the links of the generation that is
 * collected carry flags and counts instead of back links, and its lists may be open: so a list is
 * followed as long as it makes sense, with Brent's cycle check, and never trusted to end. */
#include "visit.h"

#define AHEAD 8u
#define NEXT_FLAGS 3ull /* NEXT_MASK_UNREACHABLE is bit 0 */

/* Is the mark of the object behind this header set? Its chunk is mostly that of the header. */
MAA_INLINE int marked_behind(struct maa *m, addr_t gc, uint64_t chunk)
{
	addr_t a = gc + GC_HEAD;
	if (UNLIKELY(!(chunk & CH_SIMPLE)) || UNLIKELY(!(a & (CHUNK_BYTES - 1))))
		return maa_marked(m, a);
	return ((const uint64_t *)(chunk & ~CH_FLAGS))[a >> 10 & (CHUNK_BYTES / 1024 - 1)] >> (a >> 4 & 63) & 1;
}

static void list_walk(struct maa *m, addr_t head)
{
	addr_t gc = m->ph_p, before = 0,
	       turtle = m->ph_turtle; /* before: 0 = not known, at the start or after a fault */
	uint64_t k = m->ph_k, check = !m->collecting, turn = 1;
	for (uint64_t end = 2 * k + 2; turn < end;)
		turn *= 2; /* the next power of two */
	while (gc != head) {
		uint64_t chunk = *maa_chunk(m, gc);
		if (UNLIKELY((~chunk & CH_SIMPLE) | (gc & 7)) && ((gc & 7) || !maa_readable(m, gc)))
			break;
		m->ph_p = head; /* a link that faults ends the list */
		addr_t next = rd64(gc) & ~NEXT_FLAGS;
		if (UNLIKELY(next == turtle))
			break;
		if (UNLIKELY(++k == turn)) {
			if (k > m->ph_limit)
				break;
			m->ph_turtle = turtle = next;
			turn *= 2;
		}
		/* Objects were mostly made in the order of the list, often in turns of two: where the list will be a
		 * few steps on is a guess that costs nothing when it is wrong. */
		__builtin_prefetch((const void *)(next + AHEAD * (next - before)));
		/* The back link of this one, not of the next, which is only on its way into the cache. */
		if (UNLIKELY((rd64(gc + 8) & ~NEXT_FLAGS) != before) && check && before)
			break; /* the list is damaged */
		before = gc;
		m->ph_p = next; /* a fault below costs this object only */
		addr_t a = gc + GC_HEAD;
		gc = next;
		if (LIKELY(marked_behind(m, before, chunk))) {
			if (UNLIKELY(!(k & 65535))) {
				m->ph_k = k;
				maa_beat(m);
			}
			continue;
		}
		if (maa_mark(m, a) != MAA_NEW)
			continue;
		m->ph_k = k;
		m->found_by_list = 1;
		m->unreached = m->overflowed ? 0 : MA_OX_UNREACHED;
		maa_walk(m, a);
		maa_drain(m);
	}
	m->ph_k = k;
}

/* List number i of an interpreter: the generations and the permanent one. */
static addr_t list_head(struct maa *m, addr_t in, uint64_t i)
{
	const struct ma_layout *L = m->L;
	addr_t base = L->runtime_gc_generations >= 0 ? m->args->runtime + (uint64_t)L->runtime_gc_generations
						     : in + (uint64_t)L->interp_gc_generations;
	if (i < 3)
		return base + i * 24; /* struct gc_generation: PyGC_Head, threshold, count */
	return L->runtime_gc_permanent >= 0 ? m->args->runtime + (uint64_t)L->runtime_gc_permanent
					    : in + (uint64_t)L->interp_gc_permanent;
}

void maa_gc_lists(struct maa *m)
{
	const struct ma_layout *L = m->L;
	maa_drain(m);
	if (L->interp_gc_generations < 0 && L->runtime_gc_generations < 0)
		return;
	/* ph_i: interpreter, ph_j: 2 * list (+ 1 while inside it), ph_p: where in it */
	for (;;) {
		addr_t in = rd64(m->args->runtime + (uint64_t)L->runtime_interp_head);
		for (uint64_t k = 0; k < m->ph_i && in; k++)
			in = maa_readable(m, in) ? rd64(in + (uint64_t)L->interp_next) : 0;
		if (!in || !maa_readable(m, in) || m->ph_i > 1024)
			return;
		while (m->ph_j < 8) {
			addr_t head = list_head(m, in, m->ph_j >> 1);
			if (!(m->ph_j & 1)) {
				m->ph_j++;
				m->ph_k = 0;
				m->ph_turtle = 0;
				m->ph_p = rd64(head);
			}
			list_walk(m, head);
			m->ph_j++;
		}
		m->ph_j = 0;
		m->ph_i++;
		if (L->runtime_gc_generations >= 0)
			return; /* 3.8 has one collector for all */
	}
}
