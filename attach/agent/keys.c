// SPDX-License-Identifier: Apache-2.0
/* keys.c - the tables of dicts: three layouts (Objects/dict-common.h up to 3.10, pycore_dict.h from 3.11). */
#include "emit.h"

/* struct _dictkeysobject up to 3.10 is in no public header, and the same in 3.8, 3.9 and 3.10:
 * dk_refcnt 0, dk_size 8, dk_lookup 16, dk_usable 24, dk_nentries 32, dk_indices 40. */
static int keys_open_old(addr_t t, struct maa_keys *k)
{
	uint64_t size = rd64(t + 8);
	if (!size || (size & (size - 1)) || size > 1ull << 40)
		return 0;
	uint64_t ix = size <= 0xff ? 1 : size <= 0xffff ? 2 : size <= 0xffffffffull ? 4 : 8;
	k->refcnt = (int64_t)rd64(t);
	k->usable = (size << 1) / 3;
	k->count = rd64(t + 32);
	k->entries = t + 40 + ix * size;
	k->stride = 24;
	k->bytes = 40 + ix * size + k->usable * 24;
	return 1;
}

int maa_keys_open(struct maa *m, addr_t t, struct maa_keys *k)
{
	const struct ma_layout *L = m->L;
	if (UNLIKELY(!t || (t & 7) || !maa_readable(m, t)))
		return 0;
	k->table = t;
	if (L->keys_kind < 0) {
		if (!keys_open_old(t, k))
			return 0;
	} else {
		unsigned log2 = rd8(t + (uint64_t)L->keys_log2_size),
			 log2_index = rd8(t + (uint64_t)L->keys_log2_index);
		if (UNLIKELY(log2 > 40 || log2_index > 43))
			return 0;
		k->refcnt = (int64_t)rd64(t + (uint64_t)L->keys_refcnt);
		k->usable = ((1ull << log2) << 1) / 3;
		k->count = rd64(t + (uint64_t)L->keys_nentries);
		k->entries = t + (uint64_t)L->keys_indices + (1ull << log2_index);
		k->stride = rd8(t + (uint64_t)L->keys_kind) ? 16 : 24;
		k->bytes = (uint64_t)L->keys_indices + (1ull << log2_index) + k->usable * k->stride;
	}
	k->key = k->stride - 16;
	k->value = k->stride - 8;
	if (UNLIKELY(k->count > k->usable))
		k->count = k->usable;
	return !k->count || maa_range_ok(m, k->entries, k->count * k->stride);
}

static addr_t dict_value(struct maa *m, addr_t dict, const struct maa_keys *k, uint64_t i)
{
	addr_t values = rd64(dict + (uint64_t)m->L->dict_values);
	if (!values)
		return rd64(k->entries + i * k->stride + k->value);
	if (m->L->values_values > 0)
		values += (uint64_t)m->L->values_values;
	return maa_readable(m, values) ? rd64(values + 8 * i) : 0;
}

addr_t maa_dict_find(struct maa *m, addr_t dict, addr_t key)
{
	struct maa_keys k;
	if (!dict || (dict & 7) || !key || !maa_readable(m, dict) ||
	    !maa_keys_open(m, rd64(dict + (uint64_t)m->L->dict_keys), &k))
		return 0;
	for (uint64_t i = 0; i < k.count; i++)
		if (rd64(k.entries + i * k.stride + k.key) == key)
			return dict_value(m, dict, &k, i);
	return 0;
}

addr_t maa_dict_find_text(struct maa *m, addr_t dict, const char *text, unsigned len, addr_t *key_ret)
{
	struct maa_keys k;
	if (!dict || (dict & 7) || !maa_readable(m, dict) ||
	    !maa_keys_open(m, rd64(dict + (uint64_t)m->L->dict_keys), &k))
		return 0;
	for (uint64_t i = 0; i < k.count; i++) {
		addr_t key = rd64(k.entries + i * k.stride + k.key);
		if (maa_str_text(m, key, m->text, 64) != (int)len || memcmp(m->text, text, len))
			continue;
		if (key_ret)
			*key_ret = key;
		return dict_value(m, dict, &k, i);
	}
	return 0;
}
