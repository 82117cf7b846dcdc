// SPDX-License-Identifier: Apache-2.0
/* size.c - what sys.getsizeof() says of an object, and how much of it lies outside the object's own block.
 * The blocks in arenas that it owns are marked on the way, so that the sweep does not take them for objects. */
#include "size.h"
#include "visit.h"

static uint64_t str_size(struct maa *m, addr_t a, uint64_t *buffer)
{
	const struct ma_layout *L = m->L;
	uint64_t len = rd64(a + (uint64_t)L->str_length);
	uint32_t state = rdu32(a + (uint64_t)L->str_state);
	unsigned kind = state >> 2 & 7, compact = state >> 5 & 1, ascii = state >> 6 & 1;
	uint64_t size, data = 0;
	if (LIKELY(compact && ascii))
		size = (uint64_t)L->sizeof_str_ascii + sane(len) + 1;
	else if (compact)
		size = (uint64_t)L->sizeof_str_compact + sane((len + 1) * kind);
	else {
		size = (uint64_t)L->sizeof_str;
		data = rd64(a + (uint64_t)L->str_data);
		if (data)
			*buffer += own_small(m, data, sane((len + 1) * kind));
	}
	if (UNLIKELY(L->str_wstr >= 0)) {
		addr_t wstr = rd64(a + (uint64_t)L->str_wstr);
		/* it may be the same as the data: unicodeobject.c, _PyUnicode_HAS_WSTR_MEMORY */
		if (wstr && wstr != data && (kind != 4 || !compact)) {
			uint64_t n = compact && ascii ? len : rd64(a + (uint64_t)L->str_wstr_length);
			*buffer += own_small(m, wstr, sane((n + 1) * 4));
		}
	}
	if (!(compact && ascii)) {
		addr_t utf8 = rd64(a + (uint64_t)L->str_utf8);
		if (utf8 && utf8 != data)
			*buffer += own_small(m, utf8, sane(rd64(a + (uint64_t)L->str_utf8_length) + 1));
	}
	return size + *buffer;
}

static uint64_t long_size(struct maa *m, addr_t a, const struct maa_type *t)
{
	const struct ma_layout *L = m->L;
	if (L->long_tag < 0) {
		/* gh-100637: zero counts one digit from 3.11.2 on */
		uint32_t micro = L->version & 0xff;
		uint64_t n = items(a), least = m->minor == 11 && micro >= 2;
		return (uint64_t)L->long_digit_311 + sane(4 * (n > least ? n : least));
	}
	uint64_t digits = rd64(a + (uint64_t)L->long_tag) >> 3;
	return (uint64_t)t->basicsize + sane(4 * (digits ? digits : 1));
}

static uint64_t dict_size(struct maa *m, addr_t a, const struct maa_type *t, uint64_t *buffer)
{
	const struct ma_layout *L = m->L;
	addr_t values = rd64(a + (uint64_t)L->dict_values);
	struct maa_keys k;
	if (!maa_keys_open(m, rd64(a + (uint64_t)L->dict_keys), &k))
		return (uint64_t)t->basicsize;
	if (values) { /* the table is counted with the class that has it; where none has it any more, here, once */
		if (!maa_mark(m, k.table) && k.refcnt != 1)
			m->stat[MA_STAT_LOOSE_KEYS_BYTES] += sane(k.bytes);
	} else if (k.refcnt == 1) {
		own_small(m, k.table, k.bytes);
	}
	if (values) {
		uint64_t n = k.usable;
		if (m->minor >= 11)
			n = rd64(k.table + (uint64_t)L->keys_nentries) + rd64(k.table + (uint64_t)L->keys_usable);
		*buffer += sane(8 * n);
		if (m->minor >= 13) {
			if (!rd8(values + (uint64_t)L->values_embedded))
				maa_own(m, values);
		} else if (m->minor >= 11) {
			maa_own(m, values - rd8(values - 1)); /* [-1] = bytes of the prefix */
		} else {
			maa_own(m, values);
		}
	}
	if (k.refcnt == 1 && !(m->minor >= 13 && values))
		*buffer += sane(k.bytes);
	return (uint64_t)t->basicsize + *buffer;
}

static uint64_t sizeof_dict(struct maa *m)
{
	return rd64(m->args->known[MA_KT_DICT] + (uint64_t)m->L->type_basicsize);
}

static uint64_t set_size(struct maa *m, addr_t a, const struct maa_type *t, uint64_t *buffer)
{
	addr_t table = rd64(a + (uint64_t)m->L->set_table);
	if (table != a + (uint64_t)m->L->set_smalltable)
		*buffer = own_small(m, table, sane((rd64(a + (uint64_t)m->L->set_mask) + 1) * 16));
	return (uint64_t)t->basicsize + *buffer;
}

static uint64_t bytearray_size(struct maa *m, addr_t a, const struct maa_type *t, uint64_t *buffer)
{
	const struct ma_layout *L = m->L;
	uint64_t n = sane(rd64(a + (uint64_t)L->bytearray_alloc));
	addr_t block = rd64(a + (uint64_t)L->bytearray_bytes);
	if (L->bytearray_object >= 0) { /* 3.15: in a bytes object of its own, with a NUL that ob_alloc leaves out */
		block = rd64(a + (uint64_t)L->bytearray_object);
		n += n ? (uint64_t)L->bytes_sval + 1 : 0;
	}
	*buffer = own_small(m, n ? block : 0, n);
	return (uint64_t)t->basicsize + n;
}

static uint64_t type_size(struct maa *m, addr_t a, uint64_t *buffer)
{
	const struct ma_layout *L = m->L;
	if (!(rd64(a + (uint64_t)L->type_flags) & TPF_HEAPTYPE)) {
		if (maa_numpy_forever(m, a))
			m->cur_rc = 0;
		return (uint64_t)L->sizeof_type;
	}
	struct maa_keys k;
	addr_t table = rd64(a + (uint64_t)L->heaptype_cached_keys);
	if (table && maa_keys_open(m, table, &k)) {
		*buffer = sane(k.bytes);
		if (maa_mark(m, table) == 1 && k.refcnt != 1) /* a dict came first */
			m->stat[MA_STAT_LOOSE_KEYS_BYTES] -= *buffer;
		if (k.count) {
			m->stat[MA_STAT_SHARED_KEYS]++;
			m->stat[MA_STAT_SHARED_KEYS_BYTES] += *buffer;
		}
	}
	return (uint64_t)L->sizeof_heaptype + *buffer;
}

static uint64_t code_size(struct maa *m, addr_t a, const struct maa_type *t, uint64_t *buffer)
{
	const struct ma_layout *L = m->L;
	uint64_t size = (uint64_t)t->basicsize;
	if (m->minor >= 11)
		size = (size + items(a) * (uint64_t)t->itemsize + 7) & ~7ull;
	addr_t extra = rd64(a + (uint64_t)L->code_extra);
	if (extra && maa_readable(m, extra)) /* struct { Py_ssize_t ce_size; void *ce_extras[1]; } */
		*buffer += own_small(m, extra, sane(16 + (rd64(extra) - 1) * 8));
	addr_t cell2arg = FIELD(m, a, code_cell2arg);
	if (cell2arg) {
		addr_t cells = rd64(a + (uint64_t)L->code_cellvars);
		if (cells && maa_readable(m, cells))
			*buffer += own_small(m, cell2arg, sane(items(cells) * 8));
	}
	addr_t map = FIELD(m, a, code_opcache_map), cache = FIELD(m, a, code_opcache);
	if (map) { /* one byte an instruction; co_opcache: 32 bytes each in 3.8 to 3.10 */
		addr_t code = rd64(a + (uint64_t)L->code_code);
		if (code && maa_readable(m, code))
			*buffer += own_small(m, map, sane(items(code) / 2));
		if (cache)
			*buffer += own_small(m, cache, sane(32ull * rd8(a + (uint64_t)L->code_opcache_size)));
	}
	return size + *buffer;
}

/* Slots of the frame of a code object, in words, without the fixed part. */
static uint64_t frame_words(struct maa *m, addr_t code)
{
	const struct ma_layout *L = m->L;
	if (!code || (code & 7) || !maa_readable(m, code))
		return 0;
	if (m->minor >= 11)
		return (uint64_t)(rdu32(code + (uint64_t)L->code_nlocalsplus) +
				  rdu32(code + (uint64_t)L->code_stacksize));
	addr_t cells = rd64(code + (uint64_t)L->code_cellvars), frees = rd64(code + (uint64_t)L->code_freevars);
	return (uint64_t)(rdu32(code + (uint64_t)L->code_nlocals) + rdu32(code + (uint64_t)L->code_stacksize)) +
	       (maa_readable(m, cells) ? items(cells) : 0) + (maa_readable(m, frees) ? items(frees) : 0);
}

static uint64_t frame_size(struct maa *m, addr_t a, const struct maa_type *t)
{
	const struct ma_layout *L = m->L;
	if (m->minor < 11) {
		uint64_t n = frame_words(m, rd64(a + (uint64_t)L->frame_code));
		return (uint64_t)t->basicsize + 8 * (n ? n - 1 : 0);
	}
	addr_t f = rd64(a + (uint64_t)L->frame_iframe);
	addr_t code = f && maa_readable(m, f) ? maa_iframe_code(m, f) : 0;
	return (uint64_t)L->frame_own_data + (uint64_t)L->iframe_localsplus + 8 * frame_words(m, code);
}

static uint64_t gen_size(struct maa *m, addr_t a, const struct maa_type *t)
{
	const struct ma_layout *L = m->L;
	if (m->minor < 11)
		return (uint64_t)t->basicsize;
	addr_t f = a + (uint64_t)L->gen_iframe;
	addr_t code = maa_iframe_code(m, f);
	return (uint64_t)L->gen_iframe + (uint64_t)L->iframe_localsplus + 8 * frame_words(m, code);
}

uint64_t maa_size(struct maa *m, addr_t a, const struct maa_type *t, uint64_t *buffer)
{
	uint64_t size, n;
	*buffer = 0;
	switch (t->size_kind) {
	case K_STR:
		size = str_size(m, a, buffer);
		break;
	case K_LONG:
		size = long_size(m, a, t);
		break;
	case K_DICT:
	case K_DEFAULTDICT:
		size = dict_size(m, a, t, buffer);
		break;
	case K_ODICT: /* od_first 48, od_fast_nodes 64, od_fast_nodes_size 72; 32 bytes a node, one for each key */
		size = dict_size(m, a, t, buffer);
		n = sane(8 * rd64(a + 72));
		own_small(m, rd64(a + 64), n);
		if (rd64(a + 48))
			n += sane(32 * rd64(a + (uint64_t)m->L->dict_used));
		*buffer += n;
		size += n;
		break;
	case K_LIST:
		n = sane(8 * rd64(a + (uint64_t)m->L->list_allocated));
		*buffer = own_small(m, rd64(a + (uint64_t)m->L->list_item), n);
		size = (uint64_t)t->basicsize + n;
		break;
	case K_SET:
		size = set_size(m, a, t, buffer);
		break;
	case K_BYTEARRAY:
		size = bytearray_size(m, a, t, buffer);
		break;
	case K_TYPE:
		size = type_size(m, a, buffer);
		break;
	case K_CODE:
		size = code_size(m, a, t, buffer);
		break;
	case K_FRAME:
		size = frame_size(m, a, t);
		break;
	case K_GEN:
		size = gen_size(m, a, t);
		break;
	case K_DEQUE: /* blocks of 64 items and two links: deque_sizeof */
		n = (items(a) + rd64(a + 40) + 63) / 64;
		*buffer = sane((n ? n : 1) * 528);
		size = (uint64_t)t->basicsize + *buffer;
		break;
	case K_ARRAY: { /* ob_item 24, allocated 32, ob_descr 40: { char typecode; int itemsize; ... } */
		addr_t descr = rd64(a + 40);
		if (descr && maa_readable(m, descr))
			*buffer = own_small(m, rd64(a + 24), sane(rd64(a + 32) * rdu32(descr + 4)));
		size = (uint64_t)t->basicsize + *buffer;
		break;
	}
	case K_BYTESIO: { /* its bytes object, while nobody else has it: Modules/_io/bytesio.c, buf at 16 */
		addr_t buf = rd64(a + 16);
		size = (uint64_t)t->basicsize;
		if (buf && !(buf & 7) && maa_readable(m, buf) && rdu32(buf) == 1)
			size += (uint64_t)m->L->bytes_sval + 1 + sane(items(buf));
		if (size > (uint64_t)t->basicsize && m->minor < 12)
			own_small(m, buf, size - (uint64_t)t->basicsize); /* later an object of its own, too */
		*buffer = size - (uint64_t)t->basicsize;
		break;
	}
	case K_STGDICT: /* what is behind the dict counts twice: _PyDict_SizeOf() and stgdict.c */
		size = dict_size(m, a, t, buffer) + (uint64_t)t->basicsize - sizeof_dict(m);
		n = maa_size_more(m, a, t);
		*buffer += n;
		size += n;
		break;
	case K_NDARRAY:
	case K_NPVOID:
	case K_NPSCALAR:
		size = maa_numpy_size(m, a, t, buffer);
		break;
	default:
		size = (uint64_t)t->basicsize;
		if (t->itemsize)
			size += sane(items(a) * (uint64_t)t->itemsize);
		if (t->size_kind > K_SIZED) {
			*buffer = maa_size_more(m, a, t);
			size += *buffer;
		}
	}
	/* 3.11 and 3.12 add it to static types, too, which have none, later ones to those that are no instances of type
	 * itself (sysmodule.c, _PySys_GetSizeOf) */
	if ((t->flags & MT_GC) && (!(t->flags & MT_TYPEOBJ) || m->minor == 11 || m->minor == 12 ||
				   (m->minor >= 13 && t->addr != m->args->known[MA_KT_TYPE]) ||
				   (rd64(a + (uint64_t)m->L->type_flags) & TPF_HEAPTYPE)))
		size += t->presize;
	return size;
}
