// SPDX-License-Identifier: Apache-2.0
/* fast.c - the work list, and the objects that most heaps mostly consist of: strings, numbers, short tuples and
 * lists, instances of classes.
 *
 * Such an object is written in one go when nothing about it is special. What could be told from its type alone was
 * put into struct maa_type by maa_fast_prepare(); what could not be, or looks odd in the object itself, is left to
 * walk.c, which knows every case. Both write the same record. Until the record is complete nothing is committed:
 * m->in_record is 3 then, and a fault leaves no trace but a record that says so. */
#include "value.h"
#include "visit.h"

#define ITEMS_MAX 16u /* so many edges fit into MAA_ROOM whatever their size */
#define RC_MAX 0x3fffu
#define AHEAD 3
#define STR_ASCII 0x60u /* the bits of str.state that say compact and ascii, 3.8 to 3.15 */

/* What a record of this type begins with, behind the address: the varint of type and flags, then, when all its
 * instances have the same size, that of the size. */
static void head_set(struct maa_type *t, unsigned flags, uint64_t size)
{
	uint8_t bytes[16] = { 0 }, *p = put(bytes, ((uint64_t)t->id << MA_OF_BITS) | flags);
	p = size ? put(p, size) : p;
	if (t->id < 2 || p > bytes + 8)
		return; /* of type 1 the place would not be in the first byte; nobody has it */
	for (unsigned i = 0; i < 8; i++)
		t->head |= (uint64_t)bytes[i] << 8 * i;
	t->head_bytes = (uint8_t)(p - bytes);
}

/* The names of the attributes that instances keep without a dict, in the order of the type's shared keys. */
static int attributes_find(struct maa *m, struct maa_type *t)
{
	struct maa_keys k;
	if (!maa_keys_open(m, t->keys, &k) || k.count > ITEMS_MAX || m->attrs_count + k.count > ATTRS_MAX)
		return 0;
	uint32_t *names = m->attrs + m->attrs_count;
	for (uint64_t i = 0; i < k.count; i++) {
		names[i] = maa_name(m, rd64(k.entries + k.key + i * k.stride));
		if (!names[i])
			return 0;
	}
	t->attrs = m->attrs_count;
	t->attrs_count = (uint8_t)k.count;
	m->attrs_count += (uint32_t)k.count;
	return 1;
}

/* Called when all else is known about the type. Reads of the target may fault: the type is sound without it. */
void maa_fast_prepare(struct maa *m, struct maa_type *t)
{
	unsigned gc = t->flags & MT_GC ? MA_OF_GC : 0;
	if (t->flags & (MT_TYPEOBJ | MT_ASK_GC) || t->kind == K_BAD)
		return;
	if (t->value && (m->values.text || (t->value != MA_VALUE_STR + 1 && t->value != MA_VALUE_BYTES + 1)))
		return; /* more than a hash is written of it */
	unsigned fast = F_NONE, flags = gc;
	uint64_t size = 0;
	if (!gc && !(t->flags & MT_CLASS) && t->kind <= K_BYTEARRAY && t->kind != K_TRAVERSE) {
		if (t->kind == K_STR && t->size_kind == K_STR)
			fast = F_STR;
		else if (t->kind == K_LONG && t->size_kind == K_LONG)
			fast = F_LONG;
		else if (t->kind == K_BYTES && t->size_kind == K_LEAF && t->itemsize == 1)
			fast = F_BYTES;
		if (t->kind == K_LEAF && t->size_kind == K_LEAF && !t->itemsize && !t->presize) {
			fast = F_FIXED;
			size = (uint64_t)t->basicsize;
		}
	} else if (gc && !(t->flags & MT_CLASS) && t->kind == K_TUPLE && t->size_kind == K_LEAF && t->itemsize == 8) {
		fast = F_TUPLE;
		flags |= MA_OF_EDGES;
	} else if (gc && !(t->flags & MT_CLASS) && t->kind == K_LIST && t->size_kind == K_LIST) {
		fast = F_LIST;
		flags |= MA_OF_EDGES;
	} else if (gc && (t->flags & MT_CLASS) && (t->flags & MT_MANAGED) && !t->base_managed && t->kind == K_LEAF &&
		   t->size_kind == K_LEAF && !t->itemsize && !t->slots_count &&
		   (m->minor <= 12 || (t->flags & MT_INLINE)) && attributes_find(m, t)) {
		fast = m->minor == 11 ? F_VALUES_11 : m->minor == 12 ? F_VALUES_12 : F_VALUES_13;
		flags |= MA_OF_EDGES;
		size = (uint64_t)t->basicsize + t->presize;
	}
	if (!fast)
		return;
	head_set(t, flags, size);
	if (t->head_bytes) {
		t->fixed_size = (uint32_t)size;
		t->fast = (uint8_t)fast;
	}
}

/* What is being written, and the top of the work list: in registers, with a copy in memory at every moment. */
struct rec {
	uint8_t *p;
	addr_t last;
	uint64_t edges, top;
};

MAA_INLINE uint8_t *head_put(uint8_t *p, const struct maa_type *t, uint64_t flags)
{
	uint64_t head = t->head | flags;
	__builtin_memcpy(p, &head, 8);
	return p + t->head_bytes;
}

MAA_INLINE void edge(struct rec *r, addr_t dst, unsigned kind)
{
	r->p = put(r->p, (words_apart(dst, r->last) << 3) + kind + 1);
	r->last = dst;
	r->edges++;
}

/* maa_reach() with its list in registers. The object is mostly next: its memory is asked for at once. */
MAA_INLINE int reach(struct maa *m, struct rec *r, addr_t dst)
{
	uint64_t arena;
	int seen = maa_mark_where(m, dst, &arena);
	if (seen != MAA_NEW)
		return seen == MAA_SEEN;
	if (UNLIKELY(r->top >= m->wcap)) {
		maa_push_slow(m, dst | arena);
		r->top = m->wtop;
		return 1;
	}
	m->work[r->top++] = dst | arena;
	*(volatile uint64_t *)&m->wtop = r->top;
	return 1;
}

/* The common end of all: the record counts from here on. */
MAA_INLINE void commit(struct maa *m, uint8_t *p, addr_t a, uint64_t size, uint64_t own, uint64_t place)
{
	m->ob.p = p;
	m->ob_prev = a;
	m->in_record = 0;
	m->ob.records++;
	m->stat[MA_STAT_BYTES] += size;
	uint64_t class = (own + m->block_round) >> 4;
	if (LIKELY(place == MA_PLACE_ARENA && class <= 32))
		m->class_objects[class]++;
}

MAA_INLINE int items(struct maa *m, struct rec *r, addr_t item, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		addr_t dst = rd64(item + 8 * i);
		if (UNLIKELY(!dst))
			return 0;
		if (UNLIKELY(!reach(m, r, dst)))
			return 0;
		edge(r, dst, MA_EDGE_NEXT);
	}
	return 1;
}

MAA_INLINE int attributes(struct maa *m, struct rec *r, const struct maa_type *t, addr_t values, uint64_t max)
{
	const uint32_t *names = m->attrs + t->attrs;
	uint64_t n = t->attrs_count < max ? t->attrs_count : max;
	for (uint64_t i = 0; i < n; i++) {
		addr_t dst = rd64(values + 8 * i);
		if (!dst)
			continue;
		if (UNLIKELY(!reach(m, r, dst)))
			return 0;
		edge(r, dst, MA_EDGE_NAMED);
		r->p = put(r->p, names[i]);
	}
	return 1;
}

/* An instance's attributes, where this version keeps them (see instance.c). 0: it has a dict, or something is odd. */
MAA_INLINE int instance(struct maa *m, struct rec *r, addr_t a, const struct maa_type *t, uint64_t *more)
{
	addr_t values, dict = rd64(a - 24);
	switch (t->fast) {
	case F_VALUES_11:
		values = rd64(a - 32);
		if (!values || dict || UNLIKELY(maa_mark(m, (values - rd8(values - 1)) & ~15ull) == 2))
			return 0;
		return attributes(m, r, t, values, ITEMS_MAX);
	case F_VALUES_12:
		values = dict + 1;
		if (!(dict & 1) || UNLIKELY(maa_mark(m, (values - rd8(values - 1)) & ~15ull) == 2))
			return 0;
		return attributes(m, r, t, values, ITEMS_MAX);
	default:
		values = a + (uint64_t)t->basicsize;
		if (dict || !rd8(values + (uint64_t)m->L->values_valid))
			return 0;
		*more = maa_inline_bytes(m, a, t);
		return attributes(m, r, t, values + (uint64_t)m->L->values_values,
				  rd8(values + (uint64_t)m->L->values_capacity));
	}
}

/* 0: the object was not written; walk.c has to do it. What was marked and put on the list until then stays so. */
MAA_INLINE int fast(struct maa *m, struct rec *r, addr_t a, uint64_t arena)
{
	const struct ma_layout *L = m->L;
	uint64_t size, n, more = 0, buffer = 0;
	addr_t ty = rd64(a + OB_TYPE), item = 0;
	uint64_t i = maa_hash(ty) >> (64 - TYPE_CACHE_BITS);
	if (UNLIKELY(m->type_cache[i].addr != ty) || UNLIKELY(!ty))
		return 0;
	struct maa_type *t = m->type_cache[i].type;
	unsigned how = t->fast;
	uint64_t rc = rd64(a) & m->refcnt_mask;
	uint8_t *const start = m->ob.p;
	if (!how || UNLIKELY(rc - 1 >= RC_MAX) || UNLIKELY(start > m->ob_limit))
		return 0;
	m->cur = a;
	m->cur_type = t;
	m->in_record = 3;
	uint64_t place = LIKELY(arena) ? MA_PLACE_ARENA : maa_place(m, a);
	r->p = put(start, words_apart(a, m->ob_prev));
	r->last = a;
	r->edges = 0;
	switch (how) {
	case F_STR:
		n = rd64(a + (uint64_t)L->str_length);
		size = (uint64_t)L->sizeof_str_ascii + n + 1;
		item = a + (uint64_t)L->sizeof_str_ascii;
		if (UNLIKELY((rdu32(a + (uint64_t)L->str_state) & STR_ASCII) != STR_ASCII || n > MA_VALUE_HASH_MAX ||
			     (L->str_wstr >= 0 && rd64(a + (uint64_t)L->str_wstr))))
			return 0;
		break;
	case F_BYTES:
		n = rd64(a + OB_SIZE);
		size = (uint64_t)t->basicsize + n;
		item = a + (uint64_t)L->bytes_sval;
		if (UNLIKELY(n > MA_VALUE_HASH_MAX))
			return 0;
		break;
	case F_LONG:
		if (L->long_tag >= 0) {
			n = rd64(a + (uint64_t)L->long_tag) >> 3;
			size = (uint64_t)t->basicsize + 4 * (n ? n : 1);
		} else {
			n = rd64(a + OB_SIZE);
			n = (int64_t)n < 0 ? -n : n;
			size = (uint64_t)L->long_digit_311 + 4 * n;
		}
		if (UNLIKELY(n - 1 > 1ull << 30))
			return 0; /* zero is a matter of the version */
		break;
	case F_TUPLE:
		n = rd64(a + OB_SIZE);
		if (UNLIKELY(n > ITEMS_MAX))
			return 0;
		size = (uint64_t)t->basicsize + n * 8 + t->presize;
		r->p = put(put(head_put(r->p, t, place << MA_OF_PLACE_SHIFT), size), rc);
		if (UNLIKELY(!items(m, r, a + (uint64_t)L->tuple_item, n)))
			return 0;
		goto edges;
	case F_LIST:
		buffer = rd64(a + (uint64_t)L->list_allocated);
		item = rd64(a + (uint64_t)L->list_item);
		n = rd64(a + OB_SIZE);
		if (UNLIKELY(n > ITEMS_MAX || n > buffer || buffer - 1 >= 64 || maa_mark(m, item & ~15ull) == 2))
			return 0;
		buffer *= 8;
		size = (uint64_t)t->basicsize + buffer + t->presize;
		r->p = head_put(r->p, t, place << MA_OF_PLACE_SHIFT | MA_OF_BUFFER);
		r->p = put(put(put(r->p, size), rc), buffer);
		if (UNLIKELY(!items(m, r, item, n)))
			return 0;
		goto edges;
	case F_FIXED:
		size = t->fixed_size;
		r->p = put(head_put(r->p, t, place << MA_OF_PLACE_SHIFT), rc);
		commit(m, r->p, a, size, size, place);
		return 1;
	default:
		size = t->fixed_size;
		r->p = put(head_put(r->p, t, place << MA_OF_PLACE_SHIFT), rc);
		if (!instance(m, r, a, t, &more))
			return 0;
		goto edges;
	}
	r->p = put(put(head_put(r->p, t, place << MA_OF_PLACE_SHIFT), size), rc);
	if (t->value) /* reads first and adds last: a fault leaves nothing half done */
		maa_value_leaf(m, item, n, how == F_STR);
	commit(m, r->p, a, size, size, place);
	return 1;
edges:
	*r->p++ = 0;
	m->stat[MA_STAT_EDGES] += r->edges;
	m->stat[MA_STAT_GC_OBJECTS]++;
	commit(m, r->p, a, size, size - buffer + more, place);
	return 1;
}

void maa_drain(struct maa *m)
{
	struct rec r = { 0 };
	m->unreached = 0;
	while (LIKELY(r.top = m->wtop)) {
		uint64_t item = m->work[--r.top];
		/* In front of the list lie as many words of ours. A position between the items is no address, and does
		 * no harm. */
		__builtin_prefetch((const void *)m->work[(int64_t)r.top - AHEAD]);
		*(volatile uint64_t *)&m->wtop = r.top;
		if (UNLIKELY(item & (TAG_ATTR | TAG_CONT)) || !fast(m, &r, item & ~TAG_ARENA, item & TAG_ARENA)) {
			maa_walk(m, item);
			if (UNLIKELY(!(++m->ph_steps & 1023)))
				maa_beat(m); /* elsewhere each block that goes out is a sign of life */
		}
	}
}
