// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "python_internal.h"

#include <string.h>

/* clang-format off */
static const struct ma_layout_row rows[] = {
#define MA_FIELD(id, type, member, lo, hi) { #id, #type, #member, lo, hi, offsetof(struct ma_layout, id) },
#define MA_SIZE(id, type, lo, hi) { #id, #type, NULL, lo, hi, offsetof(struct ma_layout, id) },
#define MA_ALT(id, type, member, lo, hi) MA_FIELD(id, type, member, lo, hi)
#define MA_ALT_SIZE(id, type, lo, hi) MA_SIZE(id, type, lo, hi)
#include <memattach/layout_fields.h>
};
/* clang-format on */

const struct ma_layout_row *ma_layout_rows(size_t *count_ret)
{
	*count_ret = MA_ARRAY_SIZE(rows);
	return rows;
}

int32_t ma_layout_get(const struct ma_layout *l, const struct ma_layout_row *row)
{
	int32_t v;
	memcpy(&v, (const char *)l + row->at, sizeof(v));
	return v;
}

void ma_layout_set(struct ma_layout *l, const struct ma_layout_row *row, int32_t value)
{
	memcpy((char *)l + row->at, &value, sizeof(value));
}

bool ma_layout_row_applies(const struct ma_layout_row *row, const struct ma_layout *l)
{
	return row->lo <= 300 + l->minor && 300 + l->minor <= row->hi;
}

void ma_layout_clear(struct ma_layout *l, uint32_t version)
{
	*l = (struct ma_layout){ .version = version, .minor = version >> 8 & 0xff };
	for (size_t i = 0; i < MA_ARRAY_SIZE(rows); i++)
		ma_layout_set(l, &rows[i], MA_ABSENT);
	bool large = l->minor >= 10; /* Objects/obmalloc.c, WITH_PYMALLOC_RADIX_TREE */
	l->arena_bytes = large ? 1 << 20 : 256 << 10;
	l->pool_bytes = large ? 16 << 10 : 4 << 10;
}

struct ma_error *ma_layout_from_dwarf(const struct ma_elf *e, struct ma_layout *l, bool *any_ret)
{
	struct ma_dwarf_query q[MA_ARRAY_SIZE(rows)];
	const struct ma_layout_row *of[MA_ARRAY_SIZE(rows)];
	size_t count = 0;
	for (size_t i = 0; i < MA_ARRAY_SIZE(rows); i++) {
		if (!ma_layout_row_applies(&rows[i], l))
			continue;
		of[count] = &rows[i];
		q[count++] = (struct ma_dwarf_query){ .type = rows[i].type, .member = rows[i].member };
	}
	MA_TRY(ma_dwarf_resolve(e, q, count, any_ret));
	for (size_t i = 0; i < count; i++) {
		if (q[i].value >= 0)
			ma_layout_set(l, of[i], (int32_t)q[i].value);
	}
	return NULL;
}

const struct ma_layout_row *ma_layout_compare(const struct ma_layout *a, const struct ma_layout *b)
{
	for (size_t i = 0; i < MA_ARRAY_SIZE(rows); i++) {
		int32_t x = ma_layout_get(a, &rows[i]), y = ma_layout_get(b, &rows[i]);
		if (x != MA_ABSENT && y != MA_ABSENT && x != y)
			return &rows[i];
	}
	return NULL;
}

void ma_layout_merge(struct ma_layout *to, const struct ma_layout *from)
{
	for (size_t i = 0; i < MA_ARRAY_SIZE(rows); i++) {
		if (ma_layout_get(to, &rows[i]) == MA_ABSENT)
			ma_layout_set(to, &rows[i], ma_layout_get(from, &rows[i]));
	}
}

const struct ma_layout_row *ma_layout_missing(const struct ma_layout *l)
{
	for (size_t i = 0; i < MA_ARRAY_SIZE(rows); i++) {
		if (ma_layout_row_applies(&rows[i], l) && ma_layout_get(l, &rows[i]) == MA_ABSENT)
			return &rows[i];
	}
	return NULL;
}
