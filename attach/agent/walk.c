// SPDX-License-Identifier: Apache-2.0
/* walk.c - one object at a time: its record, and an edge for each reference that it holds. */
#include "value.h"
#include "visit.h"

/* Long containers are written in parts, each drained before the next, so that the work list stays short. */
#define PART 8192u

static void part_later(struct maa *m, addr_t a, uint64_t tags, uint64_t position)
{
	maa_push_always(m, position << 3);
	maa_push_always(m, a | tags | TAG_CONT);
}

MAA_INLINE void visit_items(struct maa *m, struct maa_w *w, addr_t a, addr_t item, uint64_t n, uint64_t from)
{
	if (!n || !maa_range_ok(m, item, n * 8))
		return;
	uint64_t to = n;
	if (UNLIKELY(n - from > PART)) {
		to = from + PART;
		part_later(m, a, 0, to);
	}
	if (UNLIKELY(m->frozen)) {
		for (uint64_t i = from; i < to; i++) {
			addr_t dst = rd64(item + 8 * i);
			if (dst && !(dst & 7) && maa_readable(m, dst) && maa_place(m, dst) == MA_PLACE_STATIC)
				edge_borrowed(m, w, dst, 0, 0);
			else
				edge_item(m, w, dst, i);
		}
		return;
	}
	struct maa_w lw = *w; /* in registers */
	for (uint64_t i = from; i < to; i++) {
		addr_t dst = rd64(item + 8 * i);
		if (UNLIKELY(lw.p > lw.limit)) {
			*w = lw;
			maa_spill(m, w);
			lw = *w;
		}
		if (UNLIKELY(!dst) || UNLIKELY(!maa_reach(m, dst, 0)))
			continue;
		int at = lw.next != i;
		edge_raw(&lw, dst, UNLIKELY(at) ? MA_EDGE_AT : MA_EDGE_NEXT);
		if (UNLIKELY(at))
			lw.p = put(lw.p, i);
		lw.next = i + 1;
	}
	*w = lw;
}

static void visit_set(struct maa *m, struct maa_w *w, addr_t a, uint64_t from)
{
	const struct ma_layout *L = m->L;
	addr_t table = rd64(a + (uint64_t)L->set_table);
	uint64_t n = rd64(a + (uint64_t)L->set_mask) + 1, to = n;
	if (!n || n > 1ull << 40 || !maa_range_ok(m, table, n * 16) || from >= n)
		return;
	if (n - from > 2 * PART) {
		to = from + 2 * PART;
		part_later(m, a, 0, to);
	}
	for (uint64_t i = from; i < to; i++) {
		addr_t key = rd64(table + 16 * i);
		if (!key || rd64(table + 16 * i + 8) == ~0ull || !maa_reach(m, key, 0))
			continue; /* a hash of -1 is the dummy of a deleted entry */
		edge_room(m, w);
		edge_raw(w, key, MA_EDGE_KEY);
	}
}

/* Values of attributes: edges with the names of their keys. */
MAA_INLINE void edge_attr(struct maa *m, struct maa_w *w, addr_t key, addr_t value)
{
	if (!maa_reach(m, value, 0))
		return;
	uint32_t name = maa_name(m, key);
	edge_room(m, w);
	edge_raw(w, value, name ? MA_EDGE_NAMED : MA_EDGE_PLAIN);
	if (LIKELY(name))
		w->p = put(w->p, name);
}

void maa_visit_values(struct maa *m, struct maa_w *w, addr_t table, addr_t values, uint64_t max)
{
	if (UNLIKELY(m->shared.table != table)) { /* else as before: nothing changes in a frozen process */
		struct maa_keys fresh;
		if (!maa_keys_open(m, table, &fresh))
			return;
		m->shared = fresh;
	}
	if (UNLIKELY(!maa_readable(m, values)))
		return;
	uint64_t n = m->shared.count < max ? m->shared.count : max, stride = m->shared.stride;
	addr_t key = m->shared.entries + m->shared.key;
	for (uint64_t i = 0; i < n; i++) {
		addr_t value = rd64(values + 8 * i);
		if (value)
			edge_attr(m, w, rd64(key + i * stride), value);
	}
}

/* Is it a dict of interned strings? Found unreached in 3.8 to 3.11; known later, and reached where a program asks for
 * gc.get_objects(). */
static MAA_COLD int is_interned(struct maa *m, addr_t a)
{
	if (m->unreached)
		return 1;
	for (uint32_t i = 0; i < m->interned_count; i++)
		if (m->interned_dicts[i] == a)
			return 1;
	return 0;
}

/* The entries [from, ...) of a combined table. */
MAA_INLINE void visit_entries(struct maa *m, struct maa_w *w, addr_t a, const struct maa_keys *k, uint64_t from,
			      uint64_t tags)
{
	uint64_t to = k->count;
	if (UNLIKELY(to - from > PART)) {
		to = from + PART;
		part_later(m, a, tags & TAG_ATTR, to);
	}
	int attr = (tags & TAG_ATTR) != 0;
	addr_t e = k->entries + from * k->stride;
	uint64_t stride = k->stride, key_at = k->key, value_at = k->value;
	struct maa_w lw = *w; /* in registers */
	for (uint64_t i = from; i < to; i++, e += stride) {
		addr_t value = rd64(e + value_at), key = rd64(e + key_at);
		if (!value || !key)
			continue;
		if (UNLIKELY(lw.p > lw.limit) || UNLIKELY(key == value)) {
			*w = lw;
			edge_room(m, w);
			if (key == value && (a == m->interned || is_interned(m, a))) {
				/* it does not own them */
				m->interned = a;
				edge_borrowed(m, w, key, 0, 0);
				key = 0;
			}
			lw = *w;
			if (!key)
				continue;
		}
		if (UNLIKELY(!maa_reach(m, key, 0)))
			continue;
		edge_raw(&lw, key, MA_EDGE_KEY);
		if (UNLIKELY(!maa_reach(m, value, 0)))
			continue;
		uint32_t name = attr ? maa_name(m, key) : 0;
		edge_raw(&lw, value, !attr ? MA_EDGE_VALUE : name ? MA_EDGE_NAMED : MA_EDGE_PLAIN);
		if (name)
			lw.p = put(lw.p, name);
	}
	*w = lw;
}

static void visit_dict(struct maa *m, struct maa_w *w, addr_t a, uint64_t tags, uint64_t from)
{
	const struct ma_layout *L = m->L;
	struct maa_keys k;
	addr_t values = rd64(a + (uint64_t)L->dict_values);
	if (!maa_keys_open(m, rd64(a + (uint64_t)L->dict_keys), &k))
		return;
	if (!values) {
		if (from <= k.count)
			visit_entries(m, w, a, &k, from, tags);
		return;
	}
	uint64_t max = k.count;
	if (L->values_values >= 0) { /* 3.13: embedded values belong to the instance, which writes them */
		if (!maa_readable(m, values) || rd8(values + (uint64_t)L->values_embedded))
			return;
		uint64_t capacity = rd8(values + (uint64_t)L->values_capacity);
		max = capacity < max ? capacity : max;
		values += (uint64_t)L->values_values;
	}
	maa_visit_values(m, w, k.table, values, max);
}

/* What a class statement adds: slots, __dict__ or the values in its place. */
MAA_INLINE void visit_class(struct maa *m, struct maa_w *w, addr_t a, const struct maa_type *t)
{
	for (uint32_t i = 0; i < t->slots_count; i++) {
		const struct maa_slot *s = &m->slots[t->slots + i];
		edge_named(m, w, rd64(a + s->offset), s->name_id);
	}
	if ((t->flags & MT_MANAGED) && !t->base_managed)
		maa_visit_managed(m, w, a, t);
	else if (t->dictoffset)
		maa_edge_tagged(m, w, maa_dict_at(m, a, t), N_DICT, TAG_ATTR);
}

/* Of what the visited object holds at a place with a name; 0 = no name. */
static uint32_t member_name(struct maa *m, addr_t dst)
{
	const struct maa_slot *s = &m->slots[m->cur_type->members];
	for (uint32_t i = 0; i < m->cur_type->members_count; i++, s++)
		if (rd64(m->cur + s->offset) == dst)
			return s->name_id;
	return 0;
}

#define ENDLESS_MAX 2u

static int traverse_visit(addr_t dst, struct maa *m)
{
	struct maa_w *w = m->traverse_w;
	if (++m->visits > m->visits_max) {
		m->cur_type->endless++;
		__builtin_trap();
	}
	if (dst == m->cur_type->addr && (m->cur_type->flags & MT_HEAP) && !m->type_edge_dropped) {
		m->type_edge_dropped = 1; /* implied */
		return 0;
	}
	/* It reports the type of its links once for each link, which is an object of its own and holds it, and once
	 * for itself (3.10 and later). */
	if (m->cur_type->kind == K_LRU && dst && !(dst & 7) && maa_readable(m, dst)) {
		const struct maa_type *meta = maa_type_get(m, rd64(dst + OB_TYPE));
		if (meta && (meta->flags & MT_TYPEOBJ) && !(rd64(dst + (uint64_t)m->L->type_flags) & TPF_HAVE_GC) &&
		    m->lru_edge_kept++)
			return 0;
	}
	/* 3.12's _asyncio reports the dead futures' iterators on its free list (Modules/_asynciomodule.c) */
	if (m->cur_type->kind == K_MODULE && dst && !(dst & 7) && maa_readable(m, dst) && !rdu32(dst))
		return 0;
	if (dst && dst == m->cur_dict)
		maa_edge_tagged(m, w, dst, N_DICT, TAG_ATTR);
	else if (m->cur_type->kind == K_DEQUE) /* deque_traverse() visits its items in their order, and nothing else */
		edge_item(m, w, dst, w->next);
	else if (m->cur_type->members_count)
		edge_named(m, w, dst, member_name(m, dst));
	else
		edge_plain(m, w, dst);
	return 0;
}

typedef int (*traverse_fn)(addr_t self, int (*visit)(addr_t, struct maa *), struct maa *arg);

void maa_visit_traverse(struct maa *m, struct maa_w *w, addr_t a, addr_t fn)
{
	if (m->no_calls) {
		maa_visit_words(m, w, a);
		return;
	}
	/* 2 s for each object of such a type would be the whole walk: a fault at once, so that it is marked as the
	 * others. */
	if (m->cur_type->endless >= ENDLESS_MAX)
		__builtin_trap();
	m->traverse_w = w;
	m->visits = 0;
	m->type_edge_dropped = m->lru_edge_kept = 0;
	m->cur_dict = m->cur_type->dictoffset ? maa_dict_at(m, a, m->cur_type) : 0;
	if (m->cur_type->base_managed)
		m->cur_dict = rd64(a - 24);
	((traverse_fn)fn)(a, traverse_visit, m);
}

MAA_INLINE void visit(struct maa *m, struct maa_w *w, addr_t a, const struct maa_type *t, uint64_t tags, uint64_t from)
{
	const struct ma_layout *L = m->L;
	switch (t->kind) {
	case K_TUPLE:
		visit_items(m, w, a, a + (uint64_t)L->tuple_item, rd64(a + OB_SIZE), from);
		break;
	case K_LIST:
		visit_items(m, w, a, rd64(a + (uint64_t)L->list_item), rd64(a + OB_SIZE), from);
		break;
	case K_DICT:
		visit_dict(m, w, a, tags, from);
		break;
	case K_SET:
		visit_set(m, w, a, from);
		break;
	case K_LEAF:
	case K_STR:
	case K_LONG:
	case K_BYTES:
	case K_BYTEARRAY:
		break;
	case K_TRAVERSE:
		maa_visit_traverse(m, w, a, t->traverse);
		break;
	case K_STRUCTSEQ:
		visit_items(m, w, a, a + (uint64_t)L->tuple_item, t->keys, from);
		break;
	case K_DEFAULTDICT:
	case K_ODICT:
	case K_STGDICT:
		visit_dict(m, w, a, tags, from);
		if (!(tags & TAG_CONT))
			maa_visit_builtin(m, w, a, t);
		break;
	case K_NATIVE:
		maa_visit_native(m, w, a, t);
		break;
	case K_NDARRAY:
	case K_DTYPE:
	case K_NPVOID:
		maa_visit_numpy(m, w, a, t, tags, from);
		break;
	default:
		maa_visit_builtin(m, w, a, t);
	}
}

/* The reference count as it is written: 0 for an immortal object (3.12+: bit 31 of its low half). */
static uint64_t refcnt(struct maa *m, addr_t a)
{
	if (m->minor >= 12) {
		uint32_t rc = rdu32(a);
		if ((int32_t)rc < 0)
			return 0;
		if (!rc)
			m->cur_extra |= MA_OX_ZEROREF;
		return rc;
	}
	uint64_t rc = rd64(a);
	/* 3.11 freezes code in constant data, without counting (Tools/scripts/deepfreeze.py) */
	m->frozen = m->minor == 11 && rc > 500000000 && maa_place(m, a) == MA_PLACE_STATIC;
	if (!rc)
		m->cur_extra |= MA_OX_ZEROREF;
	return rc;
}

static int has_gc(struct maa *m, addr_t a, const struct maa_type *t)
{
	if (t->flags & MT_TYPEOBJ)
		return (rd64(a + (uint64_t)m->L->type_flags) & TPF_HEAPTYPE) != 0;
	if (t->flags & MT_ASK_GC && m->no_calls)
		return maa_place(m, a) != MA_PLACE_STATIC;
	if (t->flags & MT_ASK_GC)
		return ((int (*)(addr_t))rd64(t->addr + (uint64_t)m->L->type_is_gc))(a) != 0;
	return 1;
}

/* The sizes that most objects have; maa_size() knows the rest. */
MAA_INLINE uint64_t size_of(struct maa *m, addr_t a, const struct maa_type *t, uint64_t *buffer)
{
	const struct ma_layout *L = m->L;
	uint64_t n;
	switch (t->size_kind) {
	case K_LEAF:
	case K_TUPLE:
		if (UNLIKELY(t->flags & MT_TYPEOBJ))
			break;
		n = t->itemsize ? rd64(a + OB_SIZE) : 0;
		if (UNLIKELY(n > 1ull << 32))
			break;
		return (uint64_t)t->basicsize + n * (uint64_t)t->itemsize + t->presize;
	case K_LIST:
		n = rd64(a + (uint64_t)L->list_allocated);
		if (UNLIKELY(n > 1ull << 32))
			break;
		*buffer = n * 8;
		if (n && n <= 64)
			maa_own(m, rd64(a + (uint64_t)L->list_item));
		return (uint64_t)t->basicsize + n * 8 + t->presize;
	default:
		break;
	}
	return maa_size(m, a, t, buffer);
}

void maa_walk(struct maa *m, uint64_t item)
{
	struct maa_w w;
	uint64_t from = 0;
	addr_t a = item & ~TAG_ALL;
	if (UNLIKELY(item & TAG_CONT)) {
		from = m->work[m->wtop - 1] >> 3;
		m->wtop--;
	}
	m->cur = a;
	m->in_record = 0;
	struct maa_type *t = maa_type_get(m, rd64(a + OB_TYPE));
	if (UNLIKELY(!t))
		return; /* no object: the edge to it stays, to an address that has no record */
	m->cur_type = t;
	m->values.added = 0;
	m->cur_extra = m->unreached;
	m->cur_gc = 0;
	m->cur_size = m->cur_buffer = m->cur_rc = 0;
	m->rec = m->ob.p;
	m->rec_prev = m->ob_prev;
	m->in_record = 1;
	m->cur_gc = (t->flags & MT_GC) && has_gc(m, a, t);
	uint64_t size = 0, buffer = 0;
	if (LIKELY(!(item & TAG_CONT))) {
		m->cur_rc = refcnt(m, a);
		size = size_of(m, a, t, &buffer);
		m->cur_size = size;
		m->cur_buffer = buffer;
		if (UNLIKELY(t->value))
			maa_value_read(m, a, t);
	} else {
		m->cur_extra = MA_OX_CONT;
		m->frozen = 0;
	}
	maa_record_start(m, &w);
	int edges = t->kind > K_BYTEARRAY || t->kind == K_TRAVERSE || (t->flags & MT_CLASS);
	if (t->kind == K_TRAVERSE && !m->cur_gc)
		edges = 0; /* its traverse function must not be called: design.md section 5 */
	maa_header_write(m, &w, edges ? MA_OF_EDGES : 0);
	if (UNLIKELY(t->value) && !(item & TAG_CONT))
		maa_value_add(m, t);
	if (edges) {
		visit(m, &w, a, t, item & TAG_ALL, from);
		if ((t->flags & MT_CLASS) && !(item & TAG_CONT))
			visit_class(m, &w, a, t);
		*w.p++ = 0;
	}
	m->ob.p = w.p;
	m->in_record = 0;
	m->stat[MA_STAT_EDGES] += w.edges;
	if (UNLIKELY(item & TAG_CONT))
		return;
	m->stat[MA_STAT_BYTES] += size;
	m->stat[MA_STAT_GC_OBJECTS] += (t->flags & MT_GC) != 0;
	uint64_t own = size - buffer + maa_inline_bytes(m, a, t);
	uint64_t class = (own + m->block_round) >> 4;
	if (m->cur_place == MA_PLACE_ARENA && class <= 32)
		m->class_objects[class]++;
	if (UNLIKELY(m->unreached)) {
		m->stat[MA_STAT_UNREACHED]++;
		m->stat[MA_STAT_UNREACHED_BYTES] += size;
	}
}

/* The tracer brought us back from a fault. What the object left is put in order; the phase goes on behind it. */
void maa_fault(struct maa *m)
{
	m->stat[MA_STAT_FAULTS]++;
	m->args->current = m->cur;
	if (m->standstills != m->args->standstills && m->in_record && m->cur_type)
		m->cur_type->endless++;
	m->standstills = m->args->standstills;
	if (m->in_record)
		maa_record_fault(m);
	maa_beat(m);
}
