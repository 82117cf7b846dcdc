// SPDX-License-Identifier: Apache-2.0
/* instance.c - where instances keep their attributes: __dict__ at an offset, before the object, or values
 * without a dict. Include/internal/pycore_object.h and Objects/object.c of each version. */
#include "visit.h"

addr_t maa_dict_at(struct maa *m, addr_t a, const struct maa_type *t)
{
	int64_t off = t->dictoffset;
	if (off < 0) { /* counted from the end of an object with items */
		int64_t n = (int64_t)rd64(a + OB_SIZE);
		if (t->size_kind == K_LONG && m->L->long_tag >= 0)
			n = (int64_t)(rd64(a + (uint64_t)m->L->long_tag) >> 3);
		n = n < 0 ? -n : n;
		if (n > 1ll << 40)
			return 0;
		off += (t->basicsize + n * t->itemsize + 7) & ~7ll;
	}
	if (off < 16)
		return 0;
	return rd64(a + (uint64_t)off);
}

void maa_visit_managed(struct maa *m, struct maa_w *w, addr_t a, const struct maa_type *t)
{
	addr_t dict = rd64(a - 24), values;
	switch (m->minor) {
	case 11: /* [-3] dict, [-4] values */
		values = rd64(a - 32);
		if (values) {
			maa_own(m, values - rd8(values - 1));
			maa_visit_values(m, w, t->keys, values, 64);
		}
		break;
	case 12: /* [-3] either: a set low bit says values */
		if (dict & 1) {
			values = dict + 1;
			maa_own(m, values - rd8(values - 1));
			maa_visit_values(m, w, t->keys, values, 64);
			return;
		}
		break;
	default: /* 3.13 and later: values behind the object, shared with the dict while they are valid */
		if (t->flags & MT_INLINE) {
			values = a + (uint64_t)t->basicsize;
			if (rd8(values + (uint64_t)m->L->values_valid))
				maa_visit_values(m, w, t->keys, values + (uint64_t)m->L->values_values,
						 rd8(values + (uint64_t)m->L->values_capacity));
		}
	}
	edge_tagged(m, w, dict, N_DICT, TAG_ATTR);
}
