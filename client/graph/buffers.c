// SPDX-License-Identifier: Apache-2.0
#include "buffers.h"

#include "cleanup.h"

#include <stdlib.h>
#include <string.h>

struct span {
	uint64_t start, end;
};

static const struct {
	const char *name, *text;
	unsigned rank;
	uint32_t kind;
} rows[MA_BUFFER_COUNT] = {
#define MA_BUFFER(id, name_, text_, rank_) \
	[MA_BUFFER_##id] = { .name = (name_), .text = (text_), .rank = (rank_), .kind = MA_RAW_##id },
	MA_BUFFER_KINDS(MA_BUFFER)
#undef MA_BUFFER
		[MA_BUFFER_OTHER] = { .name = "other", .text = "others", .rank = 4 },
};

const char *ma_buffer_name(enum ma_buffer_row row)
{
	return row < MA_BUFFER_COUNT ? rows[row].name : "";
}

const char *ma_buffer_text(enum ma_buffer_row row)
{
	return row < MA_BUFFER_COUNT ? rows[row].text : "";
}

static uint32_t row_of(uint32_t kind)
{
	uint32_t i = 0;
	while (i < MA_BUFFER_OTHER && rows[i].kind != kind)
		i++;
	return i;
}

static int by_rank(const void *a, const void *b)
{
	const struct ma_buffer *x = a, *y = b;
	if (rows[x->row].rank != rows[y->row].rank)
		return rows[x->row].rank < rows[y->row].rank ? -1 : 1;
	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	return x->owner < y->owner ? -1 : x->owner > y->owner;
}

/* Bytes of [start, end) that are in spans; *at is the first that may matter, for calls in rising order of start. */
static uint64_t overlap(const struct span *spans, size_t count, size_t *at, uint64_t start, uint64_t end)
{
	uint64_t sum = 0;
	while (*at < count && spans[*at].end <= start)
		++*at;
	for (size_t i = *at; i < count && spans[i].start < end; i++)
		sum += (spans[i].end < end ? spans[i].end : end) - (spans[i].start > start ? spans[i].start : start);
	return sum;
}

static int by_start(const void *a, const void *b)
{
	const struct span *x = a, *y = b;
	return x->start < y->start ? -1 : x->start > y->start;
}

/* Sorts, and makes spans that touch one. */
static size_t unite(struct span *s, size_t n)
{
	size_t out = 0;
	if (n)
		qsort(s, n, sizeof(*s), by_start);
	for (size_t i = 0; i < n; i++) {
		if (out && s[i].start <= s[out - 1].end)
			s[out - 1].end = s[i].end > s[out - 1].end ? s[i].end : s[out - 1].end;
		else
			s[out++] = s[i];
	}
	return out;
}

/* One rank: what ranges of it or of a lower rank have is not counted again. */
static size_t count_rank(struct ma_buffer *b, size_t n, struct span *spans, size_t spans_count)
{
	uint64_t covered = 0;
	size_t at = 0;
	for (size_t i = 0; i < n; i++) {
		uint64_t end = b[i].addr + b[i].bytes, start = b[i].addr > covered ? b[i].addr : covered;
		if (start >= end)
			continue;
		b[i].counted = end - start - overlap(spans, spans_count, &at, start, end);
		covered = end;
	}
	for (size_t i = 0; i < n; i++)
		spans[spans_count + i] = (struct span){ b[i].addr, b[i].addr + b[i].bytes };
	return unite(spans, spans_count + n);
}

struct ma_error *ma_buffers_compute(const struct ma_snap *s, struct ma_buffers *ret)
{
	const struct ma_snap_tables *tab = ma_snap_tables(s);
	struct ma_buffers b = { .count = tab->raws_count };
	_cleanup_free_ struct span *spans = calloc(b.count ? b.count : 1, sizeof(*spans));
	b.list = calloc(b.count ? b.count : 1, sizeof(*b.list));
	if (!spans || !b.list) {
		free(b.list);
		return &ma_enomem;
	}
	for (size_t i = 0; i < b.count; i++) {
		const struct ma_snap_raw *r = &tab->raws[i];
		b.list[i] = (struct ma_buffer){ r->addr, r->bytes, r->owner, 0, row_of(r->kind) };
	}
	if (b.count)
		qsort(b.list, b.count, sizeof(*b.list), by_rank);
	size_t spans_count = 0;
	for (size_t i = 0, end; i < b.count; i = end) {
		for (end = i + 1; end < b.count && rows[b.list[end].row].rank == rows[b.list[i].row].rank;)
			end++;
		spans_count = count_rank(&b.list[i], end - i, spans, spans_count);
	}
	for (size_t i = 0; i < b.count; i++) {
		b.rows[b.list[i].row].count++;
		b.rows[b.list[i].row].bytes += b.list[i].bytes;
		b.rows[b.list[i].row].counted += b.list[i].counted;
	}
	*ret = b;
	return NULL;
}

void ma_buffers_deinit(struct ma_buffers *b)
{
	free(b->list);
	memset(b, 0, sizeof(*b));
}
