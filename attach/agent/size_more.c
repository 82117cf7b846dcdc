// SPDX-License-Identifier: Apache-2.0
/* size_more.c - the sizes of what has a __sizeof__ in an extension module of the standard library.
 *
 * Each follows the __sizeof__ of its C file, which private_fields.h names; the structs are private to these
 * files, so a type counts as known only when name and tp_basicsize are as expected. */
#include "size.h"
#include "visit.h"

enum private_id {
#define PRIVATE(id, image, type, member, lo, hi, value) P_##id,
#define PRIVATE_SIZE(id, image, type, lo, hi, value) P_##id,
#include "private_fields.h"
	P_PICKLER_OUTPUT, /* these go by the size of the struct */
	P_UNPICKLER_INPUT_LINE,
	P_UNPICKLER_ENCODING,
	P_UNPICKLER_ERRORS,
	P_UNPICKLER_MARKS,
	P_UNPICKLER_MARKS_SIZE,
};

static const struct {
	uint8_t id;
	uint16_t lo, hi, value;
} privates[] = {
#define PRIVATE(id, image, type, member, lo, hi, value) { P_##id, lo, hi, value },
#define PRIVATE_ALT(id, image, type, member, lo, hi, value) { P_##id, lo, hi, value },
#define PRIVATE_SIZE(id, image, type, lo, hi, value) { P_##id, lo, hi, value },
#define PRIVATE_ALT_SIZE(id, image, type, lo, hi, value) { P_##id, lo, hi, value },
#include "private_fields.h"
};

static const struct {
	uint8_t id;
	uint16_t size, value;
} privates_of[] = {
#define PRIVATE_OF(id, image, type, member, size, value) { P_##id, size, value },
#include "private_fields.h"
};

/* The value where the struct has this size; 0, which no row has, where that size is not known. */
static uint64_t value_of_size(enum private_id id, uint64_t size)
{
	for (unsigned i = 0; i < sizeof(privates_of) / sizeof(privates_of[0]); i++)
		if (privates_of[i].id == id && privates_of[i].size == size)
			return privates_of[i].value;
	return 0;
}

/* The value for this version; 0, which no row has, where it has none. */
static uint64_t value_of(struct maa *m, enum private_id id)
{
	for (unsigned i = 0; i < sizeof(privates) / sizeof(privates[0]); i++)
		if (privates[i].id == id && m->minor + 300 >= privates[i].lo && m->minor + 300 <= privates[i].hi)
			return privates[i].value;
	return 0;
}

static const struct {
	char name[40];
	uint8_t kind, size; /* size: an enum private_id */
} sized[] = {
	{ "_struct.Struct", K_S_STRUCT, P_STRUCT_SIZE },
	{ "Struct", K_S_STRUCT, P_STRUCT_SIZE }, /* 3.8 */
	{ "_io.BufferedReader", K_S_BUFFERED, P_BUFFERED_SIZE },
	{ "_io.BufferedWriter", K_S_BUFFERED, P_BUFFERED_SIZE },
	{ "_io.BufferedRandom", K_S_BUFFERED, P_BUFFERED_SIZE },
	{ "_pickle.Pickler", K_S_PICKLER, P_PICKLER_OUTPUT },
	{ "_pickle.Unpickler", K_S_UNPICKLER, P_UNPICKLER_MARKS },
	{ "_queue.SimpleQueue", K_S_QUEUE, P_QUEUE_SIZE },
	{ "xml.etree.ElementTree.Element", K_S_ELEMENT, P_ELEMENT_SIZE },
	{ "decimal.Decimal", K_S_DECIMAL, P_DECIMAL_SIZE },
	{ "itertools.product", K_S_PRODUCT, P_PRODUCT_SIZE },
	{ "itertools.combinations", K_S_COMBINATIONS, P_COMBINATIONS_SIZE },
	{ "itertools.combinations_with_replacement", K_S_COMBINATIONS, P_COMBINATIONS_SIZE },
	{ "itertools.permutations", K_S_PERMUTATIONS, P_PERMUTATIONS_SIZE },
	{ "StgDict", K_STGDICT, P_STGDICT_SIZE },
	{ "_ctypes.CType_Type", K_S_CTYPE, P_STGINFO_SIZE },
	{ "parser.st", K_S_PARSER, P_ST_SIZE },
};

/* Behind PyHeapTypeObject, at a multiple of 16: PyObject_GetTypeData(). */
static uint64_t stginfo_offset(struct maa *m)
{
	return (rd64(m->args->known[MA_KT_TYPE] + (uint64_t)m->L->type_basicsize) + 15) & ~15ull;
}

unsigned maa_sized_kind(struct maa *m, addr_t t)
{
	addr_t name = rd64(t + (uint64_t)m->L->type_name);
	if (!name || !maa_readable(m, name))
		return K_BAD;
	for (unsigned i = 0; i < sizeof(sized) / sizeof(sized[0]); i++) {
		unsigned k = 0;
		while (k < sizeof(sized[i].name) && sized[i].name[k] && rd8(name + k) == (uint8_t)sized[i].name[k])
			k++;
		if (k < sizeof(sized[i].name) && (sized[i].name[k] || rd8(name + k)))
			continue;
		uint64_t basic = rd64(t + (uint64_t)m->L->type_basicsize);
		if (sized[i].size >= P_PICKLER_OUTPUT) {
			if (!value_of_size(sized[i].size, basic))
				return K_BAD;
			if (sized[i].kind == K_S_PICKLER)
				m->pickler_bytes = (uint32_t)basic;
			else
				m->unpickler_bytes = (uint32_t)basic;
			return sized[i].kind;
		}
		uint64_t size = value_of(m, sized[i].size);
		if (sized[i].kind == K_S_CTYPE) { /* its own size counts in steps of 16, too */
			basic -= stginfo_offset(m);
			size = (size + 15) & ~15ull;
		}
		return size && size == basic ? sized[i].kind : K_BAD;
	}
	return K_BAD;
}

static addr_t at(struct maa *m, addr_t a, enum private_id id)
{
	return rd64(a + value_of(m, id));
}

static int usable(struct maa *m, addr_t p)
{
	return p && !(p & 7) && maa_readable(m, p);
}

static uint64_t text_bytes(struct maa *m, addr_t p)
{
	uint64_t n = 0;
	if (!p || !maa_readable(m, p))
		return 0;
	while (n < 1u << 20 && rd8(p + n))
		n++;
	return own_small(m, p, n + 1);
}

static uint64_t tuple_len(struct maa *m, addr_t tuple)
{
	return usable(m, tuple) ? items(tuple) : 0;
}

static uint64_t struct_bytes(struct maa *m, addr_t a)
{
	addr_t codes = at(m, a, P_STRUCT_CODES);
	uint64_t each = value_of(m, P_FORMATCODE_SIZE), n = 1;
	if (!usable(m, codes))
		return 0;
	while (n < 1u << 20 && rd64(codes + (n - 1) * each)) /* the last has no fmtdef */
		n++;
	return own_small(m, codes, n * each);
}

static uint64_t pickler_bytes(struct maa *m, addr_t a)
{
	addr_t memo = at(m, a, P_PICKLER_MEMO), out = rd64(a + value_of_size(P_PICKLER_OUTPUT, m->pickler_bytes));
	uint64_t bytes = 0;
	if (usable(m, memo)) {
		bytes = own_small(m, memo, value_of(m, P_MEMO_TABLE_SIZE));
		bytes += own_small(m, at(m, memo, P_MEMO_TABLE_TABLE),
				   sane(at(m, memo, P_MEMO_TABLE_ALLOCATED) * value_of(m, P_MEMO_ENTRY_SIZE)));
	}
	if (usable(m, out))
		bytes += own_small(m, out, (uint64_t)m->L->bytes_sval + 1 + sane(items(out)));
	return bytes;
}

static addr_t unpickler_at(struct maa *m, addr_t a, enum private_id id)
{
	return rd64(a + value_of_size(id, m->unpickler_bytes));
}

static uint64_t unpickler_bytes(struct maa *m, addr_t a)
{
	addr_t memo = at(m, a, P_UNPICKLER_MEMO), marks = unpickler_at(m, a, P_UNPICKLER_MARKS);
	uint64_t bytes = 0;
	if (memo)
		bytes += own_small(m, memo, sane(8 * at(m, a, P_UNPICKLER_MEMO_SIZE)));
	if (marks)
		bytes += own_small(m, marks, sane(8 * unpickler_at(m, a, P_UNPICKLER_MARKS_SIZE)));
	return bytes + text_bytes(m, unpickler_at(m, a, P_UNPICKLER_INPUT_LINE)) +
	       text_bytes(m, unpickler_at(m, a, P_UNPICKLER_ENCODING)) +
	       text_bytes(m, unpickler_at(m, a, P_UNPICKLER_ERRORS));
}

static uint64_t element_bytes(struct maa *m, addr_t a)
{
	addr_t extra = at(m, a, P_ELEMENT_EXTRA);
	if (!usable(m, extra))
		return 0;
	addr_t children = at(m, extra, P_EXTRA_CHILDREN);
	uint64_t bytes = own_small(m, extra, value_of(m, P_EXTRA_SIZE));
	if (children != extra + value_of(m, P_EXTRA_OWN_CHILDREN))
		bytes += own_small(m, children, sane(8 * at(m, extra, P_EXTRA_ALLOCATED)));
	return bytes;
}

/* MPD_STATIC_DATA, MPD_SHARED_DATA, MPD_CONST_DATA: Modules/_decimal/libmpdec/mpdecimal.h */
static uint64_t decimal_bytes(struct maa *m, addr_t a)
{
	if (rd8(a + value_of(m, P_DECIMAL_FLAGS)) & 0xe0)
		return 0;
	return own_small(m, at(m, a, P_DECIMAL_DATA), sane(8 * at(m, a, P_DECIMAL_ALLOC)));
}

static uint64_t permutations_bytes(struct maa *m, addr_t a)
{
	uint64_t n = sane(8 * tuple_len(m, at(m, a, P_PERMUTATIONS_POOL))), r = sane(8 * at(m, a, P_PERMUTATIONS_R));
	own_small(m, at(m, a, P_PERMUTATIONS_INDICES), n);
	own_small(m, at(m, a, P_PERMUTATIONS_CYCLES), r);
	return n + r;
}

/* What a ctypes type knows of its C type: format, shape, elements for libffi. */
static uint64_t stg_bytes(struct maa *m, addr_t info)
{
	uint64_t bytes = text_bytes(m, at(m, info, P_STG_FORMAT));
	uint32_t ndim = rdu32(info + value_of(m, P_STG_NDIM));
	addr_t elements = at(m, info, P_STG_ELEMENTS);
	if (ndim && ndim < 1u << 20)
		bytes += own_small(m, at(m, info, P_STG_SHAPE), 8ull * ndim);
	if (elements)
		bytes += own_small(m, elements, sane(8 * (at(m, info, P_STG_LENGTH) + 1)));
	return bytes;
}

/* Parser/node.c: XXXROUNDUP() and fancy_roundup() */
static uint64_t children_room(uint64_t n)
{
	uint64_t room = 256;
	if (n <= 1)
		return n;
	if (n <= 128)
		return (n + 3) & ~3ull;
	while (room < n)
		room <<= 1;
	return room;
}

#define DEPTH 1024u

/* The syntax tree of the module parser (3.8, 3.9): sizeofchildren() in Parser/node.c. Deeper trees than DEPTH, which a
 * program of that depth makes, get a lower bound. */
static uint64_t parser_bytes(struct maa *m, addr_t a)
{
	struct {
		addr_t node;
		uint64_t left;
	} stack[DEPTH];
	uint64_t each = value_of(m, P_NODE_SIZE), bytes = each, steps = 0;
	unsigned depth = 0;
	stack[0].node = at(m, a, P_ST_NODE);
	stack[0].left = 1;
	if (!stack[0].node)
		return 0;
	for (;;) {
		while (!stack[depth].left) {
			if (!depth)
				return bytes;
			depth--;
		}
		addr_t node = stack[depth].node;
		stack[depth].left--;
		stack[depth].node += each;
		if (!usable(m, node) || ++steps > 1u << 24)
			return bytes;
		addr_t child = at(m, node, P_NODE_CHILD);
		uint64_t n = rdu32(node + value_of(m, P_NODE_NCHILDREN));
		bytes += text_bytes(m, at(m, node, P_NODE_STR));
		if (!child || n > 1u << 24)
			continue;
		bytes += own_small(m, child, children_room(n) * each);
		if (depth + 1 < DEPTH) {
			stack[++depth].node = child;
			stack[depth].left = n;
		}
	}
}

uint64_t maa_size_more(struct maa *m, addr_t a, const struct maa_type *t)
{
	switch (t->size_kind) {
	case K_S_STRUCT:
		return struct_bytes(m, a);
	case K_S_BUFFERED: {
		addr_t buffer = at(m, a, P_BUFFERED_BUFFER);
		return buffer ? own_small(m, buffer, sane(at(m, a, P_BUFFERED_BUFFER_SIZE))) : 0;
	}
	case K_S_PICKLER:
		return pickler_bytes(m, a);
	case K_S_UNPICKLER:
		return unpickler_bytes(m, a);
	case K_S_ELEMENT:
		return element_bytes(m, a);
	case K_S_DECIMAL:
		return decimal_bytes(m, a);
	case K_S_QUEUE:
		return own_small(m, at(m, a, P_QUEUE_ITEMS), sane(8 * at(m, a, P_QUEUE_CAPACITY)));
	case K_S_PRODUCT: {
		uint64_t n = sane(8 * tuple_len(m, at(m, a, P_PRODUCT_POOLS)));
		return own_small(m, at(m, a, P_PRODUCT_INDICES), n);
	}
	case K_S_COMBINATIONS:
		return own_small(m, at(m, a, P_COMBINATIONS_INDICES), sane(8 * at(m, a, P_COMBINATIONS_R)));
	case K_S_PERMUTATIONS:
		return permutations_bytes(m, a);
	case K_STGDICT:
		return stg_bytes(m, a);
	case K_S_CTYPE:
		return stg_bytes(m, a + stginfo_offset(m));
	case K_S_PARSER:
		return parser_bytes(m, a);
	default:
		return 0;
	}
}

/* While nobody else has the bytes object it is part of the size: see maa_size(). */
void maa_visit_bytesio(struct maa *m, struct maa_w *w, addr_t a)
{
	addr_t buf = at(m, a, P_BYTESIO_BUF);
	if (usable(m, buf) && rd64(buf) != 1)
		maa_edge_plain(m, w, buf);
}

/* PyCStgDict_clear() tells what it holds beside its keys and values. Its proto is an edge of the class that the dict
 * belongs to: CDataType_traverse() reports it. */
void maa_visit_stgdict(struct maa *m, struct maa_w *w, addr_t a)
{
	maa_edge_plain(m, w, at(m, a, P_STG_ARGTYPES));
	maa_edge_plain(m, w, at(m, a, P_STG_CONVERTERS));
	maa_edge_plain(m, w, at(m, a, P_STG_RESTYPE));
	maa_edge_plain(m, w, at(m, a, P_STG_CHECKER));
}
