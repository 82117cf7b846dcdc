// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "heap_internal.h"
#include "mem.h"
#include "wait.h"

#include <string.h>

#define HEAPS_MAX (1u << 20)
#define SPANS_MAX (4u << 20)

/* A survey of a large heap takes seconds, some for each 10 GB of small blocks. A heap that is made to take longer gets
 * no more than this: what was not reached stays unnamed. */
#define BUDGET_NS 60000000000u

static bool goes_on(struct ma_window *w)
{
	if (!w->stopped && (++w->reads & 63) == 0)
		w->stopped = (w->job->give_up && w->job->give_up(w->job->arg)) || ma_now_ns() > w->deadline;
	return !w->stopped;
}

/* Of what is not in the copy only pages that were resident are read, and nothing is read ahead behind them: the process
 * that runs on would get pages that it never had. */
static size_t read_at(struct ma_window *w, uint64_t start, size_t bytes)
{
	const struct ma_survey_job *job = w->job;
	for (size_t i = 0; i < job->kept_out_count; i++) {
		const struct ma_run *r = &job->kept_out[i];
		if (start < r->start || start >= r->end)
			continue;
		size_t k = ma_runs_find(job->runs, start);
		if (k == job->runs->count || job->runs->v[k].start > start)
			return 0;
		uint64_t end = job->runs->v[k].end < r->end ? job->runs->v[k].end : r->end;
		return ma_mem_read_some(job->live, start, w->data, end - start < bytes ? (size_t)(end - start) : bytes);
	}
	return ma_mem_read_some(w->pid, start, w->data, bytes);
}

const void *ma_window_at(struct ma_window *w, uint64_t addr, size_t bytes)
{
	if (addr >= w->start && addr - w->start <= w->bytes && w->bytes - (addr - w->start) >= bytes)
		return w->data + (addr - w->start);
	uint64_t start = addr & ~UINT64_C(4095);
	w->bytes = 0;
	if (bytes > 4096 || addr >> 47 || !goes_on(w))
		return NULL;
	w->bytes = read_at(w, start, MA_HEAP_WINDOW);
	w->start = start;
	return addr - start <= w->bytes && w->bytes - (addr - start) >= bytes ? w->data + (addr - start) : NULL;
}

bool ma_window_u64(struct ma_window *w, uint64_t addr, uint64_t *ret)
{
	/* one word: a window of its own for jumps, so it reads no more than a page */
	if (addr >= w->start && addr - w->start <= w->bytes && w->bytes - (addr - w->start) >= 8) {
		memcpy(ret, w->data + (addr - w->start), 8);
		return true;
	}
	if ((addr & 7) || addr >> 47 || !goes_on(w))
		return false;
	w->start = addr & ~UINT64_C(4095);
	w->bytes = read_at(w, w->start, 4096);
	if (w->bytes < (addr & 4095) + 8)
		return false;
	memcpy(ret, w->data + (addr & 4095), 8);
	return true;
}

bool ma_is_anon(const struct ma_map *m)
{
	return (m->prot & 11) == 3 && m->path[0] != '/' && strncmp(m->path, "[v", 2) && strncmp(m->path, "[stack", 6);
}

uint64_t ma_survey_resident(struct ma_survey_state *s, uint64_t start, uint64_t end)
{
	return ma_runs_bytes(s->job->runs, start, end, &s->hint);
}

static void *grow(void *v, size_t count, size_t *cap, size_t bytes, size_t max)
{
	if (count < *cap)
		return v;
	size_t n = *cap ? *cap * 2 : 64;
	void *more = n <= max ? realloc(v, n * bytes) : NULL;
	if (more)
		*cap = n;
	return more;
}

struct ma_heap *ma_survey_add_heap(struct ma_survey_state *s)
{
	struct ma_survey *o = s->out;
	struct ma_heap *v = grow(o->heaps, o->heaps_count, &s->heaps_cap, sizeof(*v), HEAPS_MAX);
	if (!v) {
		s->failed = true;
		return NULL;
	}
	o->heaps = v;
	v = &o->heaps[o->heaps_count++];
	memset(v, 0, sizeof(*v));
	return v;
}

void ma_survey_add_span(struct ma_survey_state *s, uint64_t start, uint64_t end, enum ma_malloc_span kind, uint64_t id)
{
	struct ma_survey *o = s->out;
	struct ma_span *v = grow(o->spans, o->spans_count, &s->spans_cap, sizeof(*v), SPANS_MAX);
	if (!v) {
		s->failed = true;
		return;
	}
	o->spans = v;
	o->spans[o->spans_count++] = (struct ma_span){ start, end, kind, 0, id };
}

/* Pages of zeros in memory that is in use say nothing; here they were never written. */
#define ZEROS_READ_MAX (UINT64_C(512) << 20)

static bool is_zero(const void *page)
{
	const uint64_t *v = page;
	for (unsigned i = 0; i < 512; i++)
		if (v[i])
			return false;
	return true;
}

void ma_zeros_find(struct ma_survey_state *s, uint64_t start, uint64_t end)
{
	struct ma_survey *o = s->out;
	const struct ma_runs *huge = s->job->huge;
	uint64_t bytes = 0;
	for (size_t i = ma_runs_find(huge, start); i < huge->count && huge->v[i].start < end; i++) {
		uint64_t a = huge->v[i].start > start ? huge->v[i].start : start;
		uint64_t b = huge->v[i].end < end ? huge->v[i].end : end;
		for (a = (a + 4095) & ~UINT64_C(4095); a + 4096 <= b && s->zeros_read < ZEROS_READ_MAX; a += 4096) {
			const void *page = ma_window_at(&s->window, a, 4096);
			s->zeros_read += 4096;
			bytes += page && is_zero(page) ? 4096 : 0;
		}
	}
	if (!bytes)
		return;
	struct ma_zeros *v = grow(o->zeros, o->zeros_count, &s->zeros_cap, sizeof(*v), SPANS_MAX);
	if (!v) {
		s->failed = true;
		return;
	}
	o->zeros = v;
	o->zeros[o->zeros_count++] = (struct ma_zeros){ start, end, bytes };
}

static int by_start(const void *a, const void *b)
{
	const struct ma_span *x = a, *y = b;
	return x->start < y->start ? -1 : x->start > y->start;
}

/* A span that overlaps one before it is a misreading of one of them: the first stays. */
static void settle(struct ma_survey *o)
{
	size_t kept = 0;
	if (o->spans_count)
		qsort(o->spans, o->spans_count, sizeof(*o->spans), by_start);
	for (size_t i = 0; i < o->spans_count; i++)
		if (!kept || o->spans[i].start >= o->spans[kept - 1].end)
			o->spans[kept++] = o->spans[i];
	o->spans_count = kept;
}

void ma_survey_deinit(struct ma_survey *s)
{
	free(s->heaps);
	free(s->spans);
	free(s->zeros);
	*s = (struct ma_survey){ 0 };
}

struct ma_error *ma_survey_take(const struct ma_survey_job *job, struct ma_survey *ret)
{
	struct ma_glibc g;
	_cleanup_free_ uint8_t *memory = malloc(2 * (size_t)MA_HEAP_WINDOW);
	if (!memory)
		return &ma_enomem;
	*ret = (struct ma_survey){ 0 };
	uint64_t deadline = ma_now_ns() + BUDGET_NS;
	struct ma_survey_state s = {
		.job = job,
		.out = ret,
		.window = { .pid = job->pid, .job = job, .deadline = deadline, .data = memory },
		.spot = { .pid = job->pid, .job = job, .deadline = deadline, .data = memory + MA_HEAP_WINDOW }
	};
	ma_stacks_find(&s);
	ret->glibc = ma_glibc_find(&s, &g);
	if (ret->glibc) {
		ma_glibc_walk(&s, &g);
		ma_glibc_cached(&s, &g);
	}
	settle(ret);
	ma_pieces_probe(&s);
	settle(ret);
	for (size_t i = 0; i < ret->spans_count; i++)
		if (ret->spans[i].kind == MA_SPAN_STACK)
			ma_zeros_find(&s, ret->spans[i].start, ret->spans[i].end);
	if (s.failed) {
		ma_survey_deinit(ret);
		return &ma_enomem;
	}
	return NULL;
}
