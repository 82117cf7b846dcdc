// SPDX-License-Identifier: Apache-2.0
/* names.c - names of attributes, globals, functions and files: each string object is written once. */
#include "emit.h"
#include "utf8.h"

#define NAMES_MAX (1u << 19) /* more than code has; beyond it an edge has no name */

static uint32_t name_write(struct maa *m, const uint8_t *text, unsigned len)
{
	struct maa_buf *b = &m->nb;
	if (b->p + len + 32 > b->data + MA_BLOCK_PAYLOAD)
		maa_flush(m, b);
	uint32_t id = ++m->name_last;
	uint8_t *p = put(b->p, id);
	p = put(p, len);
	memcpy(p, text, len);
	b->p = p + len;
	b->records++;
	m->stat[MA_STAT_NAMES]++;
	return id;
}

int maa_names_init(struct maa *m)
{
	static const char all[] =
#define NAME(id, text) text "\0"
#include "fixed_names.h"
#undef NAME
		;
	m->names_bits = 12;
	m->names = maa_alloc(m, sizeof(*m->names) << m->names_bits);
	m->text = maa_alloc(m, 3 * MA_NAME_MAX + 256); /* the second part is for type names */
	if (!m->names || !m->text)
		return -12;
	for (const char *s = all; s < all + sizeof(all) - 1;) {
		unsigned len = 0;
		while (s[len])
			len++;
		name_write(m, (const uint8_t *)s, len);
		s += len + 1;
	}
	return 0;
}

int maa_is_str(struct maa *m, addr_t str)
{
	if (!str || (str & 7) || !maa_readable(m, str))
		return 0;
	addr_t t = rd64(str + OB_TYPE);
	if (t == m->args->known[MA_KT_UNICODE])
		return 1;
	if (!m->subtype_traverse)
		return 0; /* types can not be told apart yet */
	const struct maa_type *ti = maa_type_get(m, t);
	return ti && ti->kind == K_STR;
}

int maa_str_text(struct maa *m, addr_t str, uint8_t *out, unsigned max)
{
	const struct ma_layout *L = m->L;
	if (!maa_is_str(m, str))
		return -1;
	int64_t len = (int64_t)rd64(str + (uint64_t)L->str_length);
	uint32_t state = rdu32(str + (uint64_t)L->str_state);
	unsigned kind = state >> 2 & 7, compact = state >> 5 & 1, ascii = state >> 6 & 1;
	if (len < 0 || (kind != 1 && kind != 2 && kind != 4))
		return -1;
	addr_t data = compact ? str + (uint64_t)(ascii ? L->sizeof_str_ascii : L->sizeof_str_compact)
			      : rd64(str + (uint64_t)L->str_data);
	if (len > (1 << 30) || !maa_readable(m, data))
		return -1;
	uint8_t *p = out;
	for (uint64_t i = 0; i < (uint64_t)len && p + 4 <= out + max; i++) {
		p = maa_put_utf8(p, maa_char_at(data, kind, i));
		if (!p)
			return -1;
	}
	return (int)(p - out);
}

int maa_slots_grow(struct maa *m, struct maa_name_slot **slots, uint32_t *bits)
{
	uint32_t more = *bits + 1;
	struct maa_name_slot *old = *slots, *fresh = maa_alloc(m, sizeof(*fresh) << more);
	if (!fresh)
		return -1;
	for (uint64_t i = 0; i < 1ull << *bits; i++) {
		if (!old[i].str)
			continue;
		uint64_t h = maa_hash(old[i].str) >> (64 - more);
		while (fresh[h].str)
			h = (h + 1) & ((1ull << more) - 1);
		fresh[h] = old[i];
	}
	*slots = fresh;
	*bits = more;
	return 0;
}

MAA_COLD uint32_t maa_name_slow(struct maa *m, addr_t str)
{
	if (!str)
		return 0;
	uint64_t mask = (1ull << m->names_bits) - 1, h = maa_hash(str) >> (64 - m->names_bits);
	while (m->names[h].str && m->names[h].str != str)
		h = (h + 1) & mask;
	if (m->names[h].str)
		return m->names[h].id;
	if (m->names_count >= NAMES_MAX || (m->names_count * 2 > mask && maa_slots_grow(m, &m->names, &m->names_bits)))
		return 0;
	int len = maa_str_text(m, str, m->text, MA_NAME_MAX);
	if (len < 0)
		return 0;
	mask = (1ull << m->names_bits) - 1;
	h = maa_hash(str) >> (64 - m->names_bits);
	while (m->names[h].str)
		h = (h + 1) & mask;
	uint32_t id = name_write(m, m->text, (unsigned)len);
	m->names[h].id = id;
	m->names[h].str = str;
	m->names_count++;
	return id;
}

/* The name of a C string, by its address. */
uint32_t maa_name_cstr(struct maa *m, addr_t text)
{
	uint64_t mask = (1ull << m->names_bits) - 1, h = maa_hash(text) >> (64 - m->names_bits);
	while (m->names[h].str && m->names[h].str != text)
		h = (h + 1) & mask;
	if (m->names[h].str)
		return m->names[h].id;
	if (!text || !maa_readable(m, text) || m->names_count >= NAMES_MAX ||
	    (m->names_count * 2 > mask && maa_slots_grow(m, &m->names, &m->names_bits)))
		return 0;
	unsigned n = 0;
	while (n < MA_NAME_MAX && rd8(text + n)) {
		m->text[n] = rd8(text + n);
		n++;
	}
	mask = (1ull << m->names_bits) - 1;
	h = maa_hash(text) >> (64 - m->names_bits);
	while (m->names[h].str)
		h = (h + 1) & mask;
	uint32_t id = name_write(m, m->text, n);
	m->names[h].id = id;
	m->names[h].str = text;
	m->names_count++;
	return id;
}
