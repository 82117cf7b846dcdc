// SPDX-License-Identifier: Apache-2.0
/* glibc_cached.c - chunks that were freed but look used: in the cache of a thread (tcache, since 2.26) and in fastbins
 * (up to 2.42). Both are single lists; since 2.32 a pointer is stored XOR the page number of where it stands (malloc.c,
 * PROTECT_PTR). */
#include "heap_internal.h"
#include "mem.h"
#include "wait.h"

#include <stdlib.h>
#include <string.h>

#define TLS_BELOW (64u << 10) /* where the pointer to a thread's cache may be: in the thread-local data of libc */
#define ARENAS_MAX 4096u      /* of glibc: the MALLOC_ARENA_MAX of a machine is eight for each CPU */
#define LIST_MAX (1u << 20)
#define ALL_MAX (4u << 20)
#define BUDGET_NS 2000000000u /* lists jump through memory: some 300 ns for each step */
#define CHUNK_MIN 32u
#define VOTES 64u /* lists that tell how pointers are stored */
#define VOTE_STEPS 64u

/* struct tcache_perthread_struct: counts, then as many lists. It is a chunk itself. */
static const struct shape {
	uint64_t chunk;          /* its size */
	unsigned lists, entries; /* number, offset of the first */
} shapes[] = {
	{ 0x250, 64, 64 },  /* 2.26 to 2.29: counts are bytes */
	{ 0x290, 64, 128 }, /* 2.30 to 2.41: 16 bits */
	{ 0x300, 76, 152 }, /* from 2.42 on: 12 lists more, for large sizes, and places left instead of counts */
};

struct cached {
	struct ma_survey_state *s;
	struct ma_heap **heaps; /* sorted */
	size_t heaps_count;
	uint64_t *words;  /* TLS_BELOW bytes */
	uint64_t *caches; /* of the threads so far */
	size_t caches_count;
	ma_raddr *arenas; /* ARENAS_MAX */
	uint64_t deadline;
	uint64_t seen;
	unsigned votes[2]; /* lists that end well with plain pointers, and with masked ones */
	bool voting;
};

static int by_start(const void *a, const void *b)
{
	const struct ma_heap *x = *(struct ma_heap *const *)a, *y = *(struct ma_heap *const *)b;
	return x->start < y->start ? -1 : x->start > y->start;
}

/* The heap that a chunk lies in. */
static struct ma_heap *heap_of(const struct cached *c, uint64_t at)
{
	size_t low = 0, high = c->heaps_count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (at >= c->heaps[mid]->end)
			low = mid + 1;
		else
			high = mid;
	}
	return low < c->heaps_count && at >= c->heaps[low]->start ? c->heaps[low] : NULL;
}

static bool goes_on(struct cached *c)
{
	return ++c->seen <= ALL_MAX && ((c->seen & 1023) || ma_now_ns() < c->deadline);
}

/* The chunk at `at` is free after all. False when it can not be one. */
static bool move(struct cached *c, uint64_t at, uint64_t next_word, uint64_t *next)
{
	struct {
		uint64_t size, next;
	} v;
	struct ma_heap *h = (at & 15) ? NULL : heap_of(c, at);
	if (!h || !ma_window_u64(&c->s->spot, at + 8, &v.size) || !ma_window_u64(&c->s->spot, next_word, &v.next))
		return false;
	v.size &= ~UINT64_C(7);
	if (v.size < CHUNK_MIN || (v.size & 15) || v.size > h->end - at || h->used.bytes < v.size)
		return false;
	uint64_t resident = ma_survey_resident(c->s, at, at + v.size);
	if (resident > h->used.resident || !h->used.chunks) /* the arena itself is used, and no chunk */
		return false;
	h->used.chunks--;
	h->used.bytes -= v.size;
	h->used.resident -= resident;
	h->cached.chunks++;
	h->cached.bytes += v.size;
	h->cached.resident += resident;
	*next = v.next;
	return true;
}

/* What a stored pointer means: 0 at the end, or where it leads out of the heaps. */
static uint64_t reveal(const struct cached *c, uint64_t stored, uint64_t where, bool masked)
{
	uint64_t at = masked ? stored ^ (where >> 12) : stored;
	return at && !(at & 15) && heap_of(c, at) ? at : 0;
}

/* Does the list come to an end, through chunks of one size, if pointers are stored like that? */
static bool ends_well(struct cached *c, uint64_t first, bool data, bool masked)
{
	uint64_t at = first, size, stored, all = 0;
	for (unsigned i = 0; i < VOTE_STEPS; i++) {
		uint64_t chunk = data ? at - 16 : at, link = chunk + 16;
		if (!heap_of(c, chunk) || !ma_window_u64(&c->s->spot, chunk + 8, &size) ||
		    !ma_window_u64(&c->s->spot, link, &stored))
			return false;
		size &= ~UINT64_C(7);
		if (i && size != all)
			return false;
		all = size;
		if (stored == (masked ? link >> 12 : 0))
			return true;
		at = reveal(c, stored, link, masked);
		if (!at)
			return false;
	}
	return false;
}

/* A heap at a low address (an executable that is not PIE) lets a pointer read the wrong way look like one, too. */
static void vote(struct cached *c, uint64_t first, bool data)
{
	if (c->votes[0] + c->votes[1] >= VOTES)
		return;
	c->votes[0] += ends_well(c, first, data, false);
	c->votes[1] += ends_well(c, first, data, true);
}

/* `data`: entries point to the data of a chunk (tcache), else to its header (fastbin). The link is in the data. */
static void list(struct cached *c, uint64_t first, bool data)
{
	uint64_t at = first, stored;
	if (c->voting) {
		vote(c, first, data);
		return;
	}
	for (unsigned i = 0; at && i < LIST_MAX && goes_on(c); i++) {
		uint64_t chunk = data ? at - 16 : at, link = chunk + 16;
		if (!move(c, chunk, link, &stored))
			return;
		at = reveal(c, stored, link, c->votes[1] >= c->votes[0]);
	}
}

static bool seen_before(const struct cached *c, uint64_t at)
{
	for (size_t i = 0; i < c->caches_count; i++)
		if (c->caches[i] == at)
			return true;
	return false;
}

/* The chunk was freed with its thread, if the next one says so. */
static bool is_free(struct cached *c, uint64_t at, uint64_t size)
{
	uint64_t next;
	return ma_window_u64(&c->s->spot, at - 8 + size, &next) && !(next & 1 /* PREV_INUSE */);
}

static bool cache_ok(struct cached *c, uint64_t at, const struct shape *sh, uint64_t *v)
{
	if (ma_mem_read_some(c->s->job->pid, at + sh->entries, v, 8 * sh->lists) != 8 * sh->lists)
		return false;
	for (unsigned i = 0; i < sh->lists; i++)
		if (v[i] && ((v[i] & 15) || !heap_of(c, v[i])))
			return false;
	return true;
}

/* The cache of the thread whose pointer is at `tls`: among its thread-local words is one to a chunk of that shape. What
 * a thread without one has below is its stack, where those of others may be named: each counts once. */
static void thread_cache(struct cached *c, uint64_t tls)
{
	uint64_t v[128], size;
	const struct ma_map *m = ma_maps_find(c->s->job->maps, tls);
	if (!m || (tls & 7))
		return;
	uint64_t from = tls - m->start > TLS_BELOW ? tls - TLS_BELOW : m->start;
	size_t n = ma_mem_read_some(c->s->job->pid, from, c->words, tls - from) / 8;
	while (n--) {
		uint64_t at = c->words[n];
		if ((at & 15) || !heap_of(c, at) || !ma_window_u64(&c->s->spot, at - 8, &size))
			continue;
		for (size_t k = 0; k < sizeof(shapes) / sizeof(shapes[0]); k++) {
			if (shapes[k].chunk != (size & ~UINT64_C(7)) || is_free(c, at, shapes[k].chunk) ||
			    seen_before(c, at) || !cache_ok(c, at, &shapes[k], v))
				continue;
			c->caches[c->caches_count++] = at;
			for (unsigned i = 0; i < shapes[k].lists; i++)
				if (v[i])
					list(c, v[i], true);
			return;
		}
	}
}

static void fastbins(struct cached *c, const struct ma_glibc *g)
{
	ma_raddr *v = c->arenas;
	size_t n = g->fastbins ? ma_glibc_arenas(c->s, g, v, ARENAS_MAX) : 0;
	for (size_t i = 0; i < n; i++)
		for (unsigned k = 0; k < g->fastbins; k++) {
			uint64_t first;
			if (ma_window_u64(&c->s->spot, v[i] + g->off_top - 8 * (k + 1), &first) && first)
				list(c, first, false);
		}
}

static void all_lists(struct cached *c, const struct ma_glibc *g)
{
	c->caches_count = 0;
	for (size_t i = 0; i < c->s->job->threads_count; i++)
		thread_cache(c, c->s->job->threads[i].tls);
	fastbins(c, g);
}

void ma_glibc_cached(struct ma_survey_state *s, const struct ma_glibc *g)
{
	size_t n = s->out->heaps_count;
	struct cached c = { .s = s,
			    .heaps = calloc(n + 1, sizeof(struct ma_heap *)),
			    .heaps_count = n,
			    .words = malloc(TLS_BELOW),
			    .caches = calloc(s->job->threads_count + 1, sizeof(uint64_t)),
			    .arenas = malloc(ARENAS_MAX * sizeof(*c.arenas)),
			    .deadline = ma_now_ns() + BUDGET_NS };
	if (c.heaps && c.words && c.caches && c.arenas) {
		for (size_t i = 0; i < n; i++)
			c.heaps[i] = &s->out->heaps[i];
		qsort(c.heaps, n, sizeof(struct ma_heap *), by_start);
		c.voting = true;
		all_lists(&c, g);
		c.voting = false;
		all_lists(&c, g);
	} else {
		s->failed = true;
	}
	free(c.heaps);
	free(c.words);
	free(c.caches);
	free(c.arenas);
}
