// SPDX-License-Identifier: Apache-2.0
/* value.c - the contents of str, bytes, int and float: hashes, lengths, and as much of the text as was asked for. */
#include "value.h"
#include "emit.h"
#include "utf8.h"

#define TPF_BYTES (1ull << 27)

/* Entries of one block of objects: a record takes 4 bytes at least. */
#define ENTRIES_MAX (MA_BLOCK_PAYLOAD / 4 + 1)
#define LENGTH_MAX 10u      /* bytes of one length */
#define PART_HEADER 64u     /* address, part and two counts; more than they take */
#define PART_ENTRIES 16000u /* of a part of hashes alone: they fit whatever their lengths are */

static void *buffer(struct maa *m, uint64_t bytes)
{
	m->virtual_bytes += bytes; /* touched only as far as it is used */
	return maa_alloc(m, bytes);
}

int maa_values_init(struct maa *m)
{
	struct maa_values *v = &m->values;
	const struct ma_values_wish *wish = &m->args->values;
	static const uint8_t widths[4] = { 0, 1, 2, 4 };
	if (wish->mode > MA_VALUES_ALL || (wish->mode == MA_VALUES_PREFIX && wish->limit > MA_VALUES_PREFIX_MAX))
		return -22;
	v->mode = m->args->flags & MAA_FLAG_THREADS_ONLY ? MA_VALUES_NONE : wish->mode;
	v->limit = v->mode == MA_VALUES_PREFIX ? wish->limit : MA_VALUE_TEXT_MAX;
	if (v->mode == MA_VALUES_NONE)
		return 0;
	for (unsigned i = 0; i < 4; i++)
		v->key[i] = ma_siphash_width_key(wish->key, widths[i]);
	v->lengths = v->lengths_p = buffer(m, ENTRIES_MAX * LENGTH_MAX);
	v->hashes = v->hashes_p = buffer(m, ENTRIES_MAX * MA_VALUE_HASH_BYTES + 8);
	v->block.data = v->block.p = buffer(m, MA_BLOCK_PAYLOAD + 4096);
	v->block.kind = MA_BLOCK_VALUES;
	if (!v->lengths || !v->hashes || !v->block.data)
		return -12;
	if (v->mode >= MA_VALUES_PREFIX) {
		v->texts = v->texts_p = buffer(m, MA_BLOCK_PAYLOAD);
		v->text = buffer(m, MA_VALUE_TEXT_MAX + 16);
		if (!v->texts || !v->text)
			return -12;
	}
	return 0;
}

static int is_float(struct maa *m, addr_t t)
{
	for (unsigned i = 0; i < 32 && t && !(t & 7) && maa_readable(m, t); i++) {
		if (t == m->args->known[MA_KT_FLOAT])
			return 1;
		t = rd64(t + (uint64_t)m->L->type_base);
	}
	return 0;
}

unsigned maa_value_kind(struct maa *m, addr_t t, uint64_t tp_flags)
{
	if (m->values.mode == MA_VALUES_NONE)
		return 0;
	if (tp_flags & TPF_UNICODE)
		return MA_VALUE_STR + 1;
	if (tp_flags & TPF_BYTES)
		return MA_VALUE_BYTES + 1;
	if (m->values.mode < MA_VALUES_PREFIX)
		return 0;
	if (tp_flags & TPF_LONG)
		return MA_VALUE_INT + 1;
	return m->args->known[MA_KT_FLOAT] && is_float(m, t) ? MA_VALUE_FLOAT + 1 : 0;
}

/* Like maa_value_hash(), of any length and place. `inside`: the object's own bytes stand before the data. */
static uint64_t hash(const struct ma_siphash_key *key, addr_t data, uint64_t bytes, int inside)
{
	if (LIKELY(bytes <= MA_VALUE_HASH_MAX)) {
		if (inside || bytes >= 8)
			return maa_value_hash(key, data, bytes);
		return ma_siphash(key, (const void *)data, bytes, 1, 3);
	}
	struct ma_siphash s = ma_siphash_begin(key);
	const uint64_t half = MA_VALUE_HASH_MAX / 2;
	for (uint64_t i = 0; i < half; i += 8)
		ma_siphash_word(&s, rd64(data + i), 1);
	for (uint64_t i = 0; i < half; i += 8)
		ma_siphash_word(&s, rd64(data + bytes - half + i), 1);
	ma_siphash_word(&s, bytes, 1);
	return ma_siphash_end(&s, 0, MA_VALUE_HASH_MAX + 8, 1, 3);
}

/* A str of 3.8 to 3.11 that was made as wchar_t and never looked at since (PyUnicode_READY()) has 4 bytes for each
 * character. It is hashed as it would be when it is ready: equal strings have equal hashes. */
static uint64_t hash_wide(struct maa *m, addr_t data, uint64_t length)
{
	uint32_t all = length > MA_VALUE_HASH_MAX / 4 ? UINT32_MAX : 0; /* so long it is hashed as it is */
	for (uint64_t i = 0; i < length && !(all >> 16); i++)
		all |= rdu32(data + 4 * i);
	unsigned width = all < 0x100 ? 1 : all < 0x10000 ? 2 : 4;
	const struct ma_siphash_key *key = &m->values.key[width == 4 ? 3 : width];
	uint64_t word = 0, bytes = length * width;
	if (width == 4)
		return hash(key, data, 4 * length, 0);
	struct ma_siphash s = ma_siphash_begin(key);
	unsigned shift = 0;
	for (uint64_t i = 0; i < length; i++) {
		word |= (uint64_t)rdu32(data + 4 * i) << shift;
		shift += 8 * width;
		if (shift == 64) {
			ma_siphash_word(&s, word, 1);
			word = shift = 0;
		}
	}
	return ma_siphash_end(&s, word, bytes, 1, 3);
}

static void text_str(struct maa_values *v, addr_t data, unsigned width, uint64_t length)
{
	uint8_t *p = v->text, *end = v->text + MA_VALUE_TEXT_MAX - 4;
	for (uint64_t i = 0; i < length && i < v->limit && p <= end; i++) {
		uint8_t *next = maa_put_utf8(p, maa_char_at(data, width, i));
		if (!next)
			break;
		p = next;
	}
	v->text_bytes = (uint64_t)(p - v->text);
}

static int both_ends(struct maa *m, addr_t data, uint64_t bytes)
{
	return bytes < 1ull << 42 && data && maa_readable(m, data) && (!bytes || maa_readable(m, data + bytes - 1));
}

static void read_str(struct maa *m, addr_t a)
{
	const struct ma_layout *L = m->L;
	struct maa_values *v = &m->values;
	uint32_t state = rdu32(a + (uint64_t)L->str_state);
	unsigned width = state >> 2 & 7, compact = state >> 5 & 1, ascii = state >> 6 & 1;
	uint64_t length = rd64(a + (uint64_t)L->str_length);
	addr_t data = compact ? a + (uint64_t)(ascii ? L->sizeof_str_ascii : L->sizeof_str_compact)
			      : rd64(a + (uint64_t)L->str_data);
	int wide = !width && L->str_wstr >= 0;
	if (wide) {
		width = 4;
		length = rd64(a + (uint64_t)L->str_wstr_length);
		data = rd64(a + (uint64_t)L->str_wstr);
	}
	if ((width != 1 && width != 2 && width != 4) || length >= 1ull << 40 || !both_ends(m, data, length * width))
		return;
	v->hash = wide ? hash_wide(m, data, length)
		       : hash(&v->key[width == 4 ? 3 : width], data, length * width, (int)compact);
	v->length = length;
	if (v->text)
		text_str(v, data, width, length);
}

static void read_bytes(struct maa *m, addr_t a)
{
	struct maa_values *v = &m->values;
	uint64_t length = rd64(a + OB_SIZE);
	addr_t data = a + (uint64_t)m->L->bytes_sval;
	if (!both_ends(m, data, length))
		return;
	v->hash = hash(&v->key[0], data, length, 1);
	v->length = length;
	if (!v->text)
		return;
	uint64_t n = length < v->limit ? length : v->limit;
	memcpy(v->text, (const void *)data, n < MA_VALUE_TEXT_MAX ? n : MA_VALUE_TEXT_MAX);
	v->text_bytes = n < MA_VALUE_TEXT_MAX ? n : MA_VALUE_TEXT_MAX;
}

/* Digits of 30 bits, least significant first (Include/cpython/longintrepr.h), to two's complement. */
static void read_int(struct maa *m, addr_t a)
{
	const struct ma_layout *L = m->L;
	struct maa_values *v = &m->values;
	uint64_t digits;
	int negative;
	if (L->long_tag >= 0) {
		uint64_t tag = rd64(a + (uint64_t)L->long_tag);
		digits = (tag & 3) == 1 ? 0 : tag >> 3;
		negative = (tag & 3) == 2;
	} else {
		int64_t n = (int64_t)rd64(a + OB_SIZE);
		negative = n < 0;
		digits = (uint64_t)(n < 0 ? -n : n);
	}
	if (digits > MA_VALUE_INT_MAX * 8 / 30 - 1)
		return;
	uint8_t *p = v->text;
	uint64_t held = 0, borrow = 1;
	unsigned bits = 0;
	for (uint64_t i = 0; i < digits; i++) {
		held |= (uint64_t)rdu32(a + (uint64_t)EITHER(m, long_digit, long_digit_311) + 4 * i) << bits;
		for (bits += 30; bits >= 8; bits -= 8, held >>= 8)
			*p++ = (uint8_t)held;
	}
	*p++ = (uint8_t)held;
	*p++ = 0; /* so that the highest bit is free for the sign */
	for (uint8_t *q = v->text; negative && q < p; q++) {
		borrow += (uint8_t) ~*q;
		*q = (uint8_t)borrow;
		borrow >>= 8;
	}
	uint8_t sign = negative ? 0xff : 0;
	while (p > v->text + 1 && p[-1] == sign && (p[-2] & 0x80) == (sign & 0x80))
		p--;
	v->text_bytes = (uint64_t)(p - v->text);
}

void maa_value_read(struct maa *m, addr_t a, const struct maa_type *t)
{
	struct maa_values *v = &m->values;
	v->hash = v->length = v->text_bytes = 0;
	switch (t->value - 1) {
	case MA_VALUE_STR:
		read_str(m, a);
		break;
	case MA_VALUE_BYTES:
		read_bytes(m, a);
		break;
	case MA_VALUE_INT:
		read_int(m, a);
		break;
	default:
		*(uint64_t *)v->text = rd64(a + 16); /* ob_fval */
		v->text_bytes = 8;
	}
}

static uint64_t part_bytes(const struct maa_values *v)
{
	return PART_HEADER + (uint64_t)(v->lengths_p - v->lengths) + (uint64_t)(v->hashes_p - v->hashes) +
	       (uint64_t)(v->texts_p - v->texts);
}

/* The address of the first record in the block of objects, / 8: it is the first varint there, from zero. */
static uint64_t block_address(const struct maa *m)
{
	uint64_t z = 0;
	const uint8_t *p = m->ob.data;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		z |= (uint64_t)(*p & 0x7f) << shift;
		if (*p++ < 0x80)
			break;
	}
	return (z >> 1) ^ -(z & 1);
}

static void part_write(struct maa *m, const uint8_t *lengths, uint64_t lengths_bytes, const uint8_t *hashes, uint64_t n,
		       uint32_t records)
{
	struct maa_values *v = &m->values;
	uint64_t texts = (uint64_t)(v->texts_p - v->texts);
	uint8_t *p = v->block.p;
	p = put(p, block_address(m));
	p = put(p, v->part++);
	p = put(p, n);
	p = put(p, lengths_bytes);
	memcpy(p, lengths, lengths_bytes);
	p += lengths_bytes;
	memcpy(p, hashes, n * MA_VALUE_HASH_BYTES);
	p += n * MA_VALUE_HASH_BYTES;
	if (texts)
		memcpy(p, v->texts, texts);
	v->block.p = p + texts;
	v->block.records = records;
	v->texts_p = v->texts;
	maa_flush(m, &v->block);
}

/* All entries that stand there, in one part, or hashes alone in as many as they need. */
static void parts_write(struct maa *m)
{
	struct maa_values *v = &m->values;
	uint64_t n = (uint64_t)(v->hashes_p - v->hashes) / MA_VALUE_HASH_BYTES;
	const uint8_t *lengths = v->lengths, *hashes = v->hashes;
	m->stat[MA_STAT_VALUES] += n + v->numbers;
	if (part_bytes(v) <= MA_BLOCK_PAYLOAD) {
		uint64_t records = n + v->numbers + v->pieces;
		if (records)
			part_write(m, lengths, (uint64_t)(v->lengths_p - lengths), hashes, n, (uint32_t)records);
		n = 0;
	}
	while (n) {
		uint64_t k = n < PART_ENTRIES ? n : PART_ENTRIES;
		const uint8_t *end = lengths;
		for (uint64_t i = 0; i < k; i++)
			while (*end++ >= 0x80)
				;
		part_write(m, lengths, (uint64_t)(end - lengths), hashes, k, (uint32_t)k);
		lengths = end;
		hashes += k * MA_VALUE_HASH_BYTES;
		n -= k;
	}
	v->lengths_p = v->lengths;
	v->hashes_p = v->hashes;
	v->numbers = v->pieces = 0;
}

void maa_values_flush(struct maa *m)
{
	if (m->values.mode == MA_VALUES_NONE)
		return;
	parts_write(m);
	m->values.part = 0;
}

static void add_text(struct maa *m)
{
	struct maa_values *v = &m->values;
	const uint8_t *p = v->text;
	uint64_t left = v->text_bytes;
	for (;;) {
		uint64_t room = MA_BLOCK_PAYLOAD - part_bytes(v) - 4, n = left < room ? left : room;
		v->texts_p = put(v->texts_p, n << 1 | (n < left));
		memcpy(v->texts_p, p, n);
		v->texts_p += n;
		p += n;
		left -= n;
		if (!left)
			return;
		parts_write(m);
		v->pieces++;
	}
}

void maa_value_add(struct maa *m, const struct maa_type *t)
{
	struct maa_values *v = &m->values;
	unsigned kind = t->value - 1;
	if (v->text && part_bytes(v) + LENGTH_MAX + MA_VALUE_HASH_BYTES + 512 > MA_BLOCK_PAYLOAD)
		parts_write(m);
	if (kind <= MA_VALUE_BYTES) {
		uint64_t base = kind == MA_VALUE_STR ? (uint64_t)m->L->sizeof_str_ascii + 1 : (uint64_t)t->basicsize;
		v->lengths_p = put(v->lengths_p, zigzag((int64_t)(v->length - (m->cur_size - base))));
		*(uint64_t *)v->hashes_p = v->hash;
		v->hashes_p += MA_VALUE_HASH_BYTES;
	} else {
		v->numbers++;
	}
	v->added = 1;
	if (v->text)
		add_text(m);
}

void maa_value_lost(struct maa *m, const struct maa_type *t)
{
	m->values.hash = m->values.length = m->values.text_bytes = 0;
	maa_value_add(m, t);
}
