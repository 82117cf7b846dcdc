// SPDX-License-Identifier: Apache-2.0
/* sweep.c - through all pools of all arenas: counts the blocks, and finds the objects that nothing reached.
 *
 * A used block is not an object: pymalloc serves tables, too, and free lists keep dead objects. One counts
 * only if its type is one that was reached from elsewhere, its reference count is sane, its size by type
 * rounds to the pool's size class, and no known object owns the block (design.md section 5). */
#include "visit.h"

/* struct pool_header, 3.8 to 3.13: ref.count 0, freeblock 8, nextpool 16, prevpool 24, arenaindex 32, szidx 36,
 * nextoffset 40, maxnextoffset 44; blocks begin at 48. */
#define POOL_HEADER 48u

static int candidate(struct maa *m, addr_t b, uint64_t bs)
{
	if (UNLIKELY(m->hook_head)) {
		bs = maa_hooks_block(b);
		b += MAA_HOOK_HEAD;
	}
	for (unsigned off = 0; off <= 32 && off + 16 <= bs; off += 16) {
		addr_t a = b + off;
		struct maa_type *t = maa_type_find(m, rd64(a + OB_TYPE));
		if (!t || t->presize != off || (t->flags & MT_TYPEOBJ))
			continue;
		if (!(m->minor >= 14 ? rdu32(a) : rd64(a)) && (t->flags & MT_GC) && !rd64(a - GC_HEAD) &&
		    (uint64_t)t->basicsize + off <= bs) {
			/* tuples, lists, dicts, frames, ... that the interpreter keeps for the next one */
			t->dead++;
			t->dead_bytes += bs;
			return 1;
		}
		if (m->minor >= 12 ? !rdu32(a) || (rd64(a) >> 32 & m->refcnt_high)
				   : (int64_t)rd64(a) <= 0 || rd64(a) > 1ull << 32)
			continue;
		/* A count that is an address: the state of a module, say, whose first word points into an image that is
		 * not PIE and whose second one to a type. */
		if (rd64(a) > 0xffff && maa_readable(m, rd64(a)))
			continue;
		/* the tp_basicsize of str is that of its largest form */
		if (t->size_kind != K_STR && (uint64_t)t->basicsize + off > bs)
			continue;
		if (t->flags & MT_GC) {
			/* Not tracked is exactly 0 outside a collection: other small words are numbers of whatever has
			 * the block. Instances of classes, the ones with something before their header, are tracked. */
			addr_t raw = rd64(a - GC_HEAD), next = raw & ~3ull;
			if (!next && ((raw && !m->collecting) || off > GC_HEAD))
				continue;
			if (next && !maa_readable(m, next)) /* a list's head need be aligned to 4 only */
				continue;
			if (next && !m->collecting && (rd64(next + 8) & ~3ull) != a - GC_HEAD)
				continue;
		}
		uint64_t buffer, size = maa_size(m, a, t, &buffer) - buffer + maa_inline_bytes(m, a, t);
		/* An object that was made shorter keeps its block while it fills more than three quarters of it
		 * (obmalloc.c, pymalloc_realloc): strings from % and join, for instance. */
		if (size > bs || (size + 16 <= bs && 4 * size <= 3 * bs))
			continue;
		if (maa_mark(m, a) != 0)
			continue;
		m->unreached = MA_OX_UNREACHED;
		maa_walk(m, a);
		m->unreached = 0;
		maa_drain(m);
		return 1;
	}
	return 0;
}

/* How many mark bits of the pool are set. */
static uint64_t marks_in(const uint8_t *bits, addr_t pool, uint64_t bytes, uint32_t fine)
{
	const uint64_t *w = (const uint64_t *)(bits + ((pool & (CHUNK_BYTES - 1)) >> (7 - fine)));
	uint64_t n = 0;
	for (uint64_t i = 0; i < bytes >> (10 - fine); i++) {
		/* Warren, Hacker's Delight 5-1; no popcnt instruction, which not every x86-64 has */
		uint64_t x = w[i];
		x -= x >> 1 & 0x5555555555555555u;
		x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
		x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu;
		n += (x * 0x0101010101010101u) >> 56;
	}
	return n;
}

/* Reads the pool's header and its chain of free blocks into sw_pool_bits, and adds it to the totals. Returns the
 * number of blocks that were ever used, 0 when there is nothing to look at. */
static uint64_t pool_open(struct maa *m, addr_t pool, uint64_t *bs_ret)
{
	uint32_t used = rdu32(pool), szidx = rdu32(pool + 36);
	uint64_t bytes = m->L->pool_bytes;
	if (!used || szidx >= 32)
		return 0;
	uint64_t bs = (szidx + 1) * 16, all = (bytes - POOL_HEADER) / bs;
	uint32_t next_offset = rdu32(pool + 40);
	uint64_t carved = next_offset >= POOL_HEADER && next_offset <= bytes ? (next_offset - POOL_HEADER) / bs : all;
	if (carved > all)
		carved = all;
	*bs_ret = bs;
	m->classes[szidx + 1].pools++;
	m->classes[szidx + 1].used += used <= all ? used : all;
	m->classes[szidx + 1].free += used <= all ? all - used : 0;
	m->classes[szidx + 1].waste += bytes - all * bs;
	if (used <= all) {
		struct maa_arena *a = &m->arena_list[m->ph_i];
		a->used_pools++;
		a->used_bytes += (uint32_t)(used * bs);
		a->free_bytes += (uint32_t)((all - used) * bs);
	}
	/* As many marks as used blocks: each holds something known. Most pools are like that. */
	uint64_t c = *maa_chunk(m, pool);
	if (maa_chunk_marks(c) && marks_in(maa_chunk_marks(c), pool, bytes, (c & CH_FINE) != 0) == used)
		return 0;
	memset(m->sw_pool_bits, 0, sizeof(m->sw_pool_bits));
	addr_t f = rd64(pool + 8);
	uint64_t free = 0;
	while (f > pool && f < pool + bytes && free < all) {
		uint64_t i = (f - pool - POOL_HEADER) / bs;
		if (i >= all || (m->sw_pool_bits[i >> 6] >> (i & 63) & 1))
			break;
		m->sw_pool_bits[i >> 6] |= 1ull << (i & 63);
		free++;
		f = rd64(f);
	}
	return carved;
}

static void pool_sweep(struct maa *m, addr_t pool)
{
	uint64_t bs, n = 0;
	if (m->ph_k == 0) {
		m->ph_p = pool_open(m, pool, &bs);
		m->ph_k = 1;
	}
	n = m->ph_p;
	if (!n)
		return;
	bs = (rdu32(pool + 36) + 1) * 16;
	if (bs > 512)
		return;
	/* Nothing in this MiB may have been reached: then all of it is held by native code, for instance in an
	 * object array of numpy, which has no tp_traverse. */
	uint64_t *ch = maa_chunk(m, pool);
	uint32_t fine = (*ch & CH_FINE) != 0;
	const uint8_t *bits = maa_chunk_marks(*ch);
	if (!bits)
		bits = maa_chunk_unit(m, ch);
	if (!bits)
		return; /* scratch memory is used up */
	/* the places in a block where an object may begin: behind what is before it */
	uint64_t places = 3 + m->hook_head / 16;
	if (places > bs / 16)
		places = bs / 16;
	uint32_t mask = (1u << places) - 1;
	if (fine)
		mask = 0x55u & ((1u << 2 * places) - 1);
	addr_t b = pool + POOL_HEADER + (m->ph_k - 1) * bs;
	for (; m->ph_k - 1 < n; b += bs) {
		uint64_t i = m->ph_k++ - 1;
		if (m->sw_pool_bits[i >> 6] >> (i & 63) & 1)
			continue;
		uint64_t g = (b & (CHUNK_BYTES - 1)) >> (4 - fine);
		uint32_t x = (uint32_t)(bits[g >> 3] | bits[(g >> 3) + 1] << 8) >> (g & 7);
		if (x & mask)
			continue;
		if (!candidate(m, b, bs))
			m->stat[MA_STAT_SKIPPED]++;
	}
}

/* Free lists of the interpreter, by the type of what is on them. */
static void dead_write(struct maa *m)
{
	struct maa_buf *b = &m->ar;
	while (++m->ph_j < m->types_count) {
		const struct maa_type *t = &m->types[m->ph_j];
		if (!t->dead)
			continue;
		addr_t name = rd64(t->addr + (uint64_t)m->L->type_name);
		unsigned len = 0;
		while (len < 200 && name && maa_readable(m, name) && rd8(name + len))
			len++;
		if (b->p > b->data + MA_BLOCK_PAYLOAD - 2 * MAA_ROOM)
			maa_flush(m, b);
		uint8_t *p = put(b->p, MA_ARN_FREELIST);
		p = put(p, len);
		memcpy(p, (const void *)name, len);
		p = put(p + len, t->dead);
		b->p = put(p, t->dead_bytes);
		b->records++;
	}
}

/* ph_i: arena, ph_j: pool in it, ph_k: 1 + block in it; so that a fault costs one block. */
void maa_sweep(struct maa *m)
{
	uint64_t bytes = m->L->pool_bytes;
	maa_drain(m);
	for (; m->ph_i < m->arena_list_count; m->ph_i++, m->ph_j = 0) {
		const struct maa_arena *a = &m->arena_list[m->ph_i];
		addr_t first = (a->start + bytes - 1) & ~(bytes - 1);
		for (;; m->ph_j++, m->ph_k = 0) {
			addr_t pool = first + m->ph_j * bytes;
			if (pool + bytes > a->next_pool || pool + bytes > a->start + m->L->arena_bytes)
				break;
			pool_sweep(m, pool);
		}
		m->ph_k = 0;
		maa_beat(m);
	}
	dead_write(m); /* ph_j: the type that was written last */
}
