// SPDX-License-Identifier: Apache-2.0
/* glibc_walk.c - from chunk to chunk through the heaps of glibc. A chunk (malloc/malloc.c, struct malloc_chunk) is the
 * size of the one before it if that is free, then its own size with three flags, then the data. Whether it is in use
 * stands in the next one. The layout is the same in all versions since 2.3. */
#include "heap_internal.h"

#include <stdlib.h>
#include <string.h>

#define PREV_INUSE 1u
#define IS_MMAPPED 2u
#define SIZE_BITS 7u
#define CHUNK_MIN 32u
#define CHUNK_HEAD 48u        /* of a free chunk: what malloc_trim leaves alone (sizeof(struct malloc_chunk)) */
#define HEAP_MAX (64u << 20)  /* of a thread arena: at a multiple of it (malloc/arena.c, HEAP_MAX_SIZE) */
#define RESYNC_MAX (1u << 20) /* how far ahead the next sound chunk is looked for */
#define RESYNC_CHAIN 24u      /* so many sound chunks in a row are no accident */
#define FIRST_CHUNK_MAX 4096u /* the heap begins where the program break was: mostly at a page */
#define ARENAS_MAX 65536u

struct walk {
	struct ma_survey_state *s;
	struct ma_heap *heap;
	uint64_t at, end, top; /* top: 0 when it is in another heap */
};

static bool chunk_size(struct walk *w, uint64_t at, uint64_t *size, unsigned *flags)
{
	const void *p = ma_window_at(&w->s->window, at + 8, 8);
	uint64_t v;
	if (!p)
		return false;
	memcpy(&v, p, 8);
	*flags = v & SIZE_BITS;
	*size = v & ~UINT64_C(7);
	return true;
}

static bool sound(struct walk *w, uint64_t at, uint64_t *size, unsigned *flags)
{
	return chunk_size(w, at, size, flags) && *size >= CHUNK_MIN && !(*size & 15) && !(*flags & IS_MMAPPED) &&
	       *size <= w->end - at;
}

/* A heap that was closed ends with one or two headers without data (sysmalloc: "fencepost"): of size 16 and 0. */
static bool fence(struct walk *w, uint64_t at)
{
	uint64_t size;
	unsigned flags;
	return w->end - at <= 48 && (w->end - at <= 8 || (chunk_size(w, at, &size, &flags) && size <= 16));
}

/* Does a chain of sound chunks begin here? */
static bool chain(struct walk *w, uint64_t at)
{
	uint64_t size;
	unsigned flags;
	for (unsigned i = 0; i < RESYNC_CHAIN; i++) {
		if (at == w->top || (at < w->end && fence(w, at)))
			return i > 0 || at == w->top;
		if (at >= w->end || !sound(w, at, &size, &flags))
			return false;
		at += size;
	}
	return true;
}

/* The next place from which the walk can go on, at most w->end. */
static uint64_t resync(struct walk *w, uint64_t at)
{
	uint64_t end = w->end - at > RESYNC_MAX ? at + RESYNC_MAX : w->end;
	for (at += 16; at < end; at += 16)
		if (chain(w, at))
			return at;
	return w->top >= at && w->top < w->end ? w->top : w->end;
}

static void count(struct walk *w, struct ma_heap_sum *sum, uint64_t at, uint64_t size)
{
	sum->chunks++;
	sum->bytes += size;
	sum->resident += ma_survey_resident(w->s, at, at + size);
}

/* What malloc_trim(0) would return of a free chunk: whole pages behind its header. */
static void trimmable(struct walk *w, uint64_t at, uint64_t size)
{
	uint64_t a = (at + CHUNK_HEAD + 4095) & ~UINT64_C(4095), b = (at + size) & ~UINT64_C(4095);
	if (a >= b)
		return;
	w->heap->trimmable += ma_survey_resident(w->s, a, b);
	if (w->s->job->huge->count)
		ma_zeros_find(w->s, a, b);
}

/* From w->at to w->end. */
static void walk(struct walk *w)
{
	uint64_t at = w->at, size, next_size;
	unsigned flags, next_flags;
	while (at < w->end) {
		if (at == w->top) {
			if (sound(w, at, &size, &flags) || (size >= 16 && size <= w->end - at)) {
				count(w, &w->heap->top, at, size);
				trimmable(w, at, size);
				at += size;
			}
			break;
		}
		if (fence(w, at)) {
			at = w->end;
			break;
		}
		if (!sound(w, at, &size, &flags)) {
			uint64_t next = resync(w, at);
			w->heap->unread += ma_survey_resident(w->s, at, next);
			at = next;
			continue;
		}
		uint64_t next = at + size;
		bool in_use = true;
		if (next < w->end && chunk_size(w, next, &next_size, &next_flags))
			in_use = next_flags & PREV_INUSE;
		count(w, in_use ? &w->heap->used : &w->heap->free, at, size);
		if (!in_use)
			trimmable(w, at, size);
		at = next;
	}
	if (at < w->end)
		w->heap->unread += ma_survey_resident(w->s, at, w->end);
}

/* The mappings around `addr` that follow each other without a gap. */
static bool extent(const struct ma_maps *maps, uint64_t addr, uint64_t *start, uint64_t *end)
{
	const struct ma_map *m = ma_maps_find(maps, addr);
	if (!m || !ma_is_anon(m))
		return false;
	size_t lo = (size_t)(m - maps->v), hi = lo;
	while (lo && maps->v[lo - 1].end == maps->v[lo].start && ma_is_anon(&maps->v[lo - 1]) &&
	       !strcmp(maps->v[lo - 1].path, m->path))
		lo--;
	while (hi + 1 < maps->count && maps->v[hi].end == maps->v[hi + 1].start && ma_is_anon(&maps->v[hi + 1]) &&
	       !strcmp(maps->v[hi + 1].path, m->path))
		hi++;
	*start = maps->v[lo].start;
	*end = maps->v[hi].end;
	return true;
}

/* The heap of main_arena grows by brk. Where brk was refused it is somewhere else, and where it begins is not known:
 * then only `top` is. */
static void walk_main(struct ma_survey_state *s, const struct ma_glibc *g)
{
	uint64_t top, start, end, size;
	const struct ma_maps *maps = s->job->maps;
	if (!ma_window_u64(&s->spot, g->main_arena + g->off_top, &top) || !extent(maps, top, &start, &end) ||
	    !ma_window_u64(&s->spot, top + 8, &size))
		return;
	struct ma_heap *h = ma_survey_add_heap(s);
	if (!h)
		return;
	struct walk w = { .s = s, .heap = h, .at = start, .end = end, .top = top };
	h->arena = g->main_arena;
	h->main = true;
	if (strcmp(ma_maps_find(maps, top)->path, "[heap]") != 0) {
		h->start = top;
		h->end = w.end = top + (size & ~UINT64_C(7)) < end ? top + (size & ~UINT64_C(7)) : end;
		w.at = top;
		walk(&w);
		return;
	}
	h->start = start;
	h->end = end;
	while (w.at < start + FIRST_CHUNK_MAX && !chain(&w, w.at))
		w.at += 16;
	if (w.at == start + FIRST_CHUNK_MAX)
		w.at = start;
	h->unread += ma_survey_resident(s, start, w.at);
	walk(&w);
}

/* struct heap_info (malloc/arena.c): ar_ptr, prev, size, mprotect_size, from 2.35 on pagesize. */
struct heap_info {
	uint64_t arena, prev, size, writable;
};

static bool heap_read(struct ma_survey_state *s, uint64_t at, uint64_t arena, struct heap_info *ret)
{
	const void *p = (at & (HEAP_MAX - 1)) ? NULL : ma_window_at(&s->window, at, sizeof(*ret));
	if (!p)
		return false;
	memcpy(ret, p, sizeof(*ret));
	return ret->arena == arena && ret->size >= 4096 && ret->size <= HEAP_MAX && !(ret->prev & (HEAP_MAX - 1)) &&
	       ret->prev != at;
}

/* The heaps of a thread arena: from that of its `top` back to the first, which has the arena itself in it. */
static void walk_thread_arena(struct ma_survey_state *s, const struct ma_glibc *g, uint64_t arena)
{
	uint64_t top;
	struct heap_info info;
	if (!ma_window_u64(&s->spot, arena + g->off_top, &top))
		return;
	uint64_t at = top & ~(uint64_t)(HEAP_MAX - 1);
	for (unsigned i = 0; i < ARENAS_MAX && at && heap_read(s, at, arena, &info); i++, at = info.prev) {
		struct ma_heap *h = ma_survey_add_heap(s);
		if (!h)
			return;
		struct walk w = { .s = s, .heap = h, .end = at + info.size };
		w.top = top >= at && top < w.end ? top : 0;
		h->arena = arena;
		h->start = at;
		h->end = w.end;
		bool first = arena > at && arena < at + 4096;
		uint64_t from = first ? (arena + g->bytes + 15) & ~UINT64_C(15) : at + 32;
		for (w.at = from; w.at < from + 512 && !chain(&w, w.at);)
			w.at += 16;
		if (w.at == from + 512)
			w.at = from;
		h->used.bytes += w.at - at; /* heap_info, and the arena itself */
		h->used.resident += ma_survey_resident(s, at, w.at);
		walk(&w);
	}
}

static void walk_arenas(struct ma_survey_state *s, const struct ma_glibc *g, ma_raddr *v)
{
	size_t n = ma_glibc_arenas(s, g, v, ARENAS_MAX);
	walk_main(s, g);
	for (size_t i = 1; i < n; i++)
		walk_thread_arena(s, g, v[i]);
}

void ma_glibc_walk(struct ma_survey_state *s, const struct ma_glibc *g)
{
	ma_raddr *v = malloc(ARENAS_MAX * sizeof(*v));
	if (v)
		walk_arenas(s, g, v);
	else
		s->failed = true;
	free(v);
}
