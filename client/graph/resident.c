// SPDX-License-Identifier: Apache-2.0
#include "resident.h"

#include "cleanup.h"
#include "saturate.h"

#include <stdlib.h>
#include <string.h>

enum claim_kind { CLAIM_ARENA, CLAIM_HEAP, CLAIM_SPAN };

struct claim { /* a range of addresses that something is known about */
	uint64_t start, end;
	enum claim_kind kind;
	uint32_t span; /* enum ma_malloc_span */
};

struct state {
	const struct ma_snap_tables *tab;
	struct ma_resident *r;
	struct claim *claims; /* sorted, apart from each other */
	size_t claims_count;
};

static int by_start(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return (int)x->kind - (int)y->kind;
}

static void add_claim(struct state *s, uint64_t start, uint64_t end, enum claim_kind kind, uint32_t span)
{
	if (start < end)
		s->claims[s->claims_count++] = (struct claim){ start, end, kind, span };
}

/* Ranges that overlap are a misreading or a hostile file: the later one is cut. */
static struct ma_error *gather(struct state *s)
{
	const struct ma_snap_tables *tab = s->tab;
	s->claims = calloc(tab->arenas_count + tab->heaps_count + tab->spans_count + 1, sizeof(*s->claims));
	if (!s->claims)
		return &ma_enomem;
	for (size_t i = 0; i < tab->arenas_count; i++)
		add_claim(s, tab->arenas[i].addr, add(tab->arenas[i].addr, tab->arenas[i].bytes), CLAIM_ARENA, 0);
	for (size_t i = 0; i < tab->heaps_count; i++)
		add_claim(s, tab->heaps[i].start, tab->heaps[i].end, CLAIM_HEAP, 0);
	for (size_t i = 0; i < tab->spans_count; i++)
		add_claim(s, tab->spans[i].start, tab->spans[i].end, CLAIM_SPAN, tab->spans[i].kind);
	qsort(s->claims, s->claims_count, sizeof(*s->claims), by_start);
	uint64_t last = 0;
	size_t kept = 0;
	for (size_t i = 0; i < s->claims_count; i++) {
		struct claim c = s->claims[i];
		if (c.start < last)
			c.start = last;
		if (c.start >= c.end)
			continue;
		s->claims[kept++] = c;
		last = c.end;
	}
	s->claims_count = kept;
	return NULL;
}

/* The first that ends behind `addr`. */
static size_t first_run(const struct ma_snap_run *v, size_t count, uint64_t addr)
{
	size_t lo = 0, hi = count;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (v[mid].end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static size_t first_claim(const struct state *s, uint64_t addr)
{
	size_t lo = 0, hi = s->claims_count;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (s->claims[mid].end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static uint64_t pages_in(const struct ma_snap_tables *tab, uint64_t start, uint64_t end)
{
	uint64_t bytes = 0;
	for (size_t i = first_run(tab->pages, tab->pages_count, start);
	     i < tab->pages_count && tab->pages[i].start < end; i++) {
		const struct ma_snap_run *p = &tab->pages[i];
		bytes += min(p->end, end) - (p->start > start ? p->start : start);
	}
	return bytes;
}

uint64_t ma_resident_bytes(const struct ma_snap_tables *tab, uint64_t start, uint64_t end)
{
	return !tab->pages_count ? sub(end, start) : start < end ? pages_in(tab, start, end) : 0;
}

/* Resident bytes of parts of one region. The kernel's sum for the region is the truth; the pages say where it lies. */
struct parts {
	const struct ma_snap_tables *tab;
	uint64_t rss, pages, mapped, left;
};

static uint64_t part(struct parts *p, uint64_t start, uint64_t end)
{
	uint64_t n;
	if (p->pages)
		n = pages_in(p->tab, start, end);
	else
		n = (uint64_t)((double)p->rss * ((double)(end - start) / (double)p->mapped));
	n = min(n, p->left);
	p->left -= n;
	return n;
}

static void add_unknown(struct ma_resident *r, uint64_t start, uint64_t end, const char *path, uint64_t bytes)
{
	size_t i = r->largest_count;
	r->unknown = add(r->unknown, bytes);
	if (!bytes || (i == MA_UNKNOWN_MAX && r->largest[i - 1].bytes >= bytes))
		return;
	if (i < MA_UNKNOWN_MAX)
		r->largest_count++;
	else
		i--;
	for (; i && r->largest[i - 1].bytes < bytes; i--)
		r->largest[i] = r->largest[i - 1];
	r->largest[i] = (struct ma_unknown){ start, end, bytes, path ? path : "" };
}

static void add_anonymous(struct state *s, const struct ma_snap_region *r, uint64_t mapped, uint64_t rss)
{
	struct ma_resident *res = s->r;
	struct parts p = { s->tab, rss, pages_in(s->tab, r->start, r->end), mapped, rss };
	/* a chunk of the file that is lost, or an older file */
	if (p.pages < rss - rss / 8)
		p.pages = 0;
	uint64_t stacks = res->stacks;
	for (size_t i = first_claim(s, r->start); i < s->claims_count && s->claims[i].start < r->end; i++) {
		const struct claim *c = &s->claims[i];
		uint64_t n = part(&p, c->start > r->start ? c->start : r->start, min(c->end, r->end));
		if (c->kind == CLAIM_ARENA)
			res->arenas = add(res->arenas, n);
		else if (c->kind == CLAIM_HEAP)
			res->heaps = add(res->heaps, n);
		else if (c->span == MA_SPAN_MMAPPED)
			res->mmapped = add(res->mmapped, n);
		else if (c->span == MA_SPAN_STACK || c->span == MA_SPAN_FRAMES)
			res->stacks = add(res->stacks, n);
		else
			add_unknown(res, c->start, c->end, r->path, n);
	}
	if (r->kind == MA_RGN_DATA)
		res->data = add(res->data, p.left);
	else if (r->kind == MA_RGN_STACK)
		res->stacks = add(res->stacks, p.left);
	else if (r->kind == MA_RGN_HEAP)
		res->heap = add(res->heap, p.left);
	else if (p.left && res->stacks > stacks && p.left <= 65536) /* what a thread's stack was rounded up by */
		res->stacks = add(res->stacks, p.left);
	else
		add_unknown(res, r->start, r->end, r->path, p.left);
}

#define IMAGE_PARTS 8 /* mappings of one executable or library, side by side */

/* Is it a part of an executable or library: is a neighbour of the same file executable? */
static bool is_image(const struct ma_snap_tables *tab, size_t at)
{
	const char *path = tab->regions[at].path;
	size_t from = at > IMAGE_PARTS ? at - IMAGE_PARTS : 0, to = at + IMAGE_PARTS;
	if (!path || path[0] != '/')
		return true; /* .bss */
	for (size_t i = from; i < tab->regions_count && i <= to; i++) {
		const struct ma_snap_region *r = &tab->regions[i];
		if ((r->prot & 4) && r->path && !strcmp(r->path, path))
			return true;
	}
	return false;
}

static void add_region(struct state *s, size_t at)
{
	const struct ma_snap_region *r = &s->tab->regions[at];
	struct ma_resident *res = s->r;
	uint64_t mapped = sub(r->end, r->start), rss = min(r->rss, mapped), anon = min(r->anonymous, rss);
	switch (r->kind) {
	case MA_RGN_CODE:
	case MA_RGN_DATA:
	case MA_RGN_FILE:
		if (!is_image(s->tab, at)) {
			res->file_private = add(res->file_private, anon);
			res->file_seen = add(res->file_seen, rss - anon);
			res->file_mapped = add(res->file_mapped, mapped - anon);
			break;
		}
		if (mapped && r->path && !r->path[0])
			add_anonymous(s, r, mapped, anon); /* .bss, and what was mapped directly behind it */
		else
			res->data = add(res->data, anon);
		res->code_seen = add(res->code_seen, rss - anon);
		res->code_mapped = add(res->code_mapped, mapped - anon);
		break;
	case MA_RGN_SHARED:
		/* shared memory of a real file is in RssFile, all other in RssShmem, which is a row as it stands */
		if (r->path && r->path[0] == '/' && strncmp(r->path, "/dev/", 5) && strncmp(r->path, "/memfd:", 7) &&
		    strncmp(r->path, "/SYSV", 5))
			res->file_mapped = add(res->file_mapped, mapped);
		break;
	case MA_RGN_KERNEL:
		break;
	default:
		if (mapped)
			add_anonymous(s, r, mapped, anon);
		break;
	}
}

static bool in_claim(const struct state *s, uint64_t addr, const struct claim **ret)
{
	size_t i = first_claim(s, addr);
	*ret = i < s->claims_count && s->claims[i].start <= addr ? &s->claims[i] : NULL;
	return *ret != NULL;
}

static void add_zeros(struct state *s)
{
	const struct claim *c;
	for (size_t i = 0; i < s->tab->zeros_count; i++) {
		const struct ma_snap_zero *z = &s->tab->zeros[i];
		uint64_t *to = &s->r->zeros_unknown;
		if (in_claim(s, z->start, &c))
			to = c->kind == CLAIM_HEAP                               ? &s->r->zeros_heaps
			     : c->kind == CLAIM_SPAN && c->span == MA_SPAN_STACK ? &s->r->zeros_stacks
										 : NULL;
		if (to)
			*to = add(*to, z->zeros);
	}
}

struct ma_error *ma_resident_compute(const struct ma_snap_tables *tab, struct ma_resident *ret)
{
	struct state s = { .tab = tab, .r = ret };
	uint64_t anonymous = 0;
	memset(ret, 0, sizeof(*ret));
	MA_TRY(gather(&s));
	for (size_t i = 0; i < tab->regions_count; i++) {
		add_region(&s, i);
		anonymous = add(anonymous, min(tab->regions[i].anonymous, tab->regions[i].rss));
	}
	for (size_t i = 0; i < tab->spans_count; i++)
		if (tab->spans[i].kind == MA_SPAN_MMAPPED) {
			ret->mmapped_chunks++;
			ret->mmapped_bytes = add(ret->mmapped_bytes, tab->spans[i].end - tab->spans[i].start);
		}
	if (tab->regions_count) {
		ret->not_copied = sub(tab->meta.rss_anon, anonymous);
		add_unknown(ret, 0, 0, "(not in the copy)", ret->not_copied);
	}
	add_zeros(&s);
	free(s.claims);
	return NULL;
}
