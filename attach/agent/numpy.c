// SPDX-License-Identifier: Apache-2.0
/* numpy.c - arrays, dtypes and scalars of numpy, which has no tp_traverse for any of them.
 *
 * struct PyArrayObject_fields is the same in numpy 1.x and 2.x (ndarraytypes.h): data 16, nd 24, dimensions 32,
 * strides 40, base 48, descr 56, flags 64, weakreflist 72 (not owned), mem_handler 88 from 1.22 on.
 * dtype: typeobj 16, kind 24, byteorder 26, type_num 28; then 1.x (96 bytes): flags 27, elsize 32 (32 bits), subarray
 * 40, fields 48, names 56, metadata 72; 2.x (88 bytes): flags 32, elsize 40, metadata 56, and where it is a legacy one
 * subarray 88, fields 96, names 104. void scalar (arrayscalars.h): obval 24, descr 32, flags 40, base 48. */
#include "visit.h"

#define PART 8192u
#define OWNDATA 4u
#define TYPE_LONG 7
#define TYPE_LONGLONG 9
#define TYPE_DOUBLE 12
#define TYPE_OBJECT 17
#define TYPE_LEGACY_END 2056 /* NPY_VSTRING: PyDataType_ISLEGACY */
#define DTYPE_1 96u          /* tp_basicsize of numpy.dtype */
#define DTYPE_2 88u
#define DTYPE_2_LEGACY 120
#define BYTES_MAX (1ull << 44)
#define DTYPES_MAX 16384u /* in the dtype of an array: in a damaged heap one may be made of itself */
#define RAW_MIN 1024u     /* smaller arrays are in the sizes only: a range of their own would cost more than it tells */

static int text_is(addr_t p, const char *text)
{
	while (*text)
		if (rd8(p++) != (uint8_t)*text++)
			return 0;
	return rd8(p) == 0;
}

static addr_t type_name(struct maa *m, addr_t t)
{
	addr_t name = t && !(t & 7) && maa_readable(m, t) ? rd64(t + (uint64_t)m->L->type_name) : 0;
	return name && maa_readable(m, name) ? name : 0;
}

unsigned maa_numpy_kind(struct maa *m, addr_t t)
{
	addr_t name = type_name(m, t);
	if (!name)
		return K_BAD;
	uint32_t basic = (uint32_t)rd64(t + (uint64_t)m->L->type_basicsize);
	if (text_is(name, "numpy.ndarray") && basic >= 80) {
		m->np_array_bytes = basic;
		return K_NDARRAY;
	}
	if (text_is(name, "numpy.void") && basic >= 56)
		return K_NPVOID;
	if (text_is(name, "numpy._DTypeMeta")) /* its tp_traverse must not be called (dtypemeta_traverse) */
		return K_TYPE;
	if (text_is(name, "numpy.generic"))
		return K_NPSCALAR;
	for (unsigned i = 0; i < 6 && name; i++) {
		if (text_is(name, "numpy.dtype")) {
			m->np_dtype_bytes = (uint32_t)rd64(t + (uint64_t)m->L->type_basicsize);
			return m->np_dtype_bytes == DTYPE_1 || m->np_dtype_bytes == DTYPE_2 ? K_DTYPE : K_BAD;
		}
		t = rd64(t + (uint64_t)m->L->type_base);
		name = type_name(m, t);
	}
	return K_BAD;
}

/* numpy makes these classes by hand, at addresses of malloc, and never frees them; of the references to them it does
 * not count all (2.4.6: 133 in the loops of its ufuncs and 22 keys, for a count of 147; 2.5 makes them immortal). */
int maa_numpy_forever(struct maa *m, addr_t type)
{
	addr_t name = type_name(m, rd64(type + OB_TYPE));
	return name && rd64(type + OB_TYPE) != m->args->known[MA_KT_TYPE] && text_is(name, "numpy._DTypeMeta");
}

/* What gentype_itemsize_get() says of numpy.float64 and its kin: the digits of the name are bits. */
static uint32_t named_bytes(addr_t name)
{
	static const struct {
		char text[14];
		uint8_t bytes;
	} words[] = { { "bool", 1 },        { "bool_", 1 },   { "longlong", 8 },    { "ulonglong", 8 },
		      { "longdouble", 16 }, { "object_", 8 }, { "clongdouble", 32 } };
	for (unsigned i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (text_is(name, words[i].text))
			return words[i].bytes;
	uint32_t bits = 0;
	for (unsigned i = 0; i < 16 && rd8(name + i); i++) {
		uint8_t c = rd8(name + i);
		bits = c >= '0' && c <= '9' ? bits * 10 + c - '0' : 0;
	}
	return bits <= 512 ? bits / 8 : 0;
}

uint32_t maa_numpy_scalar_bytes(struct maa *m, addr_t t)
{
	for (unsigned i = 0; i < 32 && type_name(m, t); i++) {
		addr_t name = type_name(m, t);
		if (!(rd64(t + (uint64_t)m->L->type_flags) & TPF_HEAPTYPE) && rd8(name) == 'n' && rd8(name + 5) == '.')
			return named_bytes(name + 6);
		t = rd64(t + (uint64_t)m->L->type_base);
	}
	return 0;
}

static int dtype_ok(struct maa *m, addr_t d)
{
	if (!d || (d & 7) || !maa_readable(m, d))
		return 0;
	const struct maa_type *t = maa_type_get(m, rd64(d + OB_TYPE));
	return t && t->kind == K_DTYPE;
}

static int dtype_legacy(struct maa *m, addr_t d)
{
	int32_t num = rd32(d + 28);
	if (m->np_dtype_bytes == DTYPE_1)
		return 1;
	return num >= 0 && num < TYPE_LEGACY_END &&
	       (int64_t)rd64(rd64(d + OB_TYPE) + (uint64_t)m->L->type_basicsize) >= DTYPE_2_LEGACY;
}

static uint64_t dtype_bytes(struct maa *m, addr_t d)
{
	uint64_t n = m->np_dtype_bytes == DTYPE_1 ? rdu32(d + 32) : rd64(d + 40);
	return n <= BYTES_MAX ? n : 0;
}

static int dtype_has_objects(struct maa *m, addr_t d)
{
	return (m->np_dtype_bytes == DTYPE_1 ? rd8(d + 27) : rd8(d + 32)) & 1; /* NPY_ITEM_REFCOUNT */
}

/* Items of an array; 0 when that makes no sense. */
static uint64_t array_items(struct maa *m, addr_t a, uint64_t item)
{
	int32_t nd = rd32(a + 24);
	addr_t dims = rd64(a + 32);
	uint64_t n = 1;
	if (nd < 0 || nd > 64 || !item || (nd && !maa_range_ok(m, dims, (uint64_t)nd * 8)))
		return 0;
	for (int32_t i = 0; i < nd; i++) {
		uint64_t d = rd64(dims + (uint64_t)i * 8);
		if (!d || d > BYTES_MAX || n > BYTES_MAX / item / d)
			return 0;
		n *= d;
	}
	return n;
}

/* array_sizeof, voidtype_sizeof and gentype_sizeof of numpy. */
uint64_t maa_numpy_size(struct maa *m, addr_t a, const struct maa_type *t, uint64_t *buffer)
{
	uint64_t size = (uint64_t)t->basicsize, item;
	addr_t d;
	if (t->size_kind == K_NDARRAY) {
		d = rd64(a + 56);
		*buffer = 16 * (uint64_t)(rdu32(a + 24) & 127);
		if ((rdu32(a + 64) & OWNDATA) && dtype_ok(m, d))
			*buffer += array_items(m, a, dtype_bytes(m, d)) * dtype_bytes(m, d);
		return size + *buffer;
	}
	if (t->itemsize) /* numpy.bytes_ */
		item = rd64(a + OB_SIZE);
	else
		item = t->scalar_bytes;
	if (t->kind == K_NPVOID) {
		d = rd64(a + 32);
		item = dtype_ok(m, d) ? dtype_bytes(m, d) : 0;
		if (rdu32(a + 40) & OWNDATA)
			*buffer = item;
	}
	if (item > BYTES_MAX)
		item = 0;
	/* The value stands in tp_basicsize already: what numpy adds again is in no block. */
	uint64_t own = size + (t->itemsize ? item * (uint64_t)t->itemsize : 0);
	if (!*buffer && ((own + 15) & ~15ull) < own + item)
		*buffer = item;
	return own + item;
}

/* Where references are in one item of dtype d, into m->np_offsets. */
static void offsets_add(struct maa *m, addr_t d, uint64_t at, unsigned depth)
{
	if (!m->np_steps || depth > 8)
		return;
	m->np_steps--;
	if (!dtype_ok(m, d) || !dtype_legacy(m, d) || !dtype_has_objects(m, d))
		return;
	int one = m->np_dtype_bytes == DTYPE_1;
	if (rd32(d + 28) == TYPE_OBJECT) {
		if (m->np_offsets_count < sizeof(m->np_offsets) / sizeof(*m->np_offsets) && at <= 0xffffffffu)
			m->np_offsets[m->np_offsets_count++] = (uint32_t)at;
		return;
	}
	addr_t sub = rd64(d + (one ? 40 : 88)), fields = rd64(d + (one ? 48 : 96)), names = rd64(d + (one ? 56 : 104));
	if (sub && maa_range_ok(m, sub, 16)) { /* struct { base, shape } */
		addr_t base = rd64(sub);
		uint64_t step = dtype_ok(m, base) ? dtype_bytes(m, base) : 0, all = dtype_bytes(m, d);
		for (uint64_t i = 0; step && i + step <= all && m->np_offsets_count < 512 && m->np_steps; i += step)
			offsets_add(m, base, at + i, depth + 1);
		return;
	}
	if (!names || (names & 7) || !maa_readable(m, names) || !maa_readable(m, fields) ||
	    rd64(names + OB_TYPE) != m->args->known[MA_KT_TUPLE] ||
	    rd64(fields + OB_TYPE) != m->args->known[MA_KT_DICT])
		return;
	uint64_t n = rd64(names + OB_SIZE);
	for (uint64_t i = 0; i < n && i < DTYPES_MAX && m->np_steps; i++) {
		addr_t f = maa_dict_find(m, fields, rd64(names + (uint64_t)m->L->tuple_item + 8 * i));
		if (!f || (f & 7) || !maa_readable(m, f) || rd64(f + OB_TYPE) != m->args->known[MA_KT_TUPLE] ||
		    rd64(f + OB_SIZE) < 2)
			continue;
		addr_t off = rd64(f + (uint64_t)m->L->tuple_item + 8);
		if (!off || (off & 7) || !maa_readable(m, off) || rd64(off + OB_TYPE) != m->args->known[MA_KT_LONG])
			continue;
		/* an offset is below 2^30: one digit */
		offsets_add(m, rd64(f + (uint64_t)m->L->tuple_item),
			    at + rdu32(off + (uint64_t)EITHER(m, long_digit, long_digit_311)), depth + 1);
	}
}

/* The references in `n` items of dtype d from `data` on. Only who owns the data writes them, so that each is written
 * once; and an owner's items stand side by side (array_dealloc clears them so). */
static void visit_data(struct maa *m, struct maa_w *w, addr_t a, addr_t d, addr_t data, uint64_t n, uint64_t from)
{
	uint64_t item = dtype_bytes(m, d), to = n;
	m->np_offsets_count = 0;
	m->np_steps = DTYPES_MAX;
	offsets_add(m, d, 0, 0);
	uint64_t count = m->np_offsets_count;
	if (!count || from >= n || !maa_range_ok(m, data & ~7ull, n * item))
		return;
	uint64_t part = PART / count + 1;
	if (n - from > part) {
		to = from + part;
		maa_push_always(m, to << 3);
		maa_push_always(m, a | TAG_CONT);
	}
	for (uint64_t i = from; i < to; i++)
		for (uint64_t k = 0; k < count; k++)
			edge_item(m, w, rd64(data + i * item + m->np_offsets[k]), i * count + k);
}

/* Data that no known object owns: memory of native code behind a capsule, or nobody's. */
static int foreign(struct maa *m, addr_t base)
{
	if (!base)
		return 1;
	if ((base & 7) || !maa_readable(m, base))
		return 0;
	addr_t name = type_name(m, rd64(base + OB_TYPE));
	return name && text_is(name, "PyCapsule");
}

/* Which items a list of Python could have, too. */
static unsigned sampled_kind(addr_t d, uint64_t item)
{
	int32_t num = rd32(d + 28);
	if (item != 8 || rd8(d + 26) == '>')
		return MA_CONTENT_NONE;
	return num == TYPE_DOUBLE                         ? MA_CONTENT_FLOAT
	       : num == TYPE_LONG || num == TYPE_LONGLONG ? MA_CONTENT_INT
							  : MA_CONTENT_NONE;
}

/* Of MA_CONTENT_WORDS words of the data: whole arrays would cost as much as the rest of the walk, and more. */
static void hash_data(struct maa *m, addr_t a, addr_t d, addr_t data, uint64_t item, uint64_t bytes)
{
	struct ma_siphash s = ma_siphash_begin(&m->values.key[0]);
	uint64_t words = bytes / 8, n = words < MA_CONTENT_WORDS ? words : MA_CONTENT_WORDS, any = 0;
	uint32_t nd = rdu32(a + 24);
	addr_t dims = rd64(a + 32);
	if (m->values.mode == MA_VALUES_NONE || !maa_range_ok(m, data & ~7ull, bytes + (data & 7)))
		return;
	ma_siphash_word(&s, rdu32(d + 28), 1);
	ma_siphash_word(&s, item, 1);
	ma_siphash_word(&s, nd, 1);
	for (uint32_t i = 0; i < nd; i++) /* array_items() has looked at them */
		ma_siphash_word(&s, rd64(dims + 8 * (uint64_t)i), 1);
	for (uint64_t i = 0; i < n; i++) {
		uint64_t word = rd64(data + 8 * (i * words / n));
		any |= word;
		ma_siphash_word(&s, word, 1);
	}
	uint64_t last = rd64(data + bytes - 8);
	ma_siphash_word(&s, last, 1);
	if (any | last) /* of nothing but zeros nothing is known: as a rule nobody has filled it yet */
		maa_content(m, a, bytes, ma_siphash_end(&s, 0, 8 * (4 + nd + n), 1, 3),
			    nd == 1 && m->values.mode >= MA_VALUES_PREFIX ? sampled_kind(d, item) : MA_CONTENT_NONE,
			    data);
}

static void visit_array(struct maa *m, struct maa_w *w, addr_t a, uint64_t tags, uint64_t from)
{
	addr_t d = rd64(a + 56), data = rd64(a + 16), base = rd64(a + 48);
	uint32_t flags = rdu32(a + 64);
	uint64_t item = dtype_ok(m, d) ? dtype_bytes(m, d) : 0, n = array_items(m, a, item), bytes = n * item;
	if (!(tags & TAG_CONT)) {
		maa_edge_named(m, w, base, N_ARRAY_BASE);
		maa_edge_named(m, w, d, N_ARRAY_DTYPE);
		if (m->np_array_bytes >= 96)
			maa_edge_plain(m, w, rd64(a + 88));
		if ((flags & OWNDATA) && bytes >= RAW_MIN) {
			maa_raw(m, MA_RAW_NUMPY, data, bytes, a);
			hash_data(m, a, d, data, item, bytes);
		} else if (!(flags & OWNDATA) && bytes >= RAW_MIN && foreign(m, base))
			maa_raw(m, MA_RAW_FOREIGN, data, bytes, a);
	}
	if ((flags & OWNDATA) && n && dtype_has_objects(m, d))
		visit_data(m, w, a, d, data, n, from);
}

static void visit_dtype(struct maa *m, struct maa_w *w, addr_t a)
{
	int one = m->np_dtype_bytes == DTYPE_1;
	maa_edge_named(m, w, rd64(a + 16), N_DTYPE_TYPE);
	if (!dtype_legacy(m, a)) {
		/* StringDType: what stands for "missing" */
		if (rd32(a + 28) == TYPE_LEGACY_END)
			maa_edge_plain(m, w, rd64(a + 88));
		return;
	}
	addr_t sub = rd64(a + (one ? 40 : 88));
	maa_edge_named(m, w, rd64(a + (one ? 48 : 96)), N_DTYPE_FIELDS);
	maa_edge_named(m, w, rd64(a + (one ? 56 : 104)), N_DTYPE_NAMES);
	maa_edge_named(m, w, rd64(a + (one ? 72 : 56)), N_DTYPE_METADATA);
	if (sub && maa_range_ok(m, sub, 16)) {
		maa_edge_named(m, w, rd64(sub), N_ARRAY_BASE);
		maa_edge_named(m, w, rd64(sub + 8), N_DTYPE_SHAPE);
	}
}

void maa_visit_numpy(struct maa *m, struct maa_w *w, addr_t a, const struct maa_type *t, uint64_t tags, uint64_t from)
{
	if (t->kind == K_NDARRAY) {
		visit_array(m, w, a, tags, from);
	} else if (t->kind == K_DTYPE) {
		visit_dtype(m, w, a);
	} else {
		maa_edge_named(m, w, rd64(a + 32), N_ARRAY_DTYPE);
		maa_edge_named(m, w, rd64(a + 48), N_ARRAY_BASE);
	}
}
