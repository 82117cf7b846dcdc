// SPDX-License-Identifier: Apache-2.0
/* mallocs.c - fields of MALLOC blocks into tables: which pages were resident, heaps of glibc, stacks, fill of arenas.
 */
#include "snap.h"

#include "cleanup.h"

#define ADDR_MAX (UINT64_C(1) << 56) /* no machine has addresses beyond; sums then stay inside 64 bits */
#define PAGE 4096u

#define ADD(vec, row) MA_TRY(ma_vec_add(vec, sizeof(**(row)), MA_ROWS_MAX, (void **)(row)))

static bool range(struct ma_cursor *c, uint64_t *start, uint64_t *end)
{
	*start = ma_cursor_varint(c);
	uint64_t bytes = ma_cursor_varint(c);
	if (c->bad || *start > ADDR_MAX || bytes > ADDR_MAX || !bytes)
		c->bad = true;
	*end = *start + bytes;
	return !c->bad;
}

static uint64_t amount(struct ma_cursor *c)
{
	uint64_t v = ma_cursor_varint(c);
	if (v > ADDR_MAX)
		c->bad = true;
	return c->bad ? 0 : v;
}

/* Pairs of absent and present pages behind an address. Rows must come sorted: what asks for an address searches them.
 */
static struct ma_error *runs(struct ma_vec *v, struct ma_cursor *c)
{
	uint64_t at = amount(c);
	while (!c->bad && ma_cursor_left(c)) {
		struct ma_snap_run *rows = v->data, *row;
		uint64_t absent = amount(c), present = amount(c);
		if (c->bad || absent > ADDR_MAX / PAGE || present > ADDR_MAX / PAGE || !present) {
			c->bad = true;
			break;
		}
		uint64_t start = at + absent * PAGE, end = start + present * PAGE;
		if (end > ADDR_MAX || (v->count && start < rows[v->count - 1].end)) {
			c->bad = true;
			break;
		}
		ADD(v, &row);
		*row = (struct ma_snap_run){ start, end };
		at = end;
	}
	return NULL;
}

static struct ma_snap_chunks chunks(struct ma_cursor *c)
{
	struct ma_snap_chunks r;
	r.chunks = amount(c);
	r.bytes = amount(c);
	r.resident = amount(c);
	return r;
}

static struct ma_error *heap(struct ma_snap *s, struct ma_cursor *c)
{
	struct ma_snap_heap *row, r = { 0 };
	r.arena = ma_cursor_varint(c);
	r.main = ma_cursor_varint(c) != 0;
	if (!range(c, &r.start, &r.end))
		return NULL;
	r.used = chunks(c);
	r.cached = chunks(c);
	r.free = chunks(c);
	r.top = chunks(c);
	r.trimmable = amount(c);
	r.unread = amount(c);
	if (c->bad)
		return NULL;
	ADD(&s->heaps, &row);
	*row = r;
	return NULL;
}

static struct ma_error *span(struct ma_snap *s, struct ma_cursor *c)
{
	struct ma_snap_span *row, r = { 0 };
	uint64_t kind;
	if (!range(c, &r.start, &r.end))
		return NULL;
	kind = ma_cursor_varint(c);
	r.tid = ma_cursor_varint(c);
	if (c->bad)
		return NULL;
	r.kind = kind > UINT32_MAX ? 0 : (uint32_t)kind;
	ADD(&s->spans, &row);
	*row = r;
	return NULL;
}

static struct ma_error *fill(struct ma_snap *s, struct ma_cursor *c)
{
	struct ma_snap_fill *row, r = { 0 };
	r.addr = amount(c);
	r.carved = amount(c);
	r.used = amount(c);
	r.free = amount(c);
	r.used_pools = amount(c);
	if (c->bad)
		return NULL;
	ADD(&s->fills, &row);
	*row = r;
	return NULL;
}

static struct ma_error *zero(struct ma_snap *s, struct ma_cursor *c)
{
	struct ma_snap_zero *row, r = { 0 };
	if (!range(c, &r.start, &r.end))
		return NULL;
	r.zeros = amount(c);
	if (c->bad || r.zeros > r.end - r.start) {
		c->bad = true;
		return NULL;
	}
	ADD(&s->zeros, &row);
	*row = r;
	return NULL;
}

struct ma_error *ma_snap_malloc_field(struct ma_snap *s, struct ma_cursor *c)
{
	uint64_t tag = ma_cursor_varint(c), bytes = ma_cursor_varint(c);
	const uint8_t *p = ma_cursor_take(c, bytes);
	struct ma_error *err = NULL;
	struct ma_cursor f;
	if (!p)
		return NULL;
	ma_cursor_init(&f, p, (size_t)bytes);
	switch (tag) {
	case MA_MAL_PAGES:
		err = runs(&s->pages, &f);
		break;
	case MA_MAL_HUGE:
		err = runs(&s->huge, &f);
		break;
	case MA_MAL_HEAP:
		err = heap(s, &f);
		break;
	case MA_MAL_SPAN:
		err = span(s, &f);
		break;
	case MA_MAL_FILL:
		err = fill(s, &f);
		break;
	case MA_MAL_ZERO:
		err = zero(s, &f);
		break;
	default:
		break;
	}
	c->bad |= f.bad;
	return err;
}
