// SPDX-License-Identifier: Apache-2.0
/* maa.h - the state of the agent and what its files share.
 *
 * The agent runs alone in a frozen copy of the target. It reads the target's memory by plain loads: a
 * load that faults ends the work on the current object and costs that object only (see maa_guard()), so
 * everything that must survive a fault is in struct maa, in memory, before the next load of untrusted
 * memory. It writes to its own scratch, the ring and its arguments, never to the target's structures.
 */
#ifndef MAA_H
#define MAA_H

#include <memattach/agent.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden) /* so that no address is taken through a table that needs relocations */

#define MAA_INLINE static inline __attribute__((always_inline))
#define MAA_COLD __attribute__((noinline, cold))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

typedef uint64_t addr_t; /* an address in the target's memory: here the same as ours */

/* The head of an object is the same in every build we accept (checked in maa_init). */
#define OB_REFCNT 0
#define OB_TYPE 8
#define OB_SIZE 16
#define GC_HEAD 16
#define MAA_HOOK_HEAD 16

/* tp_flags (Include/object.h, 3.8 to 3.15) */
#define TPF_INLINE_VALUES (1ull << 2)   /* 3.13+ */
#define TPF_MANAGED_WEAKREF (1ull << 3) /* 3.12+ */
#define TPF_MANAGED_DICT (1ull << 4)    /* 3.11+ */
#define TPF_STATIC_BUILTIN (1ull << 1)  /* 3.12+ */
#define TPF_HEAPTYPE (1ull << 9)
#define TPF_READY (1ull << 12)
#define TPF_HAVE_GC (1ull << 14)
#define TPF_LONG (1ull << 24)
#define TPF_UNICODE (1ull << 28)
#define TPF_BASE_EXC (1ull << 30)
#define TPF_TYPE (1ull << 31)

/* What visits an object of a type, or the part of it that its built-in base owns. */
enum maa_kind {
	K_BAD = 0,  /* not a type: objects of it are skipped */
	K_LEAF,     /* no references, default size */
	K_TRAVERSE, /* tp_traverse, default size; without calls: its words */
	K_STR,
	K_LONG,
	K_BYTES,
	K_BYTEARRAY,
	K_TUPLE,
	K_LIST,
	K_DICT,
	K_SET,
	K_TYPE,
	K_MODULE,
	K_FUNCTION,
	K_METHOD,
	K_CFUNCTION,
	K_CODE,
	K_FRAME,
	K_GEN,
	K_CELL,
	K_DESCR,
	K_WEAKREF,
	K_SLICE,
	K_RANGE,
	K_ODICT,
	K_DEQUE,
	K_DATETIME,
	K_TIME,
	K_ARRAY,
	K_BYTESIO,
	K_DEFAULTDICT,
	K_LRU,
	K_STRUCTSEQ,
	K_STGDICT,
	K_MODULEDEF,
	K_NATIVE, /* of an extension: tp_traverse, and its words */
	K_NDARRAY,
	K_DTYPE,
	K_NPVOID,
	K_SIZED, /* those behind it are kinds of sizes only: size_more.c */
	K_S_STRUCT,
	K_S_BUFFERED,
	K_S_PICKLER,
	K_S_UNPICKLER,
	K_S_ELEMENT,
	K_S_QUEUE,
	K_S_DECIMAL,
	K_S_PRODUCT,
	K_S_COMBINATIONS,
	K_S_PERMUTATIONS,
	K_S_CTYPE,
	K_S_PARSER,
	K_NPSCALAR, /* numpy.c */
};

/* What fast.c writes by itself. */
enum maa_fast { F_NONE = 0, F_STR, F_LONG, F_BYTES, F_FIXED, F_TUPLE, F_LIST, F_VALUES_11, F_VALUES_12, F_VALUES_13 };

#define MT_GC 1u /* instances have a GC header (types: heap types only) */
#define MT_HEAP 2u
#define MT_CLASS 4u   /* made by a class statement: slots and __dict__ are ours to visit */
#define MT_MANAGED 8u /* managed dict */
#define MT_INLINE 16u /* 3.13+: inline values */
#define MT_SIZER 32u
#define MT_TYPEOBJ 64u /* instances are types */
#define MT_ASK_GC 128u /* has a tp_is_gc of its own */

struct maa_type {
	addr_t addr;
	uint32_t id;
	uint8_t kind;         /* enum maa_kind */
	uint8_t flags;        /* MT_* */
	uint8_t presize;      /* bytes before an instance: GC header, managed dict */
	uint8_t base_managed; /* the traverse function of its base visits the managed dict (asyncio's futures) */
	uint8_t fast;         /* enum maa_fast: how fast.c writes it */
	uint8_t size_kind;    /* enum maa_kind: whose __sizeof__ it has */
	uint8_t value;        /* enum ma_value_kind + 1; 0 = nothing of its contents is written */
	uint8_t endless;      /* so often its tp_traverse did not come to an end */
	int64_t basicsize;
	int32_t itemsize;
	int32_t dictoffset; /* of the __dict__ that MT_CLASS adds, or that a static type has; 0 = none */
	addr_t traverse;
	addr_t keys;                     /* ht_cached_keys */
	uint32_t slots, slots_count;     /* in maa.slots */
	uint32_t members, members_count; /* the same: where a C type says that it keeps objects, for their names */
	uint32_t scalar_bytes;           /* numpy's scalars: their dtype's itemsize, which their __sizeof__ adds */
	uint32_t body;              /* K_NATIVE: bytes of the part that the extension defines; without calls also of
				     * what has a traverse function: that of the type that it is of */
	uint8_t native;             /* K_NATIVE: enum maa_native */
	uint64_t head;              /* fast.c: the first head_bytes of a record, behind the address */
	uint32_t fixed_size, attrs; /* fast.c: size of each instance; names of its attributes, in maa.attrs */
	uint8_t head_bytes, attrs_count;
	uint64_t dead, dead_bytes; /* objects on a free list: their blocks are used, their count is 0 */
};

struct maa_slot {
	uint32_t offset, name_id;
};

struct maa_buf {
	uint8_t *data, *p;
	uint32_t kind, records;
};

/* A place in the work list is an address with tags in its low bits. */
#define TAG_ATTR 1ull  /* a dict that is somebody's attributes: its keys are names */
#define TAG_CONT 2ull  /* the rest of a long container; its position lies below */
#define TAG_ARENA 4ull /* it lies in an arena for certain */
#define TAG_ALL 7ull
#define WORK_BEFORE 8u

#define TYPE_CACHE_BITS 10
#define ATTRS_MAX (1u << 18)

/* One entry for each MiB of address space: what is there, and where its mark bits are. */
#define CH_NONE 0u /* nothing that may be read */
#define CH_ARENA 1u
#define CH_MALLOC 2u
#define CH_STATIC 3u
#define CH_OTHER 4u
#define CH_MIXED 5u
#define CH_CLASS 7u
#define CH_FINE 8u                   /* a mark bit for every 8 bytes, else for every 16 */
#define CH_SIMPLE 16u                /* all of it is arena, and it has its mark bits */
#define CH_FLAGS (UNIT_BYTES - 1ull) /* above them: the address of the mark bits, 0 before they are made */
#define CHUNK_SHIFT 20
#define CHUNK_BYTES (1ull << CHUNK_SHIFT)
#define WINDOW_CHUNKS (128ull << (30 - CHUNK_SHIFT)) /* 128 GiB of address space */
#define UNIT_BYTES 8192ull

struct maa_range {
	addr_t start, end;
};

struct maa_arena {
	addr_t start, next_pool; /* next_pool: the first that was never used */
	uint32_t free_pools, pools;
	uint32_t used_bytes, free_bytes, used_pools; /* blocks in use, free blocks beside them; by the sweep */
};

struct maa_name_slot {
	addr_t str;
	uint32_t id, reserved;
};

struct maa_keys {
	addr_t table, entries;         /* entry i is at entries + i * stride */
	uint64_t count, usable, bytes; /* entries in use, entries that fit, of the whole table */
	int64_t refcnt;
	uint32_t stride, key, value; /* offsets in an entry */
};

/* What is written of the contents of objects: value.c. */
struct maa_values {
	uint32_t mode;                /* enum ma_values */
	uint32_t limit;               /* characters of each */
	struct ma_siphash_key key[4]; /* bytes, then str of 1, 2 and 4 bytes for each character */
	/* the column of the open block of objects; lengths and hashes have room for all records that fit in one */
	uint8_t *lengths, *lengths_p, *hashes, *hashes_p;
	uint8_t *texts, *texts_p; /* NULL where no text was asked for */
	uint64_t numbers, pieces; /* entries without a hash; pieces of texts that began before */
	uint64_t part;
	struct maa_buf block;
	/* of the object being walked */
	uint64_t hash, length, text_bytes;
	uint8_t *text; /* MA_VALUE_TEXT_MAX bytes; NULL where none was asked for */
	uint32_t added;
};

/* What tracemalloc knows: sites.c. */
struct maa_traced { /* a hash table of traces */
	addr_t buckets;
	uint64_t buckets_count, entries;
	uint64_t key_bytes; /* up to 3.8: 8, or 12 when the key has a domain; else 0 */
	uint32_t domain;
};

struct maa_trace {
	addr_t addr, traceback;
	uint64_t bytes;
	uint32_t site, domain;
};
#define MAA_TRACES_BATCH 8192u /* all of it fits in a block */

struct maa_sites {
	struct maa_traced tables[64]; /* one for each domain */
	uint32_t tables_count;
	struct maa_buf sites, traces;
	struct maa_trace *batch;
	uint64_t batch_count;
	struct maa_name_slot *known; /* by address: tracebacks that were written */
	uint32_t known_bits, last_id;
};

enum maa_phase { PH_THREADS, PH_ROOTS, PH_GC, PH_SWEEP, PH_LIBDATA, PH_SITES, PH_ARENAS, PH_STATS, PH_END };

#define MAA_SEEN_MAX 64u
#define MAA_ONCE_BITS 14

struct maa {
	struct maa_args *args;
	struct ma_ring *ring;
	const struct ma_layout *L;
	unsigned minor;
	uint32_t phase;
	uint32_t no_calls;    /* MAA_FLAG_NO_CALLS */
	uint64_t ref_tags;    /* the low bits of a _PyStackRef that are no address, 3.14+ (pycore_stackref.h) */
	uint32_t hook_head;   /* what the debug hooks put before an object's first byte: 0 or MAA_HOOK_HEAD */
	uint64_t block_round; /* (bytes + block_round) / 16 is the size class of the block of an object of so many bytes
			       */
	uint64_t refcnt_mask; /* of the first word of an object: its count */
	uint32_t refcnt_high; /* bits of the upper half of the count that are 0 in a mortal object: 3.14+ has flags
				 there */
	int32_t frame_cleared; /* FRAME_CLEARED of enum _framestate: 4, 5 in 3.15 */

	/* scratch */
	uint8_t *bump, *bump_end, *units; /* units: base of mark bitmaps and chunk pages */
	uint64_t *top;                    /* by address >> 30: offset of the chunk page from units */
	uint64_t *window, window_first;   /* the entries of WINDOW_CHUNKS chunks in a row, where most arenas are */
	uint64_t virtual_bytes;           /* of what was carved but is touched only as needed */

	/* work list */
	uint64_t *work;
	uint64_t wtop, wcap, whard, wpeak;
	uint32_t collecting, overflowed;

	/* types */
	struct maa_type *types;
	uint32_t types_count, types_max;
	uint32_t *type_hash;
	uint32_t type_hash_bits;
	struct {
		addr_t addr;
		struct maa_type *type;
	} type_cache[1u << TYPE_CACHE_BITS]; /* by a hash of the address; only sound types are in it */
	struct maa_slot *slots;
	uint32_t slots_count, slots_max;
	uint32_t *attrs; /* name ids */
	uint32_t attrs_count;
	addr_t subtype_traverse, str_sizeof, str_module;

	uint32_t pickler_bytes, unpickler_bytes; /* tp_basicsize of their types: size_more.c */
	struct maa_keys shared;                  /* the shared keys seen last */

	/* names */
	struct maa_name_slot *names;
	uint32_t names_bits, names_count, name_last;
	uint8_t *text; /* MA_NAME_MAX bytes and some */

	/* what is written */
	struct maa_buf ob, tb, nb, th, ar, rw, co;
	uint64_t conts; /* records in ob that go on with an earlier one */
	addr_t ob_prev;
	uint8_t *ob_limit; /* a record may begin up to here: MAA_ROOM bytes follow */

	struct maa_values values;

	/* the record being written, for the recovery from a fault */
	addr_t cur;
	struct maa_type *cur_type;
	uint8_t *rec;
	addr_t rec_prev;
	uint64_t cur_size, cur_buffer, cur_rc;
	uint32_t cur_extra, cur_gc, cur_place, type_edge_dropped, lru_edge_kept;
	uint32_t in_record; /* 1: begun, 2: its header is written */
	addr_t cur_dict;
	struct maa_w *traverse_w;
	uint64_t visits, visits_max; /* of the tp_traverse at hand, and what no object can have */
	uint64_t standstills;        /* of args->standstills, those seen to */

	/* ranges */
	struct maa_range *arenas, *statics; /* sorted; neighbours are one */
	struct maa_arena *arena_list;
	uint64_t arenas_count, statics_count, arena_list_count;
	uint64_t last_map, last_arena;

	/* progress of the phases */
	uint64_t ph_i, ph_j, ph_k;
	addr_t ph_p, ph_turtle;
	uint64_t ph_steps, ph_limit;
	uint32_t frozen; /* the object walked is a constant of a frozen module (3.11): it counts nothing */
	uint32_t unreached, found_by_list; /* unreached: MA_OX_UNREACHED while such an object is walked */
	addr_t interned;                   /* the last one met */
	addr_t interned_dicts[64];         /* all that are known, one for each interpreter (3.12+) */
	uint32_t interned_count;
	uint64_t sw_pool_bits[16];
	addr_t rw_addr, rw_owner; /* of the record before in m->rw */
	addr_t co_object;         /* the same in m->co */
	uint32_t np_array_bytes,
		np_dtype_bytes;          /* tp_basicsize of numpy.ndarray and numpy.dtype: they tell the version */
	addr_t python_start, python_end; /* the image that has the interpreter */
	uint64_t arrow_nodes, arrow_all;
	addr_t *native_once; /* blocks that were written, as far as remembered */
	uint32_t seen_count;
	addr_t seen[MAA_SEEN_MAX]; /* what tp_traverse told of the object at hand */
	uint32_t np_offsets_count, np_steps;
	uint32_t np_offsets[512]; /* of the references in an item of the structured dtype at hand */

	struct maa_sites sites;

	uint64_t stat[48];
	uint64_t class_objects[33];
	struct {
		uint64_t pools, used, free, waste;
	} classes[33];
	uint32_t beat;
	int32_t error; /* of the start: a negative errno */
};

MAA_INLINE uint64_t maa_hash(addr_t a)
{
	return a * 0x9E3779B97F4A7C15ull;
}

/* ------------------------------------------------------------------ loads */
#define RD(type, a) (*(const volatile type *)(a))
MAA_INLINE uint64_t rd64(addr_t a)
{
	return RD(uint64_t, a);
}
MAA_INLINE int32_t rd32(addr_t a)
{
	return RD(int32_t, a);
}
MAA_INLINE uint32_t rdu32(addr_t a)
{
	return RD(uint32_t, a);
}
MAA_INLINE uint8_t rd8(addr_t a)
{
	return RD(uint8_t, a);
}

/* ------------------------------------------------------------------ entry_*.S */
/* Calls fn(arg). 0 when it returned, 1 when it faulted and the tracer brought us back; recover: args->recover_pc,
 * followed by recover_sp. */
int maa_guard(uint64_t *recover, void (*fn)(struct maa *), struct maa *m);
void maa_trap(void) __attribute__((noreturn));
void maa_main(struct maa_args *args);

/* ------------------------------------------------------------------ ring.c */
void *memcpy(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void maa_beat(struct maa *m);
/* Publishes what is in the buffer, if anything, and empties it. Types and names go first. */
void maa_flush(struct maa *m, struct maa_buf *b);
void maa_ring_done(struct ma_ring *ring, uint32_t done, int32_t err);

/* ------------------------------------------------------------------ mem.c */
/* Zeroed memory of the agent's own, or NULL when the scratch is used up. */
void *maa_alloc(struct maa *m, uint64_t bytes);
void maa_mem_images(struct maa *m);
int maa_mem_init(struct maa *m);
uint8_t *maa_chunk_unit(struct maa *m, uint64_t *ch); /* gives a chunk its mark bits; NULL: no memory left */
int maa_map_readable(struct maa *m, addr_t a);        /* by the maps themselves */
unsigned maa_place_slow(struct maa *m, addr_t a);
int maa_in_arena(struct maa *m, addr_t a);

uint64_t *maa_chunk_far(struct maa *m, addr_t a); /* the entry of any address */

MAA_INLINE uint64_t *maa_chunk(struct maa *m, addr_t a)
{
	uint64_t i = (a >> CHUNK_SHIFT) - m->window_first;
	return LIKELY(i < WINDOW_CHUNKS) ? m->window + i : maa_chunk_far(m, a);
}

MAA_INLINE uint8_t *maa_chunk_marks(uint64_t entry)
{
	return (uint8_t *)(entry & ~CH_FLAGS);
}

/* May the bytes from a on be read? Exact at the page where they begin, and enough to refuse garbage. */
MAA_INLINE int maa_readable(struct maa *m, addr_t a)
{
	uint64_t c = *maa_chunk(m, a) & CH_CLASS;
	return LIKELY(c != CH_NONE) && (LIKELY(c != CH_MIXED) || maa_map_readable(m, a));
}

MAA_INLINE int maa_range_ok(struct maa *m, addr_t a, uint64_t bytes)
{
	if (UNLIKELY(bytes > (1ull << 42) || (a & 7)))
		return 0;
	return maa_readable(m, a) && (bytes < 4096 || maa_readable(m, a + bytes - 1));
}

/* Sets the mark of a. MAA_NEW: it was not set; MAA_SEEN: it was; MAA_NO: a can not be an object. In *arena TAG_ARENA
 * when a lies in an arena for certain, else 0. */
enum { MAA_NEW = 0, MAA_SEEN = 1, MAA_NO = 2 };
int maa_mark_slow(struct maa *m, addr_t a, uint64_t *ch); /* the marks may have to be made first */

MAA_INLINE int maa_mark_where(struct maa *m, addr_t a, uint64_t *arena)
{
	uint64_t *ch = maa_chunk(m, a), c = *ch;
	*arena = 0;
	if (UNLIKELY(!(c & CH_SIMPLE)) || UNLIKELY(a & 7))
		return maa_mark_slow(m, a, ch);
	uint64_t *word = (uint64_t *)(c - (CH_SIMPLE | CH_ARENA)) + (a >> 10 & (CHUNK_BYTES / 1024 - 1)), old = *word;
	if (old >> (a >> 4 & 63) & 1)
		return MAA_SEEN;
	*word = old | 1ull << (a >> 4 & 63);
	*arena = TAG_ARENA;
	return MAA_NEW;
}

MAA_INLINE int maa_mark(struct maa *m, addr_t a)
{
	uint64_t arena;
	return maa_mark_where(m, a, &arena);
}

MAA_INLINE int maa_marked(struct maa *m, addr_t a)
{
	uint64_t c = *maa_chunk(m, a);
	const uint8_t *marks = maa_chunk_marks(c);
	if (!marks)
		return 0;
	uint64_t bit = (a & (CHUNK_BYTES - 1)) >> (4 - ((c & CH_FINE) != 0));
	return marks[bit >> 3] >> (bit & 7) & 1;
}

void maa_unmark(struct maa *m, addr_t a);

/* A block in an arena that an object owns is no object: its mark keeps the sweep away from it. */
MAA_INLINE void maa_own(struct maa *m, addr_t a)
{
	uint64_t c = *maa_chunk(m, a) & CH_CLASS;
	if (c == CH_ARENA || c == CH_MIXED)
		maa_mark(m, a & ~15ull);
}

MAA_INLINE unsigned maa_place(struct maa *m, addr_t a)
{
	uint64_t c = *maa_chunk(m, a) & CH_CLASS;
	return LIKELY(c >= CH_ARENA && c <= CH_OTHER) ? (unsigned)c - CH_ARENA : maa_place_slow(m, a);
}

/* ------------------------------------------------------------------ names.c */
int maa_names_init(struct maa *m);
/* Twice the places, by the hash of the address; 0 or a negative number when no memory is left. */
int maa_slots_grow(struct maa *m, struct maa_name_slot **slots, uint32_t *bits);
/* The text of a str object as UTF-8 into out, at most max bytes; -1 when it is not one. */
int maa_str_text(struct maa *m, addr_t str, uint8_t *out, unsigned max);
/* The name id of a str object; 0 when it is not one or there are too many. */
uint32_t maa_name_slow(struct maa *m, addr_t str);
int maa_is_str(struct maa *m, addr_t str);
uint32_t maa_name_cstr(struct maa *m, addr_t text);

MAA_INLINE uint32_t maa_name(struct maa *m, addr_t str)
{
	const struct maa_name_slot *s = &m->names[maa_hash(str) >> (64 - m->names_bits)];
	return LIKELY(s->str == str) ? s->id : maa_name_slow(m, str);
}

/* ------------------------------------------------------------------ types.c */
int maa_types_init(struct maa *m);
struct maa_type *maa_type_slow(struct maa *m, addr_t t);
struct maa_type *maa_type_find(struct maa *m, addr_t t); /* only when it is known already */

/* What is known about a type; NULL when it is none. */
MAA_INLINE struct maa_type *maa_type_get(struct maa *m, addr_t t)
{
	uint64_t i = maa_hash(t) >> (64 - TYPE_CACHE_BITS);
	if (LIKELY(m->type_cache[i].addr == t) && LIKELY(t))
		return m->type_cache[i].type;
	struct maa_type *ti = maa_type_slow(m, t);
	if (!ti || ti->kind == K_BAD)
		return NULL;
	m->type_cache[i].addr = t;
	m->type_cache[i].type = ti;
	return ti;
}

/* tp_dict, where the version and the kind of type keep it; 0 if none. */
addr_t maa_type_dict(struct maa *m, addr_t t);
addr_t maa_type_subclasses(struct maa *m, addr_t t);

/* ------------------------------------------------------------------ keys.c: the table of a dict */
int maa_keys_open(struct maa *m, addr_t table, struct maa_keys *ret); /* 0 when it does not look like one */
addr_t maa_dict_find(struct maa *m, addr_t dict, addr_t key);         /* by the key's identity; 0 = not there */
addr_t maa_dict_find_text(struct maa *m, addr_t dict, const char *text, unsigned len, addr_t *key_ret);

/* 3.13+: the values behind an instance, which sys.getsizeof() leaves out (_PyInlineValuesSize). The first instances of
 * a class have room for more than later ones. */
MAA_INLINE uint64_t maa_inline_bytes(struct maa *m, addr_t a, const struct maa_type *t)
{
	if (LIKELY(!(t->flags & MT_INLINE)))
		return 0;
	uint64_t n = rd8(a + (uint64_t)t->basicsize + (uint64_t)m->L->values_capacity);
	return (n + 7) / 8 * 8 + (n + 1) * 8;
}

/* ------------------------------------------------------------------ hooks.c */
uint64_t maa_hooks_block(addr_t block);
void maa_hooks_find(struct maa *m, addr_t interp);

/* ------------------------------------------------------------------ the rest */
void maa_walk(struct maa *m, uint64_t item); /* walk.c: one place of the work list */
void maa_drain(struct maa *m);               /* fast.c: until the list is empty */
void maa_fast_prepare(struct maa *m, struct maa_type *t);
void maa_fault(struct maa *m); /* after maa_guard() returned 1 */
uint64_t maa_size(struct maa *m, addr_t a, const struct maa_type *t, uint64_t *buffer_ret); /* size.c */
unsigned maa_sized_kind(struct maa *m, addr_t t); /* size_more.c: an enum maa_kind, K_BAD when it is not known there */
int maa_code_line(struct maa *m, addr_t code, int64_t instr); /* lines.c: instr in bytes from the first; 0 = unknown */
void maa_threads(struct maa *m);                              /* threads.c */
void maa_roots(struct maa *m);
void maa_gc_lists(struct maa *m);   /* gclist.c */
int maa_arenas_find(struct maa *m); /* arenas.c */
void maa_arenas_write(struct maa *m);
void maa_sweep(struct maa *m);                    /* sweep.c */
unsigned maa_numpy_kind(struct maa *m, addr_t t); /* numpy.c: enum maa_kind of numpy's own types, else K_BAD */
uint64_t maa_numpy_size(struct maa *m, addr_t a, const struct maa_type *t, uint64_t *buffer);
uint32_t maa_numpy_scalar_bytes(struct maa *m, addr_t t);
int maa_numpy_forever(struct maa *m, addr_t type); /* a DType class: never freed, and not all of it is counted */
int maa_native_init(struct maa *m);                /* native.c */
uint32_t maa_native_body(struct maa *m, addr_t t);
unsigned maa_native_kind(struct maa *m, addr_t t, uint32_t *detail); /* arrow.c: enum maa_native */
void maa_libdata(struct maa *m);                                     /* libdata.c */
void maa_sites(struct maa *m);                                       /* sites.c */
/* raw.c: memory that belongs to `owner`, or a word of native memory at `word` that is the address of `object` */
void maa_raw(struct maa *m, unsigned kind, addr_t a, uint64_t bytes, addr_t owner);
void maa_raw_word(struct maa *m, addr_t word, addr_t object);
/* `kind`: enum ma_content_kind, of the items at `data`. */
void maa_content(struct maa *m, addr_t object, uint64_t bytes, uint64_t hash, unsigned kind, addr_t data);

/* A field that this version may not have: 0 then. */
#define FIELD(m, base, id) ((m)->L->id >= 0 ? rd64((base) + (uint64_t)(m)->L->id) : 0)
/* One of two fields, whichever the version has. */
#define EITHER(m, a_, b_) ((m)->L->a_ >= 0 ? (m)->L->a_ : (m)->L->b_)

#endif
