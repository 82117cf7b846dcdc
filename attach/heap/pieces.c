// SPDX-License-Identifier: Apache-2.0
/* pieces.c - the anonymous memory outside the heaps: stacks, mmapped chunks, frame stacks. Neighbouring mappings of the
 * same kind are one in the kernel's list, so every page in what is left may begin something. */
#include "heap_internal.h"

#include "mem.h"

#include <stdlib.h>
#include <string.h>

#define PAGE 4096u
#define PTHREAD_WORDS 512u    /* of struct pthread in which its stack is looked for (2304 bytes in 2.36) */
#define TCB_TO_END (1u << 20) /* between a thread's control block and the end of its stack: less */
#define STACK_MIN (16u << 10)
#define PROBES_MAX 400000u       /* pages at which nothing known began */
#define TCB_SCAN_MAX (64u << 20) /* bytes in which control blocks of ended threads are looked for */
#define MMAPPED_HEAD 16u
#define MMAPPED 2u             /* malloc.c, IS_MMAPPED: the only flag of such a chunk */
#define FRAMES_MIN (16u << 10) /* pystate.c, DATA_STACK_CHUNK_SIZE; doubled as needed */
#define FRAMES_MAX (64u << 20)

/* struct pthread has stackblock and stackblock_size side by side; the control block lies near the end of what they
 * describe (nptl/descr.h, allocatestack.c). The offset differs between versions, the relation does not. */
bool ma_stack_of(struct ma_survey_state *s, uint64_t tcb, struct ma_run *ret)
{
	uint64_t v[PTHREAD_WORDS];
	size_t n = ma_mem_read_some(s->job->pid, tcb, v, sizeof(v)) / 8;
	for (size_t i = 2; i + 1 < n; i++) {
		uint64_t end;
		if (!v[i] || (v[i] & (PAGE - 1)) || (v[i + 1] & (PAGE - 1)) || v[i] >= tcb || v[i + 1] < STACK_MIN ||
		    __builtin_add_overflow(v[i], v[i + 1], &end) || end <= tcb || end - tcb > TCB_TO_END)
			continue;
		*ret = (struct ma_run){ v[i], end };
		return true;
	}
	return false;
}

static bool overlaps_heap(const struct ma_survey *o, uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < o->heaps_count; i++)
		if (o->heaps[i].start < end && o->heaps[i].end > start)
			return true;
	return false;
}

void ma_stacks_find(struct ma_survey_state *s)
{
	for (size_t i = 0; i < s->job->threads_count; i++) {
		const struct ma_heap_thread *t = &s->job->threads[i];
		const struct ma_map *m = ma_maps_find(s->job->maps, t->tls);
		struct ma_run r;
		/* the main thread's block is in no stack */
		if (m && (m->prot & 2) && m->path[0] != '/' && ma_stack_of(s, t->tls, &r))
			ma_survey_add_span(s, r.start, r.end, MA_SPAN_STACK, t->tid);
	}
}

struct probe {
	struct ma_survey_state *s;
	uint64_t probes, scanned;
};

/* A chunk with a mapping of its own: what was left of it by alignment, then its size; together whole pages, from 2.43
 * on whole pages less the header. Returns the bytes of all of it. */
static uint64_t mmapped_chunk(const uint64_t *v, uint64_t left)
{
	uint64_t size = v[1] & ~UINT64_C(7), rest = (v[0] + size) & (PAGE - 1);
	if ((v[1] & 7) != MMAPPED || v[0] >= PAGE || size < PAGE - MMAPPED_HEAD || size > left ||
	    (rest && rest != PAGE - MMAPPED_HEAD))
		return 0;
	return rest ? size + MMAPPED_HEAD : size;
}

/* _PyStackChunk (Include/internal/pycore_frame.h, 3.11 to 3.15): previous, size in bytes, top in words, data. */
static uint64_t frame_stack(struct ma_survey_state *s, const uint64_t *v, uint64_t left)
{
	uint64_t size = v[1], previous_size;
	if (size < FRAMES_MIN || size > FRAMES_MAX || (size & (size - 1)) || size > left || v[2] > size / 8)
		return 0;
	if (v[0] && ((v[0] & (PAGE - 1)) || !ma_window_u64(&s->spot, v[0] + 8, &previous_size) ||
		     previous_size < FRAMES_MIN || previous_size > FRAMES_MAX || (previous_size & (previous_size - 1))))
		return 0;
	return size;
}

/* A page of an ended thread's stack that has its control block: tcbhead_t begins with its own address, and has it again
 * two words later (sysdeps/x86_64/nptl/tls.h). */
static uint64_t kept_stack(struct probe *p, uint64_t at, uint64_t piece, uint64_t end)
{
	struct ma_run r;
	const void *page = p->scanned < TCB_SCAN_MAX ? ma_window_at(&p->s->window, at, PAGE) : NULL;
	uint64_t v[3];
	p->scanned += PAGE;
	for (unsigned off = 0; page && off < PAGE; off += 64) {
		memcpy(v, (const uint8_t *)page + off, sizeof(v));
		if (v[0] != at + off || v[2] != at + off)
			continue;
		if (!ma_stack_of(p->s, at + off, &r) || r.end > end)
			return 0;
		/* the guard below may be a mapping of its own */
		ma_survey_add_span(p->s, r.start > piece ? r.start : piece, r.end, MA_SPAN_STACK, 0);
		return r.end;
	}
	return 0;
}

/* What [start, end) begins with, page by page. Pages that are not there cost nothing. */
static void piece(struct probe *p, uint64_t start, uint64_t end)
{
	struct ma_survey_state *s = p->s;
	const struct ma_runs *runs = s->job->runs;
	uint64_t at = (start + PAGE - 1) & ~(uint64_t)(PAGE - 1);
	for (size_t i = ma_runs_find(runs, at); at < end && i < runs->count && p->probes < PROBES_MAX;) {
		if (runs->v[i].end <= at) {
			i++;
			continue;
		}
		if (runs->v[i].start > at)
			at = runs->v[i].start;
		uint64_t v[3], size, next;
		const void *q = at < end ? ma_window_at(&s->window, at, sizeof(v)) : NULL;
		if (!q)
			return;
		memcpy(v, q, sizeof(v));
		if ((size = mmapped_chunk(v, end - at)) != 0) {
			ma_survey_add_span(s, at, at + size, MA_SPAN_MMAPPED, 0);
			at = (at + size + PAGE - 1) & ~(uint64_t)(PAGE - 1);
		} else if ((size = frame_stack(s, v, end - at)) != 0) {
			ma_survey_add_span(s, at, at + size, MA_SPAN_FRAMES, 0);
			at += size;
		} else if ((next = kept_stack(p, at, start, end)) != 0) {
			at = next;
		} else {
			at += PAGE;
			p->probes++;
		}
	}
}

struct claims {
	const struct ma_survey_job *job;
	size_t spans_count, arena, span;
};

/* The first claim that ends behind `at`, as a range; false when there is none before `end`. Spans and arenas are
 * sorted, heaps are few. */
static bool next_claim(struct claims *c, const struct ma_survey *o, const struct ma_span *spans, uint64_t at,
		       uint64_t end, struct ma_run *ret)
{
	bool found = false;
	while (c->arena < c->job->arenas_count && c->job->arenas[c->arena].end <= at)
		c->arena++;
	while (c->span < c->spans_count && spans[c->span].end <= at)
		c->span++;
	if (c->arena < c->job->arenas_count && c->job->arenas[c->arena].start < end) {
		*ret = c->job->arenas[c->arena];
		found = true;
	}
	if (c->span < c->spans_count && spans[c->span].start < end && (!found || spans[c->span].start < ret->start)) {
		*ret = (struct ma_run){ spans[c->span].start, spans[c->span].end };
		found = true;
	}
	for (size_t i = 0; overlaps_heap(o, at, end) && i < o->heaps_count; i++)
		if (o->heaps[i].end > at && o->heaps[i].start < end && (!found || o->heaps[i].start < ret->start)) {
			*ret = (struct ma_run){ o->heaps[i].start, o->heaps[i].end };
			found = true;
		}
	return found;
}

void ma_pieces_probe(struct ma_survey_state *s)
{
	const struct ma_maps *maps = s->job->maps;
	struct probe p = { .s = s };
	struct claims c = { .job = s->job, .spans_count = s->out->spans_count };
	size_t bytes = c.spans_count * sizeof(struct ma_span);
	struct ma_span *spans = malloc(bytes + 1); /* those of before: new ones are added meanwhile */
	if (!spans) {
		s->failed = true;
		return;
	}
	if (bytes)
		memcpy(spans, s->out->spans, bytes);
	for (size_t i = 0; i < maps->count; i++) {
		const struct ma_map *m = &maps->v[i];
		uint64_t at = m->start, last = m->end;
		struct ma_run claim;
		if (!ma_is_anon(m))
			continue;
		/* one block may be several mappings: numpy asks for huge pages in all of an array but its ends */
		while (i + 1 < maps->count && maps->v[i + 1].start == last && ma_is_anon(&maps->v[i + 1]))
			last = maps->v[++i].end;
		bool bss = m > maps->v && m[-1].end == m->start && m[-1].path[0] == '/';
		while (at < last) {
			size_t before = s->out->spans_count;
			bool more = next_claim(&c, s->out, spans, at, last, &claim);
			uint64_t end = more ? claim.start : last;
			if (end > at)
				piece(&p, at, end);
			if (end > at && s->out->spans_count == before && !bss)
				ma_zeros_find(s, at, end);
			at = more ? claim.end : last;
		}
	}
	free(spans);
}
