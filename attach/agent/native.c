// SPDX-License-Identifier: Apache-2.0
/* native.c - instances of types that extensions define in C: what their tp_traverse does not say.
 *
 * The body of such an object is read word by word. A word that is the address of an object which tp_traverse did not
 * name is an edge of kind guessed: it may be owned or borrowed, so it is outside the books. A word that is the address
 * of a block of glibc's malloc or of pymalloc is memory of the object, as far as the allocator tells its size: an
 * estimate, beside the size of the object. Blocks are looked through once more in the same way, since many classes of
 * C++ and Cython hold one pointer to all that they have. */
#include "native.h"

#define POOL_HEADER 48u
#define WORDS_MAX 512u  /* of a body that are looked at */
#define BLOCK_WORDS 64u /* of a block */
#define BLOCK_MAX (1ull << 40)

/* ------------------------------------------------------------------ which types */

/* The image that has the interpreter: its types are built in. */
int maa_native_init(struct maa *m)
{
	const struct maa_map *maps = (const struct maa_map *)m->args->maps;
	addr_t type = m->args->known[MA_KT_TYPE];
	m->native_once = maa_alloc(m, sizeof(addr_t) << MAA_ONCE_BITS);
	if (!m->native_once)
		return -12;
	for (uint64_t i = 0; i < m->args->maps_count; i++) {
		addr_t e = maps[i].start;
		if ((maps[i].flags & (MAA_MAP_FILE | MAA_MAP_READ | MAA_MAP_WRITE)) != (MAA_MAP_FILE | MAA_MAP_READ) ||
		    e > type || maps[i].end - e < 4096 || rdu32(e) != 0x464c457f)
			continue;
		uint64_t phoff = rd64(e + 32), phnum = RD(uint16_t, e + 56), first = ~0ull, last = 0;
		if (RD(uint16_t, e + 54) != 56 || phnum > 64 || phoff + phnum * 56 > 4096)
			continue;
		for (uint64_t k = 0; k < phnum; k++) {
			addr_t ph = e + phoff + k * 56;
			if (rdu32(ph) != 1)
				continue;
			uint64_t vaddr = rd64(ph + 16), end = vaddr + rd64(ph + 40);
			if (first == ~0ull)
				first = vaddr & ~4095ull;
			last = end > last ? end : last;
		}
		if (first != ~0ull && type - e < last - first) {
			m->python_start = e;
			m->python_end = e + (last - first);
		}
	}
	return 0;
}

/* tp_basicsize of the C type that type t is or derives from, when an extension defines it: its tp_dealloc, which
 * stands behind tp_itemsize, is not the interpreter's (a class statement gives subtype_dealloc). 0: it is none. */
uint32_t maa_native_body(struct maa *m, addr_t t)
{
	const struct ma_layout *L = m->L;
	for (unsigned i = 0; i < 64 && t && !(t & 7) && maa_readable(m, t); i++) {
		addr_t name = rd64(t + (uint64_t)L->type_name);
		addr_t dealloc = rd64(t + (uint64_t)L->type_itemsize + 8);
		uint64_t basic = rd64(t + (uint64_t)L->type_basicsize);
		if (!m->python_end || t == m->args->known[MA_KT_OBJECT])
			return 0;
		/* date, timedelta, timezone: many, and they have neither references that are not told nor memory */
		if (name && maa_readable(m, name) && maa_text_starts(name, "datetime."))
			return 0;
		if (dealloc && (dealloc < m->python_start || dealloc >= m->python_end))
			return basic > 16 && basic < 1u << 20 ? (uint32_t)basic : 0;
		t = rd64(t + (uint64_t)L->type_base);
	}
	return 0;
}

/* ------------------------------------------------------------------ words */

static const struct maa_map *map_of(struct maa *m, addr_t a)
{
	const struct maa_map *maps = (const struct maa_map *)m->args->maps;
	uint64_t lo = 0, hi = m->args->maps_count;
	while (lo < hi) {
		uint64_t mid = (lo + hi) / 2;
		if (a >= maps[mid].end)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < m->args->maps_count && a >= maps[lo].start ? &maps[lo] : NULL;
}

/* The block of pymalloc that begins at `a`: its size, 0 when none does. */
static uint64_t pool_block(struct maa *m, addr_t a)
{
	addr_t pool = a & ~(uint64_t)(m->L->pool_bytes - 1);
	uint32_t szidx = rdu32(pool + 36);
	uint64_t bs = (szidx + 1ull) * 16, at = a - pool;
	if (!rdu32(pool) || szidx >= 32 || at < POOL_HEADER || (at - POOL_HEADER) % bs || at >= rdu32(pool + 40))
		return 0;
	return bs;
}

/* The chunk of glibc (malloc/malloc.c, struct malloc_chunk) whose memory begins at `a`: how much of it the caller of
 * malloc has, 0 when there is none. */
static uint64_t malloc_chunk(struct maa *m, addr_t a)
{
	const struct maa_map *map = map_of(m, a);
	if ((a & 15) || !map || (map->flags & (MAA_MAP_SHARED | MAA_MAP_FILE | MAA_MAP_STACK)) || a - map->start < 16 ||
	    (map->flags & (MAA_MAP_READ | MAA_MAP_WRITE)) != (MAA_MAP_READ | MAA_MAP_WRITE))
		return 0;
	uint64_t head = rd64(a - 8), size = head & ~7ull, room = map->end - (a - 16);
	if (size < 32 || (size & 15) || size > room)
		return 0;
	if (head & 2) { /* IS_MMAPPED; from glibc 2.42 on its size is less by the header */
		uint64_t before = rd64(a - 16) & ~1ull, rest = (size + before) & 4095;
		if ((head & 5) || ((a - 16 - before) & 4095) || before > size || (rest && rest != 4096 - 16))
			return 0;
		return rest ? size : size - 16;
	}
	if (room - size < 16)
		return 0;
	uint64_t next = rd64(a - 16 + size + 8); /* PREV_INUSE of the chunk behind says that this one is in use */
	if (!(next & 1) || (next & 10) || (next & ~7ull) < 16 || (next & ~7ull) > room - size)
		return 0;
	return size - 8;
}

static int refcnt_sane(struct maa *m, addr_t a)
{
	/* A count that is an address: the state of a module, whose second word points to a type, in a heap that brk()
	 * put behind an image that is not PIE. */
	if (rd64(a) > 0xffff && maa_readable(m, rd64(a)))
		return 0;
	return m->minor >= 12 ? rdu32(a) != 0 : rd64(a) - 1 < 1ull << 32;
}

/* An object that is part of an image: None, a type that a library defines. */
static int is_static_object(struct maa *m, addr_t a)
{
	addr_t type;
	if ((a & 7) || maa_place(m, a) != MA_PLACE_STATIC || !maa_readable(m, a + 8))
		return 0;
	type = rd64(a + OB_TYPE);
	return type && !(type & 7) && maa_readable(m, type) && refcnt_sane(m, a) && maa_type_get(m, type) != NULL;
}

/* Is there an object at `a`, in a block of its own? */
static int is_object(struct maa *m, addr_t a)
{
	unsigned place = maa_place(m, a);
	if ((a & 15) || (place != MA_PLACE_ARENA && place != MA_PLACE_MALLOC))
		return 0;
	addr_t type = rd64(a + OB_TYPE);
	if (!type || (type & 7) || !maa_readable(m, type) || !refcnt_sane(m, a))
		return 0;
	const struct maa_type *t = maa_type_get(m, type);
	if (!t)
		return 0;
	addr_t block = a - (t->flags & MT_TYPEOBJ ? GC_HEAD : t->presize) - m->hook_head;
	return place == MA_PLACE_ARENA ? pool_block(m, block) != 0
				       : maa_marked(m, a) || malloc_chunk(m, block) != 0 ||
						 (!(t->flags & MT_GC) && malloc_chunk(m, a - m->hook_head) != 0);
}

/* Does the block at `a` hold an object? Then it is that object's. */
static int holds_object(struct maa *m, addr_t a, uint64_t bytes)
{
	for (uint64_t off = 0; off <= 32 && off + 16 <= bytes; off += 16) {
		addr_t type = rd64(a + off + OB_TYPE);
		if (type && !(type & 7) && maa_type_find(m, type) && refcnt_sane(m, a + off))
			return 1;
	}
	return 0;
}

/* True the first time that it is asked about `a`, and now and then later: the reader of the file removes doubles. */
int maa_native_once(struct maa *m, addr_t a)
{
	addr_t *slot = &m->native_once[maa_hash(a) >> (64 - MAA_ONCE_BITS)];
	if (*slot == a)
		return 0;
	*slot = a;
	return 1;
}

/* tp_traverse has told these already. */
static int seen_visit(addr_t dst, struct maa *m)
{
	if (m->seen_count < MAA_SEEN_MAX)
		m->seen[m->seen_count] = dst;
	m->seen_count++;
	return 0;
}

static int was_seen(const struct maa *m, addr_t a)
{
	uint32_t n = m->seen_count < MAA_SEEN_MAX ? m->seen_count : MAA_SEEN_MAX;
	for (uint32_t i = 0; i < n; i++)
		if (m->seen[i] == a)
			return 1;
	return n < m->seen_count;
}

/* The globals of a module: its keys are names, whoever is met first that has it. */
static int is_globals(struct maa *m, addr_t a)
{
	const struct maa_type *t = maa_type_get(m, rd64(a + OB_TYPE));
	return t && t->kind == K_DICT && maa_dict_find_text(m, a, "__name__", 8, NULL) &&
	       maa_dict_find_text(m, a, "__builtins__", 12, NULL);
}

static void words(struct maa *m, struct maa_w *w, addr_t a, uint64_t count, addr_t skip, unsigned depth);

static void word(struct maa *m, struct maa_w *w, addr_t x, unsigned depth)
{
	if ((x & 7) || x < 4096 || x >> 47 || !maa_readable(m, x))
		return;
	unsigned place = maa_place(m, x);
	if (m->no_calls && place == MA_PLACE_STATIC && is_static_object(m, x) && !was_seen(m, x) &&
	    maa_reach(m, x, 0)) {
		edge_room(m, w); /* tp_traverse would have told it */
		edge_raw(w, x, MA_EDGE_GUESSED);
	}
	if (place != MA_PLACE_ARENA && place != MA_PLACE_MALLOC)
		return;
	if (is_object(m, x)) {
		if (was_seen(m, x) || x == m->cur || !maa_reach(m, x, m->no_calls && is_globals(m, x) ? TAG_ATTR : 0))
			return;
		edge_room(m, w);
		edge_raw(w, x, MA_EDGE_GUESSED);
		return;
	}
	/* what came through Python's allocators has the head of the debug hooks before it, where they are in use */
	uint64_t bytes = place == MA_PLACE_ARENA ? pool_block(m, x - m->hook_head) : malloc_chunk(m, x);
	if (m->hook_head && (place == MA_PLACE_ARENA || !bytes)) {
		if (place != MA_PLACE_ARENA)
			bytes = malloc_chunk(m, x - m->hook_head);
		bytes = bytes > m->hook_head ? bytes - m->hook_head : 0;
	}
	if (!bytes || bytes > BLOCK_MAX || holds_object(m, x, bytes) || !maa_native_once(m, x))
		return;
	if (place == MA_PLACE_ARENA) {
		if (maa_marked(m, x))
			return; /* a table that an object owns */
		maa_own(m, x);
	}
	maa_raw(m, MA_RAW_CHUNK, x, bytes, m->cur);
	/* its last word is often beyond what was asked for, and has what an earlier owner left */
	if (depth < 1)
		words(m, w, x, bytes / 8 - 1 < BLOCK_WORDS ? bytes / 8 - 1 : BLOCK_WORDS, 0, depth + 1);
}

static void words(struct maa *m, struct maa_w *w, addr_t a, uint64_t count, addr_t skip, unsigned depth)
{
	for (uint64_t i = 0; i < count; i++) {
		addr_t at = a + 8 * i;
		if (at != skip)
			word(m, w, rd64(at), depth);
	}
}

typedef int (*traverse_fn)(addr_t self, int (*visit)(addr_t, struct maa *), struct maa *arg);

static void word_edge(struct maa *m, struct maa_w *w, addr_t x)
{
	if (was_seen(m, x) || !x || (x & 7) || x >> 47 || x == m->cur || !maa_readable(m, x) ||
	    (!is_object(m, x) && !is_static_object(m, x)) || !maa_reach(m, x, is_globals(m, x) ? TAG_ATTR : 0))
		return;
	edge_room(m, w);
	edge_raw(w, x, MA_EDGE_GUESSED);
}

/* The place was told already, by its name. */
static int is_member(struct maa *m, const struct maa_type *t, uint32_t offset, uint32_t before)
{
	for (uint32_t i = 0; i < before; i++)
		if (m->slots[t->members + i].offset == offset)
			return 1;
	return 0;
}

/* What the type itself says that it keeps: where its dict is, and what its members are. */
static void visit_told(struct maa *m, struct maa_w *w, addr_t a, const struct maa_type *t)
{
	if (t->base_managed) {
		maa_visit_managed(m, w, a, t);
	} else if (t->dictoffset) {
		addr_t dict = maa_dict_at(m, a, t);
		maa_edge_tagged(m, w, dict, N_DICT, TAG_ATTR);
		seen_visit(dict, m);
	}
	for (uint32_t i = 0; i < t->members_count; i++) {
		const struct maa_slot *s = &m->slots[t->members + i];
		if ((int64_t)s->offset == t->dictoffset || is_member(m, t, s->offset, i))
			continue;
		maa_edge_named(m, w, rd64(a + s->offset), s->name_id);
		seen_visit(rd64(a + s->offset), m);
	}
}

void maa_visit_native(struct maa *m, struct maa_w *w, addr_t a, const struct maa_type *t)
{
	const struct ma_layout *L = m->L;
	m->seen_count = 0;
	if (t->traverse && m->cur_gc && !m->no_calls) {
		((traverse_fn)t->traverse)(a, seen_visit, m);
		maa_visit_traverse(m, w, a, t->traverse);
	}
	if (t->traverse && m->cur_gc && m->no_calls)
		visit_told(m, w, a, t);
	if (t->native && maa_visit_arrow(m, a, t)) {
		for (uint64_t off = 16; m->no_calls && off + 8 <= t->body && off < WORDS_MAX * 8; off += 8)
			word_edge(m, w, rd64(a + off));
		return;
	}
	/* weak references to it are not its own: tp_weaklistoffset stands behind traverse, clear and richcompare */
	int64_t weak = (int64_t)rd64(t->addr + (uint64_t)L->type_traverse + 24);
	uint64_t from = t->itemsize ? 24 : 16, bytes = t->body;
	if (t->itemsize && rd64(a + OB_SIZE) < 4096)
		bytes += rd64(a + OB_SIZE) * (uint64_t)t->itemsize;
	uint64_t n = bytes > from ? (bytes - from) / 8 : 0;
	words(m, w, a + from, n < WORDS_MAX ? n : WORDS_MAX, weak > 0 ? a + (uint64_t)weak : 0, 0);
}

void maa_visit_words(struct maa *m, struct maa_w *w, addr_t a)
{
	const struct maa_type *t = m->cur_type;
	const struct ma_layout *L = m->L;
	/* weak references to it are not its own: tp_weaklistoffset stands behind traverse, clear and richcompare */
	int64_t weak = (int64_t)rd64(t->addr + (uint64_t)L->type_traverse + 24);
	uint64_t from = t->itemsize ? 24 : 16, to = t->body;
	visit_told(m, w, a, t);
	m->seen_count = 0; /* a place that was told is known by its offset: another one may hold the same */
	if (t->itemsize && rd64(a + OB_SIZE) < WORDS_MAX * 8)
		to += rd64(a + OB_SIZE) * (uint64_t)t->itemsize;
	if (to > from + WORDS_MAX * 8)
		to = from + WORDS_MAX * 8;
	for (uint64_t off = from; off + 8 <= to; off += 8)
		if ((int64_t)off != weak && (int64_t)off != t->dictoffset &&
		    !is_member(m, t, (uint32_t)off, t->members_count))
			word_edge(m, w, rd64(a + off));
}

void maa_visit_state(struct maa *m, struct maa_w *w, addr_t state, uint64_t bytes)
{
	m->seen_count = 0;
	uint64_t n = bytes / 8 < WORDS_MAX ? bytes / 8 : WORDS_MAX;
	for (uint64_t i = 0; i < n && !(state & 7) && maa_readable(m, state + 8 * i); i++)
		word_edge(m, w, rd64(state + 8 * i));
}

/* A class made by a C metatype, and a metatype's own part of a class: behind PyHeapTypeObject. */
void maa_visit_metatype(struct maa *m, struct maa_w *w, addr_t a)
{
	addr_t meta = rd64(a + OB_TYPE);
	uint64_t from = (uint64_t)m->L->sizeof_heaptype, to = rd64(meta + (uint64_t)m->L->type_basicsize);
	m->seen_count = 0;
	if (to > from && to - from <= 1024 && maa_native_body(m, meta))
		words(m, w, a + from, (to - from) / 8, 0, 0);
}
