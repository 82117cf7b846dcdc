// SPDX-License-Identifier: Apache-2.0
/* types.c - what the agent knows of each type: looked at once, when the first object of it is met. */
#include "emit.h"
#include "value.h"

#define TYPES_MAX (1u << 19)
#define MEMBERS_MAX 16u
#define SLOTS_MAX (1u << 20)

static int hash_alloc(struct maa *m, uint32_t bits)
{
	uint32_t *h = maa_alloc(m, sizeof(*h) << bits);
	if (!h)
		return -12;
	for (uint32_t i = 1; i < m->types_count; i++) {
		uint64_t x = maa_hash(m->types[i].addr) >> (64 - bits);
		while (h[x])
			x = (x + 1) & ((1ull << bits) - 1);
		h[x] = i;
	}
	m->type_hash = h;
	m->type_hash_bits = bits;
	return 0;
}

/* The part of the interpreter state that has the dict of a static built-in type (3.12+: typeobject.c,
 * lookup_tp_dict); 0 when the type keeps its own. */
static addr_t static_state(struct maa *m, addr_t t)
{
	const struct ma_layout *L = m->L;
	if (m->minor < 12 || !(rd64(t + (uint64_t)L->type_flags) & TPF_STATIC_BUILTIN))
		return 0;
	uint64_t i = rd64(t + (uint64_t)L->type_subclasses) - 1;
	addr_t interp = rd64(m->args->runtime + (uint64_t)L->runtime_interp_head);
	uint64_t size = (uint64_t)EITHER(m, sizeof_static_state, sizeof_static_state_312);
	uint64_t type_at = (uint64_t)EITHER(m, static_state_type, static_state_type_312);
	if (i > 4096 || !interp)
		return 0;
	/* the list is newest first: the main interpreter, which initialised the type, is the last */
	for (unsigned n = 0; n < 1024; n++) {
		addr_t next = rd64(interp + (uint64_t)L->interp_next);
		if (!next || !maa_readable(m, next))
			break;
		interp = next;
	}
	addr_t s = interp + (uint64_t)EITHER(m, interp_types_builtins, interp_types_builtins_312) + i * size;
	if (maa_readable(m, s) && rd64(s + type_at) == t)
		return s;
	if (L->interp_types_extensions >= 0) {
		s = interp + (uint64_t)L->interp_types_extensions + i * size;
		if (maa_readable(m, s) && rd64(s + type_at) == t)
			return s;
	}
	return 0;
}

addr_t maa_type_dict(struct maa *m, addr_t t)
{
	addr_t s = static_state(m, t);
	return s ? rd64(s + (uint64_t)EITHER(m, static_state_dict, static_state_dict_312))
		 : rd64(t + (uint64_t)m->L->type_dict);
}

addr_t maa_type_subclasses(struct maa *m, addr_t t)
{
	addr_t s = static_state(m, t);
	if (s)
		return rd64(s + (uint64_t)EITHER(m, static_state_subclasses, static_state_subclasses_312));
	if (m->minor >= 12 && (rd64(t + (uint64_t)m->L->type_flags) & TPF_STATIC_BUILTIN))
		return 0; /* an index, no pointer */
	return rd64(t + (uint64_t)m->L->type_subclasses);
}

static unsigned known_kind(struct maa *m, addr_t t)
{
	unsigned i = 0;
	while (i < MA_KNOWN_COUNT && m->args->known[i] != t)
		i++;
	switch (i) {
	case MA_KT_UNICODE:
		return K_STR;
	case MA_KT_LONG:
	case MA_KT_BOOL:
		return K_LONG;
	case MA_KT_BYTES:
		return K_BYTES;
	case MA_KT_BYTEARRAY:
		return K_BYTEARRAY;
	case MA_KT_TUPLE:
		return K_TUPLE;
	case MA_KT_LIST:
		return K_LIST;
	case MA_KT_DICT:
	case MA_KT_FROZENDICT:
		return K_DICT;
	case MA_KT_ODICT:
		return K_ODICT;
	case MA_KT_SET:
	case MA_KT_FROZENSET:
		return K_SET;
	case MA_KT_TYPE:
		return K_TYPE;
	case MA_KT_MODULE:
		return K_MODULE;
	case MA_KT_FUNCTION:
		return K_FUNCTION;
	case MA_KT_METHOD:
		return K_METHOD;
	case MA_KT_CFUNCTION:
	case MA_KT_CMETHOD:
		return K_CFUNCTION;
	case MA_KT_CODE:
		return K_CODE;
	case MA_KT_FRAME:
		return K_FRAME;
	case MA_KT_GEN:
	case MA_KT_CORO:
	case MA_KT_ASYNC_GEN:
		return K_GEN;
	case MA_KT_CELL:
		return K_CELL;
	case MA_KT_MEMBER_DESCR:
	case MA_KT_GETSET_DESCR:
	case MA_KT_METHOD_DESCR:
	case MA_KT_WRAPPER_DESCR:
	case MA_KT_CLASSMETHOD_DESCR:
		return K_DESCR;
	case MA_KT_WEAKREF:
	case MA_KT_WEAKREF_PROXY:
	case MA_KT_WEAKREF_CALLABLE:
		return K_WEAKREF;
	case MA_KT_SLICE:
		return K_SLICE;
	case MA_KT_RANGE:
		return K_RANGE;
	default:
		return K_BAD;
	}
}

static int name_is(addr_t name, const char *text)
{
	while (*text)
		if (rd8(name++) != (uint8_t)*text++)
			return 0;
	return rd8(name) == 0;
}

/* Types of extension modules, which no symbol names. Their layouts are private to one C file each and the
 * same from 3.8 to 3.15: Modules/_datetimemodule.c, _collectionsmodule.c, arraymodule.c, _io/bytesio.c. */
static unsigned named_kind(struct maa *m, addr_t t)
{
	addr_t name = rd64(t + (uint64_t)m->L->type_name);
	if (!name || !maa_readable(m, name))
		return K_BAD;
	switch (rd8(name)) {
	case 'S':
		return maa_sized_kind(m, t) == K_STGDICT ? K_STGDICT : K_BAD;
	case 'a':
		return name_is(name, "array.array") ? K_ARRAY : K_BAD;
	case '_':
		return name_is(name, "_io.BytesIO") ? K_BYTESIO : K_BAD;
	case 'f':
		return name_is(name, "functools._lru_cache_wrapper") ? K_LRU : K_BAD;
	case 'd':
		return name_is(name, "datetime.datetime") ? K_DATETIME
		       : name_is(name, "datetime.time")   ? K_TIME
							  : K_BAD;
	case 'c':
		return name_is(name, "collections.deque")         ? K_DEQUE
		       : name_is(name, "collections.defaultdict") ? K_DEFAULTDICT
								  : K_BAD;
	case 'm':
		return name_is(name, "moduledef") ? K_MODULEDEF : K_BAD;
	case 'n':
		return maa_numpy_kind(m, t);
	default:
		return K_BAD;
	}
}

/* How many items an instance of a struct sequence (sys.flags, os.stat_result) has; 0 when it is none. Its own
 * traverse function looks that up in the dict, which needs a current thread: there is none in a twin at rest.
 * Items beyond ob_size have no index (Objects/structseq.c). */
static uint64_t structseq_items(struct maa *m, addr_t t)
{
	const struct ma_layout *L = m->L;
	if (rd64(t + (uint64_t)L->type_base) != m->args->known[MA_KT_TUPLE])
		return 0;
	addr_t key = 0, n = maa_dict_find_text(m, maa_type_dict(m, t), "n_fields", 8, &key);
	if (!n || (n & 7) || !maa_readable(m, n) || rd64(n + OB_TYPE) != m->args->known[MA_KT_LONG])
		return 0;
	uint32_t digit = rdu32(n + (uint64_t)EITHER(m, long_digit, long_digit_311));
	return digit < 4096 ? digit : 0;
}

/* A type is an object whose own type is a type, ready, with sane sizes. */
static int plausible(struct maa *m, addr_t t)
{
	const struct ma_layout *L = m->L;
	if (!t || (t & 7) || !maa_readable(m, t) || !maa_readable(m, t + (uint64_t)L->sizeof_type - 8))
		return 0;
	uint64_t flags = rd64(t + (uint64_t)L->type_flags);
	int64_t basic = (int64_t)rd64(t + (uint64_t)L->type_basicsize),
		item = (int64_t)rd64(t + (uint64_t)L->type_itemsize);
	if (basic < 16 || basic > 1 << 24 || item < 0 || item > 1 << 24 || (int64_t)rd64(t) <= 0)
		return 0;
	addr_t mt = rd64(t + OB_TYPE), type = m->args->known[MA_KT_TYPE];
	/* PyType_Ready() is never called for some static types (3.8: functools' list elements) */
	if (!(flags & TPF_READY) && ((flags & TPF_HEAPTYPE) || mt != type))
		return 0;
	for (unsigned i = 0; i < 32; i++) {
		if (mt == type)
			return 1;
		if (!mt || (mt & 7) || !maa_readable(m, mt) || !(rd64(mt + (uint64_t)L->type_flags) & TPF_TYPE))
			return 0;
		mt = rd64(mt + (uint64_t)L->type_base);
	}
	return 0;
}

/* __slots__ of one class: PyMemberDef behind the heap type, as many as its ob_size. */
static void slots_add(struct maa *m, struct maa_type *ti, addr_t cls)
{
	addr_t meta = rd64(cls + OB_TYPE);
	int64_t n = (int64_t)rd64(cls + OB_SIZE);
	addr_t member = cls + rd64(meta + (uint64_t)m->L->type_basicsize);
	if (n <= 0 || n > 4096)
		return;
	for (int64_t i = 0; i < n && m->slots_count < m->slots_max; i++, member += 40) {
		int64_t offset = (int64_t)rd64(member + 16);
		if (rd32(member + 8) != 16 || offset < 16 || offset > 1 << 20) /* T_OBJECT_EX */
			continue;
		struct maa_slot *s = &m->slots[m->slots_count++];
		s->offset = (uint32_t)offset;
		s->name_id = maa_name_cstr(m, rd64(member));
		ti->slots_count++;
	}
}

static void member_add(struct maa *m, struct maa_type *ti, uint64_t offset, uint32_t name_id)
{
	if (m->slots_count >= m->slots_max || ti->members_count >= MEMBERS_MAX || !name_id)
		return;
	m->slots[m->slots_count++] = (struct maa_slot){ (uint32_t)offset, name_id };
	ti->members_count++;
}

/* tp_traverse gives no names, but tp_members of a C type and its bases tell what is where (property.fget, partial.func,
 * traceback.tb_frame). tp_members, tp_getset and tp_base are neighbours in every version. */
static void members_find(struct maa *m, struct maa_type *ti, addr_t t)
{
	const struct ma_layout *L = m->L;
	ti->members = m->slots_count;
	if (rd64(t + (uint64_t)L->type_flags) & TPF_BASE_EXC) { /* PyBaseExceptionObject: `notes` from 3.11 on */
		uint64_t at = m->minor >= 11 ? 40 : 32;
		member_add(m, ti, 24, N_ARGS);
		if (m->minor >= 11)
			member_add(m, ti, 32, N_NOTES);
		member_add(m, ti, at, N_TRACEBACK);
		member_add(m, ti, at + 8, N_EXC_CONTEXT);
		member_add(m, ti, at + 16, N_CAUSE);
	}
	for (unsigned depth = 0; depth < 8 && t && !(t & 7) && maa_readable(m, t); depth++) {
		addr_t def = rd64(t + (uint64_t)L->type_base - 16);
		for (unsigned i = 0; i < MEMBERS_MAX && def && !(def & 7) && maa_readable(m, def) && rd64(def);
		     i++, def += 40) {
			int32_t kind = rd32(def + 8);
			int64_t offset = (int64_t)rd64(def + 16);
			if ((kind == 6 || kind == 16) && offset >= 16 &&
			    offset <= ti->basicsize - 8) /* T_OBJECT, _EX */
				member_add(m, ti, (uint64_t)offset, maa_name_cstr(m, rd64(def)));
		}
		t = rd64(t + (uint64_t)L->type_base);
	}
}

static int is_class(struct maa *m, addr_t t)
{
	return (rd64(t + (uint64_t)m->L->type_flags) & TPF_HEAPTYPE) && m->subtype_traverse &&
	       rd64(t + (uint64_t)m->L->type_traverse) == m->subtype_traverse;
}

static void visitor_find(struct maa *m, struct maa_type *ti)
{
	const struct ma_layout *L = m->L;
	addr_t b = ti->addr;
	unsigned kind = K_BAD;
	ti->slots = m->slots_count;
	for (unsigned i = 0; i < 256 && b && maa_readable(m, b); i++) {
		uint64_t flags = rd64(b + (uint64_t)L->type_flags);
		kind = known_kind(m, b);
		if (kind == K_BAD)
			kind = named_kind(m, b);
		if (kind == K_BAD && (ti->keys = structseq_items(m, b)))
			kind = K_STRUCTSEQ;
		if (kind != K_BAD || !(flags & TPF_HEAPTYPE))
			break;
		if (is_class(m, b)) {
			ti->flags |= MT_CLASS;
			slots_add(m, ti, b);
		} else if (flags & TPF_HAVE_GC) {
			break; /* a C type with a traverse function of its own */
		}
		b = rd64(b + (uint64_t)L->type_base);
	}
	addr_t own = b && maa_readable(m, b) ? rd64(b + (uint64_t)L->type_traverse) : 0;
	int32_t own_dict = b && maa_readable(m, b) ? (int32_t)rd64(b + (uint64_t)L->type_dictoffset) : 0;
	ti->dictoffset = (int32_t)rd64(ti->addr + (uint64_t)L->type_dictoffset);
	if ((ti->flags & MT_CLASS) && ti->dictoffset == own_dict)
		ti->dictoffset = 0; /* the base visits it */
	/* a static type without the GC flag may have a traverse function that it inherited: it has no say */
	uint64_t base_flags = b && maa_readable(m, b) ? rd64(b + (uint64_t)L->type_flags) : 0;
	ti->traverse = own;
	if (m->no_calls && own && own != m->subtype_traverse)
		ti->body = (uint32_t)rd64(b + (uint64_t)L->type_basicsize);
	if (kind != K_BAD) {
		ti->kind = (uint8_t)kind;
	} else if ((base_flags & TPF_HAVE_GC) && own && own != m->subtype_traverse && maa_readable(m, own)) {
		ti->kind = K_TRAVERSE;
		ti->base_managed = (base_flags & TPF_MANAGED_DICT) != 0;
	} else {
		ti->kind = K_LEAF;
	}
	if (ti->kind == K_TRAVERSE)
		members_find(m, ti, b);
	if (ti->kind != K_TRAVERSE && kind == K_BAD && !(ti->flags & MT_CLASS))
		ti->dictoffset = 0;
}

/* Whose __sizeof__ do its instances have? */
static void sizer_find(struct maa *m, struct maa_type *ti)
{
	const struct ma_layout *L = m->L;
	addr_t mro = rd64(ti->addr + (uint64_t)L->type_mro);
	ti->size_kind = ti->kind;
	if (!mro || (mro & 7) || !maa_readable(m, mro))
		return;
	int64_t n = (int64_t)rd64(mro + OB_SIZE);
	for (int64_t i = 0; i < n && i < 1000; i++) {
		addr_t t = rd64(mro + (uint64_t)L->tuple_item + 8 * (uint64_t)i);
		if (!t || (t & 7) || !maa_readable(m, t) || !maa_dict_find(m, maa_type_dict(m, t), m->str_sizeof))
			continue;
		unsigned kind = known_kind(m, t);
		if (kind == K_BAD)
			kind = named_kind(m, t);
		if (kind == K_BAD)
			kind = maa_sized_kind(m, t);
		if (t == m->args->known[MA_KT_OBJECT])
			kind = K_LEAF;
		if (kind != K_BAD) {
			ti->size_kind = (uint8_t)kind;
			ti->flags |= MT_SIZER;
		} else {
			ti->size_kind = K_LEAF;
		}
		return;
	}
}

/* What stands before the last dot of tp_name: the module, for types of C. */
static int name_module(struct maa *m, addr_t t, uint8_t *text)
{
	addr_t s = rd64(t + (uint64_t)m->L->type_name);
	int dot = 0;
	for (unsigned i = 0; s && maa_readable(m, s + i) && i < MA_NAME_MAX && rd8(s + i); i++) {
		text[i] = rd8(s + i);
		if (text[i] == '.')
			dot = (int)i;
	}
	return dot;
}

/* module and qualname into m->text, one behind the other. */
static void type_names(struct maa *m, addr_t t, uint8_t *text, unsigned *module_len, unsigned *name_len)
{
	const struct ma_layout *L = m->L;
	int n = 0, k = -1;
	*module_len = *name_len = 0;
	if (rd64(t + (uint64_t)L->type_flags) & TPF_HEAPTYPE) {
		n = maa_str_text(m, maa_dict_find(m, maa_type_dict(m, t), m->str_module), text, MA_NAME_MAX);
		if (n < 0) /* no str: a descriptor for what instances say, as in the types of Cython */
			n = name_module(m, t, text);
		k = maa_str_text(m, rd64(t + (uint64_t)L->heaptype_qualname), text + n, MA_NAME_MAX);
		if (k >= 0) { /* a class may be named "" */
			*module_len = (unsigned)n;
			*name_len = (unsigned)k;
		}
	}
	if (k < 0) {
		addr_t s = rd64(t + (uint64_t)L->type_name);
		unsigned len = 0, dot = 0;
		if (s && maa_readable(m, s))
			for (uint8_t c; len < MA_NAME_MAX && (c = rd8(s + len)); len++) {
				text[len] = c;
				if (c == '.')
					dot = len + 1;
			}
		*module_len = dot ? dot - 1 : 0;
		*name_len = len - dot;
		for (unsigned i = 0; dot && i < len - dot; i++) /* closes the gap of the dot */
			text[dot - 1 + i] = text[dot + i];
	}
	if (*module_len == 8 && !memcmp(text, "builtins", 8)) {
		for (unsigned i = 0; i < *name_len; i++)
			text[i] = text[8 + i];
		*module_len = 0;
	}
}

/* Do its edges come from its own traverse function, wholly or in part? Without calls these are guessed. */
static int asks_traverse(struct maa *m, const struct maa_type *ti, unsigned kind)
{
	switch (kind) {
	case K_TRAVERSE:
	case K_NATIVE:
		return 1;
	case K_BYTESIO:
	case K_ARRAY:
	case K_LRU:
		return (ti->flags & MT_GC) && ti->traverse;
	case K_MODULE:
		return m->no_calls;
	default:
		return kind > K_SIZED && (ti->flags & MT_GC) && ti->traverse;
	}
}

static void type_write(struct maa *m, struct maa_type *ti, unsigned kind)
{
	struct maa_buf *b = &m->tb;
	uint8_t *text = m->text + MA_NAME_MAX + 64;
	unsigned module_len, name_len;
	type_names(m, ti->addr, text, &module_len, &name_len);
	if (b->p + module_len + name_len + 128 > b->data + MA_BLOCK_PAYLOAD)
		maa_flush(m, b);
	ti->id = (uint32_t)++m->stat[MA_STAT_TYPES];
	uint64_t flags = (ti->flags & MT_HEAP ? MA_TF_HEAP : 0) | (ti->flags & MT_SIZER ? MA_TF_SIZER : 0) |
			 (asks_traverse(m, ti, kind) ? 0 : MA_TF_VISITOR) |
			 (kind == K_NATIVE || (m->no_calls && asks_traverse(m, ti, kind)) ? MA_TF_GUESSED : 0);
	if (ti->value)
		flags |= MA_TF_VALUES | (uint64_t)(ti->value - 1) << MA_TF_VALUE_KIND_SHIFT;
	uint8_t *p = put(b->p, ti->id);
	p = put(p, ti->addr);
	p = put(p, flags);
	p = put(p, (uint64_t)ti->basicsize);
	p = put(p, (uint64_t)ti->itemsize);
	p = put(p, module_len);
	memcpy(p, text, module_len);
	p = put(p + module_len, name_len);
	memcpy(p, text + module_len, name_len);
	b->p = p + name_len;
	b->records++;
}

static void type_fill(struct maa *m, struct maa_type *ti)
{
	const struct ma_layout *L = m->L;
	addr_t t = ti->addr;
	if (!plausible(m, t))
		return;
	uint64_t flags = rd64(t + (uint64_t)L->type_flags);
	ti->basicsize = (int64_t)rd64(t + (uint64_t)L->type_basicsize);
	ti->itemsize = (int32_t)rd64(t + (uint64_t)L->type_itemsize);
	unsigned f = (flags & TPF_HAVE_GC ? MT_GC : 0) | (flags & TPF_HEAPTYPE ? MT_HEAP : 0) |
		     (flags & TPF_TYPE ? MT_TYPEOBJ : 0);
	ti->presize = flags & TPF_HAVE_GC ? GC_HEAD : 0;
	if (m->minor == 11 && (flags & TPF_MANAGED_DICT))
		ti->presize += 16;
	if (m->minor >= 12 && (flags & (TPF_MANAGED_DICT | TPF_MANAGED_WEAKREF)))
		ti->presize += 16;
	if (m->minor >= 11 && (flags & TPF_MANAGED_DICT))
		f |= MT_MANAGED;
	if (m->minor >= 13 && (flags & TPF_INLINE_VALUES))
		f |= MT_INLINE;
	if (!(flags & TPF_TYPE) && rd64(t + (uint64_t)L->type_is_gc))
		f |= MT_ASK_GC;
	ti->flags = (uint8_t)f;
	unsigned kind;
	uint32_t body;
	visitor_find(m, ti);
	if ((flags & TPF_HEAPTYPE) && ti->kind != K_STRUCTSEQ)
		ti->keys = rd64(t + (uint64_t)L->heaptype_cached_keys);
	kind = ti->kind;
	ti->kind = K_BAD; /* until the rest could be read, too */
	sizer_find(m, ti);
	if (kind == K_TYPE)
		ti->size_kind = K_TYPE;
	if (ti->size_kind == K_NPSCALAR)
		ti->scalar_bytes = maa_numpy_scalar_bytes(m, t);
	ti->value = (uint8_t)maa_value_kind(m, t, flags);
	if ((kind == K_TRAVERSE || kind == K_LEAF) && ti->size_kind <= K_TRAVERSE && !(ti->flags & MT_TYPEOBJ) &&
	    (body = maa_native_body(m, t))) {
		ti->body = body;
		if (kind == K_LEAF)
			ti->traverse = 0; /* a type without the GC flag may have inherited one: it has no say */
		ti->native = (uint8_t)maa_native_kind(m, t, &ti->scalar_bytes);
		kind = K_NATIVE;
	}
	type_write(m, ti, kind);
	if (ti->flags & MT_MANAGED)
		ti->dictoffset = 0;
	ti->kind = (uint8_t)kind;
}

struct maa_type *maa_type_find(struct maa *m, addr_t t)
{
	uint64_t mask = (1ull << m->type_hash_bits) - 1, h = maa_hash(t) >> (64 - m->type_hash_bits);
	for (uint32_t i; (i = m->type_hash[h]); h = (h + 1) & mask)
		if (m->types[i].addr == t)
			return m->types[i].kind == K_BAD ? NULL : &m->types[i];
	return NULL;
}

MAA_COLD struct maa_type *maa_type_slow(struct maa *m, addr_t t)
{
	uint64_t mask = (1ull << m->type_hash_bits) - 1, h = maa_hash(t) >> (64 - m->type_hash_bits);
	for (uint32_t i; (i = m->type_hash[h]); h = (h + 1) & mask)
		if (m->types[i].addr == t)
			return &m->types[i];
	/* garbage is not remembered, or a corrupt heap would fill the table */
	if (!t || (t & 7) || !plausible(m, t) || m->types_count >= m->types_max)
		return NULL;
	if (m->types_count * 2ull > mask && m->type_hash_bits < 22) {
		if (hash_alloc(m, m->type_hash_bits + 1))
			return NULL;
		mask = (1ull << m->type_hash_bits) - 1;
		h = maa_hash(t) >> (64 - m->type_hash_bits);
		while (m->type_hash[h])
			h = (h + 1) & mask;
	}
	struct maa_type *ti = &m->types[m->types_count];
	ti->addr = t;
	ti->kind = K_BAD;
	m->type_hash[h] = m->types_count++;
	type_fill(m, ti);
	if (ti->kind != K_BAD) {
		maa_reach(m, t, 0); /* every type is listed, whether a reference to it is counted or not */
		maa_fast_prepare(m, ti);
	}
	return ti;
}

/* subtype_traverse() is static in typeobject.c. Every class made by a class statement has it; one is always there:
 * ModuleSpec of importlib. */
int maa_types_init(struct maa *m)
{
	const struct ma_layout *L = m->L;
	m->types_max = TYPES_MAX;
	m->slots_max = SLOTS_MAX;
	uint64_t bytes = sizeof(struct maa_type) * TYPES_MAX + sizeof(struct maa_slot) * SLOTS_MAX +
			 sizeof(uint32_t) * ATTRS_MAX;
	m->types = maa_alloc(m, sizeof(struct maa_type) * TYPES_MAX);
	m->slots = maa_alloc(m, sizeof(struct maa_slot) * SLOTS_MAX);
	m->attrs = maa_alloc(m, sizeof(uint32_t) * ATTRS_MAX);
	m->types_count = 1;
	if (!m->types || !m->slots || !m->attrs || hash_alloc(m, 12))
		return -12;
	m->virtual_bytes += bytes;
	addr_t type = m->args->known[MA_KT_TYPE], object = m->args->known[MA_KT_OBJECT];
	maa_dict_find_text(m, maa_type_dict(m, object), "__sizeof__", 10, &m->str_sizeof);
	maa_dict_find_text(m, maa_type_dict(m, type), "__module__", 10, &m->str_module);
	addr_t interp = rd64(m->args->runtime + (uint64_t)L->runtime_interp_head);
	for (unsigned n = 0; interp && n < 1024 && !m->subtype_traverse; n++) {
		addr_t lib = rd64(interp + (uint64_t)EITHER(m, interp_importlib, interp_importlib_old));
		addr_t dict = lib && maa_readable(m, lib) ? rd64(lib + (uint64_t)L->module_dict) : 0;
		addr_t spec = maa_dict_find_text(m, dict, "ModuleSpec", 10, NULL);
		if (plausible(m, spec))
			m->subtype_traverse = rd64(spec + (uint64_t)L->type_traverse);
		interp = rd64(interp + (uint64_t)L->interp_next);
	}
	return 0;
}
