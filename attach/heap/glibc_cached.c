// SPDX-License-Identifier: Apache-2.0
/* glibc_cached.c - chunks that were freed but look used: in the cache of a thread (tcache, since 2.26) and in fastbins
 * (up to 2.42). Both are single lists; since 2.32 a pointer is stored XOR the page number of where it stands (malloc.c,
 * PROTECT_PTR). */
#include "heap_internal.h"
#include "mem.h"
#include "wait.h"

#include <string.h>

#define TLS_BELOW 8192u /* where the pointer to a thread's cache may be: in the thread-local data of libc */
#define LIST_MAX (1u << 20)
#define ALL_MAX (4u << 20)
#define BUDGET_NS 2000000000u /* lists jump through memory: some 300 ns for each step */
#define CHUNK_MIN 32u

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
	uint64_t deadline;
	uint64_t seen;
};

/* The heap that a chunk lies in. Heaps are few. */
static struct ma_heap *heap_of(struct ma_survey_state *s, uint64_t at)
{
	for (size_t i = 0; i < s->out->heaps_count; i++)
		if (at >= s->out->heaps[i].start && at < s->out->heaps[i].end)
			return &s->out->heaps[i];
	return NULL;
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
	struct ma_heap *h = (at & 15) ? NULL : heap_of(c->s, at);
	if (!h || !ma_window_u64(&c->s->spot, at + 8, &v.size) || !ma_window_u64(&c->s->spot, next_word, &v.next))
		return false;
	v.size &= ~UINT64_C(7);
	if (v.size < CHUNK_MIN || (v.size & 15) || v.size > h->end - at || h->used.bytes < v.size)
		return false;
	uint64_t resident = ma_survey_resident(c->s, at, at + v.size);
	if (resident > h->used.resident)
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

/* What a stored pointer means: plain up to 2.31, else masked. Masked ones are tried first: a masked NULL is the page
 * number, which is no address of a heap; a plain pointer unmasked wrongly is no multiple of 16 as a rule. */
static uint64_t reveal(struct cached *c, uint64_t stored, uint64_t where)
{
	uint64_t masked = stored ^ (where >> 12);
	if (!stored || !masked)
		return 0;
	if (!(masked & 15) && heap_of(c->s, masked))
		return masked;
	return !(stored & 15) && heap_of(c->s, stored) ? stored : 0;
}

/* `data`: entries point to the data of a chunk (tcache), else to its header (fastbin). The link is in the data. */
static void list(struct cached *c, uint64_t first, bool data)
{
	uint64_t at = first, stored;
	for (unsigned i = 0; at && i < LIST_MAX && goes_on(c); i++) {
		uint64_t chunk = data ? at - 16 : at, link = chunk + 16;
		if (!move(c, chunk, link, &stored))
			return;
		at = reveal(c, stored, link);
	}
}

static bool cache_ok(struct cached *c, uint64_t at, const struct shape *sh, uint64_t *v)
{
	if (ma_mem_read_some(c->s->job->pid, at + sh->entries, v, 8 * sh->lists) != 8 * sh->lists)
		return false;
	for (unsigned i = 0; i < sh->lists; i++)
		if (v[i] && ((v[i] & 15) || !heap_of(c->s, v[i])))
			return false;
	return true;
}

/* The cache of the thread whose pointer is at `tls`: among its thread-local words is one to a chunk of that shape. */
static void thread_cache(struct cached *c, uint64_t tls)
{
	uint64_t words[TLS_BELOW / 8], v[128], size;
	const struct ma_map *m = ma_maps_find(c->s->job->maps, tls);
	if (!m || (tls & 7))
		return;
	uint64_t from = tls - m->start > TLS_BELOW ? tls - TLS_BELOW : m->start;
	size_t n = ma_mem_read_some(c->s->job->pid, from, words, tls - from) / 8;
	while (n--) {
		uint64_t at = words[n];
		if ((at & 15) || !heap_of(c->s, at) || !ma_window_u64(&c->s->spot, at - 8, &size))
			continue;
		for (size_t k = 0; k < sizeof(shapes) / sizeof(shapes[0]); k++) {
			if (shapes[k].chunk != (size & ~UINT64_C(7)) || !cache_ok(c, at, &shapes[k], v))
				continue;
			for (unsigned i = 0; i < shapes[k].lists; i++)
				list(c, v[i], true);
			return;
		}
	}
}

void ma_glibc_cached(struct ma_survey_state *s, const struct ma_glibc *g)
{
	static const size_t max = 4096;
	struct cached c = { .s = s, .deadline = ma_now_ns() + BUDGET_NS };
	for (size_t i = 0; i < s->job->threads_count; i++)
		thread_cache(&c, s->job->threads[i].tls);
	ma_raddr v[4096];
	size_t n = g->fastbins ? ma_glibc_arenas(s, g, v, max) : 0;
	for (size_t i = 0; i < n; i++)
		for (unsigned k = 0; k < g->fastbins; k++) {
			uint64_t first;
			if (ma_window_u64(&s->spot, v[i] + g->off_top - 8 * (k + 1), &first) && first)
				list(&c, first, false);
		}
}
