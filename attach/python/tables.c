// SPDX-License-Identifier: Apache-2.0
/* tables.c - layouts without debug information: tables made by tools/layouts/generate from each version's headers,
 * and _Py_DebugOffsets, the table that 3.13 and later carry in _PyRuntime. */
#include "cleanup.h"
#include "python_internal.h"

#include <string.h>

struct value {
	uint16_t at; /* in struct ma_layout; 0 ends the list */
	uint16_t alignment;
	int32_t value;
};

struct debug_at { /* where in _Py_DebugOffsets a field's offset stands: first + sign * second */
	uint16_t at;
	int16_t first, second;
	int sign;
};

struct table {
	uint32_t version, debug_build;
	const struct value *values;
	const struct debug_at *debug;
};

/* clang-format off */
#define MA_TABLE_OF(major, minor, micro, d) { (major) << 16 | (minor) << 8 | (micro), d, (const struct value[]){
#define MA_TABLE_BEGIN(major, minor, micro) MA_TABLE_OF(major, minor, micro, 0)
#define MA_TABLE_BEGIN_DEBUG(major, minor, micro) MA_TABLE_OF(major, minor, micro, 1)
#define MA_VALUE(id, value, alignment) { offsetof(struct ma_layout, id), alignment, value },
#define MA_TABLE_DEBUG { 0, 0, 0 } }, (const struct debug_at[]){
#define MA_DEBUG_AT(id, first) { offsetof(struct ma_layout, id), first, first, 0 },
#define MA_DEBUG_SUM_AT(id, first, second) { offsetof(struct ma_layout, id), first, second, 1 },
#define MA_DEBUG_DIFF_AT(id, first, second) { offsetof(struct ma_layout, id), first, second, -1 },
#define MA_TABLE_END { 0, 0, 0, 0 } } },
static const struct table tables[] = {
#if defined(__x86_64__)
#include "layouts/x86_64/all.inc"
#endif
	{ 0, 0, NULL, NULL },
};
/* clang-format on */

#define DEBUG_OFFSETS_BYTES 2048 /* _Py_DebugOffsets is 584 bytes in 3.13, somewhat more later */
#define MAX_OFFSET (1 << 20)

static int distance(const struct table *t, const struct ma_layout *l)
{
	int d = (int)(t->version & 0xff) - (int)(l->version & 0xff);
	return d < 0 ? -d : d;
}

static bool agrees(const struct table *t, const struct ma_layout *known)
{
	for (const struct value *v = t->values; v->at && known; v++) {
		int32_t other;
		memcpy(&other, (const char *)known + v->at, sizeof(other));
		if (other != MA_ABSENT && other != v->value)
			return false;
	}
	return true;
}

/* Is `a` to be tried before `b`? A table of the same kind of build first, then one that agrees with what is known, then
 * the nearest patch release. */
static bool better(const struct table *a, const struct table *b, const struct ma_layout *l,
		   const struct ma_layout *known)
{
	bool same_a = a->debug_build == l->debug_build, same_b = b->debug_build == l->debug_build;
	if (same_a != same_b)
		return same_a;
	bool agrees_a = agrees(a, known), agrees_b = agrees(b, known);
	if (agrees_a != agrees_b)
		return agrees_a;
	int da = distance(a, l), db = distance(b, l);
	return da != db ? da < db : a < b;
}

/* The table that comes after `rank` better ones; NULL: there are not so many. */
static const struct table *choose(const struct ma_layout *l, const struct ma_layout *known, unsigned rank)
{
	for (const struct table *t = tables; t->version; t++) {
		unsigned before = 0;
		if (t->version >> 8 != l->version >> 8)
			continue;
		for (const struct table *o = tables; o->version; o++)
			before += o != t && o->version >> 8 == l->version >> 8 && better(o, t, l, known);
		if (before == rank)
			return t;
	}
	return NULL;
}

bool ma_layout_from_table(struct ma_layout *l, const struct ma_layout *known, unsigned rank)
{
	const struct table *t = choose(l, known, rank);
	for (const struct value *v = t ? t->values : NULL; v && v->at; v++)
		memcpy((char *)l + v->at, &v->value, sizeof(v->value));
	return t;
}

unsigned ma_layout_alignment(const struct ma_layout *l, const struct ma_layout_row *row)
{
	const struct table *t = choose(l, l, 0);
	for (const struct value *v = t ? t->values : NULL; v && v->at; v++) {
		if (v->at == row->at)
			return v->alignment;
	}
	return 1;
}

/* One member of the copied _Py_DebugOffsets; false when it cannot be an offset. */
static bool debug_member(const unsigned char *raw, size_t bytes, int at, int64_t *ret)
{
	if (at < 0 || (size_t)at + sizeof(*ret) > bytes)
		return false;
	memcpy(ret, raw + at, sizeof(*ret));
	return *ret >= 0 && *ret < MAX_OFFSET;
}

struct ma_error *ma_layout_from_debug_offsets(pid_t pid, ma_raddr runtime, struct ma_layout *l, bool *any_ret)
{
	static const char cookie[8] = "xdebugpy"; /* _Py_Debug_Cookie; without the NUL */
	struct {
		char cookie[8];
		uint64_t version, free_threaded;
	} head;
	unsigned char raw[DEBUG_OFFSETS_BYTES];
	*any_ret = false;
	if (l->minor < 13)
		return NULL;
	size_t bytes = ma_peek_some(pid, runtime, raw, sizeof(raw));
	if (bytes < sizeof(head))
		return NULL;
	memcpy(&head, raw, sizeof(head));
	if (memcmp(head.cookie, cookie, sizeof(cookie)) || head.version >> 8 != l->version)
		return NULL;
	if (head.free_threaded)
		return ma_errorf(MA_ERR_UNSUPPORTED, "free-threaded Python %u.%u is not supported", l->version >> 16,
				 l->minor);
	const struct table *t = choose(l, NULL, 0);
	for (const struct debug_at *d = t ? t->debug : NULL; d && d->at; d++) {
		int64_t first, second;
		if (!debug_member(raw, bytes, d->first, &first) || !debug_member(raw, bytes, d->second, &second) ||
		    first + d->sign * second < 0)
			return ma_errorf(MA_ERR_BAD_DATA, "the debug offsets of this Python are not offsets (at %d)",
					 d->first);
		int32_t value = (int32_t)(first + d->sign * second);
		memcpy((char *)l + d->at, &value, sizeof(value));
		*any_ret = true;
	}
	return NULL;
}
