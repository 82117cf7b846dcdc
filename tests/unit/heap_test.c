// link: ma_heap ma_trace ma_proc ma_base
// SPDX-License-Identifier: Apache-2.0
/* The heaps of a child that stands still, against what its own mallinfo2() says. */
#include "heap.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct told { /* by the child */
	struct mallinfo2 info;
	uint64_t tls[4];
	uint64_t large; /* address of a block of 1 MB of which one page was written to */
};

static int ready[2];

static void fill(unsigned seed)
{
	enum { N = 20000 };
	void *v[N];
	for (unsigned i = 0; i < N; i++)
		v[i] = malloc(24 + (i * seed) % 1500);
	for (unsigned i = 0; i < N; i += 1 + i % 3)
		free(v[i]);
	for (unsigned i = 0; i < 3000; i++)
		v[i] = malloc(56);
	for (unsigned i = 0; i < 3000; i++)
		free(v[i]);
}

static void *thread(void *arg)
{
	struct told *t = arg;
	static int next;
	t->tls[1 + __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED)] = (uint64_t)pthread_self();
	fill(7);
	char c = 1;
	if (write(ready[1], &c, 1) != 1)
		abort();
	for (;;)
		pause();
}

static void child(int out)
{
	static struct told t;
	pthread_t id;
	char c;
	if (pipe(ready))
		abort();
	t.tls[0] = (uint64_t)pthread_self();
	mallopt(M_MMAP_THRESHOLD, 256 * 1024);
	for (unsigned i = 0; i < 3; i++)
		if (pthread_create(&id, NULL, thread, &t) || read(ready[0], &c, 1) != 1)
			abort();
	fill(13);
	volatile char *large = malloc(1 << 20);
	large[500000] = 1;
	t.large = (uint64_t)(uintptr_t)large;
	t.info = mallinfo2();
	if (write(out, &t, sizeof(t)) != sizeof(t))
		abort();
	for (;;)
		pause();
}

struct view {
	pid_t pid;
	struct told told;
	struct ma_maps maps;
	struct ma_runs runs, huge;
	struct ma_survey survey;
};

static void ok(struct ma_error *err)
{
	cr_assert_null(err, "%s", err ? err->message : "");
}

/* `times`: so often is each thread named. */
static void take(const struct view *v, unsigned times, struct ma_survey *ret)
{
	struct ma_heap_thread threads[8];
	for (unsigned i = 0; i < 4 * times; i++)
		threads[i] = (struct ma_heap_thread){ v->told.tls[i % 4], 100 + i };
	const struct ma_survey_job job = { .pid = v->pid,
					   .maps = &v->maps,
					   .runs = &v->runs,
					   .huge = &v->huge,
					   .threads = threads,
					   .threads_count = 4 * times };
	ok(ma_survey_take(&job, ret));
}

static void look(struct view *v)
{
	int p[2];
	char path[32];
	cr_assert_eq(pipe(p), 0);
	v->pid = fork();
	if (!v->pid)
		child(p[1]);
	cr_assert_eq(read(p[0], &v->told, sizeof(v->told)), (ssize_t)sizeof(v->told));
	close(p[0]);
	close(p[1]);
	snprintf(path, sizeof(path), "/proc/%d", v->pid);
	int dir = open(path, O_RDONLY | O_DIRECTORY);
	ok(ma_maps_read(dir, "smaps", &v->maps));
	ok(ma_runs_read(dir, &v->maps, &v->runs, &v->huge));
	close(dir);
	take(v, 1, &v->survey);
}

static void end(struct view *v)
{
	kill(v->pid, SIGKILL);
	waitpid(v->pid, NULL, 0);
	ma_survey_deinit(&v->survey);
	ma_runs_deinit(&v->runs);
	ma_runs_deinit(&v->huge);
	ma_maps_deinit(&v->maps);
}

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define NO_GLIBC_MALLOC 1 /* the sanitizer's allocator is in its place */
#else
#define NO_GLIBC_MALLOC 0
#endif

static void need_glibc_malloc(void)
{
	if (NO_GLIBC_MALLOC)
		cr_skip_test("a sanitizer has its own allocator");
}

Test(heap, agrees_with_mallinfo)
{
	need_glibc_malloc();
	struct view v = { 0 };
	uint64_t used = 0, cached = 0, free = 0, top = 0, all = 0, mapped = 0, unread = 0;
	look(&v);
	const struct mallinfo2 *m = &v.told.info;
	cr_assert(v.survey.glibc);
	cr_assert_eq(v.survey.heaps_count, 4, "%zu heaps", v.survey.heaps_count);
	for (size_t i = 0; i < v.survey.heaps_count; i++) {
		const struct ma_heap *h = &v.survey.heaps[i];
		cr_expect_eq(h->main, i == 0);
		used += h->used.bytes;
		cached += h->cached.bytes;
		free += h->free.bytes;
		top += h->top.bytes;
		all += h->end - h->start;
		unread += h->unread;
		cr_expect_gt(h->cached.chunks, 0, "heap %zu: the cache of its thread is found; used %llu", i,
			     (unsigned long long)h->used.chunks);
		cr_expect_leq(h->used.resident, h->used.bytes);
	}
	for (size_t i = 0; i < v.survey.spans_count; i++)
		if (v.survey.spans[i].kind == MA_SPAN_MMAPPED)
			mapped += v.survey.spans[i].end - v.survey.spans[i].start;
	cr_expect_eq(unread, 0);
	cr_expect_eq(all, m->arena);
	cr_expect_eq(used + cached + free + top, all);
	/* its free memory counts fastbins, and not the caches of threads */
	cr_expect_leq(llabs((long long)(free + top) - (long long)(m->fordblks - m->fsmblks)), 256, "%llu free, not %zu",
		      (unsigned long long)(free + top), m->fordblks - m->fsmblks);
	cr_expect_geq(cached, m->fsmblks);
	cr_expect_geq(mapped, m->hblkhd);
	cr_expect_leq(mapped, m->hblkhd + 16 * m->hblks, "%llu mapped, not %zu", (unsigned long long)mapped, m->hblkhd);
	end(&v);
}

/* What a new thread has below its own data is its stack, which may name the cache of another one. */
Test(heap, a_cache_that_two_threads_lead_to_counts_once)
{
	need_glibc_malloc();
	struct view v = { 0 };
	struct ma_survey twice = { 0 };
	look(&v);
	take(&v, 2, &twice);
	cr_assert_eq(twice.heaps_count, v.survey.heaps_count);
	for (size_t i = 0; i < twice.heaps_count; i++) {
		cr_expect_eq(twice.heaps[i].cached.chunks, v.survey.heaps[i].cached.chunks);
		cr_expect_eq(twice.heaps[i].used.chunks, v.survey.heaps[i].used.chunks);
	}
	ma_survey_deinit(&twice);
	end(&v);
}

Test(heap, untouched_pages_do_not_count)
{
	need_glibc_malloc();
	struct view v = { 0 };
	bool found = false;
	look(&v);
	for (size_t i = 0; i < v.survey.spans_count; i++) {
		const struct ma_span *s = &v.survey.spans[i];
		size_t hint = 0;
		if (s->kind != MA_SPAN_MMAPPED || v.told.large < s->start || v.told.large >= s->end)
			continue;
		found = true;
		cr_expect_geq(s->end - s->start, 1 << 20);
		cr_expect_leq(ma_runs_bytes(&v.runs, s->start, s->end, &hint), 2 * 4096);
	}
	cr_expect(found);
	end(&v);
}

Test(heap, stacks_of_threads)
{
	struct view v = { 0 };
	look(&v);
	for (unsigned i = 1; i < 4; i++) {
		bool found = false;
		for (size_t k = 0; k < v.survey.spans_count; k++) {
			const struct ma_span *s = &v.survey.spans[k];
			found |= s->kind == MA_SPAN_STACK && s->id == 100 + i && v.told.tls[i] >= s->start &&
				 v.told.tls[i] < s->end;
		}
		cr_expect(found, "thread %u", i);
	}
	end(&v);
}

/* Runs of resident pages add up to what the kernel says. */
Test(heap, resident_pages_are_the_kernels)
{
	struct view v = { 0 };
	uint64_t runs = 0, smaps = 0;
	look(&v);
	for (size_t i = 0; i < v.runs.count; i++)
		runs += v.runs.v[i].end - v.runs.v[i].start;
	for (size_t i = 0; i < v.maps.count; i++)
		if (v.maps.v[i].path[0] != '/' && !(v.maps.v[i].prot & 8))
			smaps += v.maps.v[i].anonymous;
	cr_expect_eq(runs, smaps);
	end(&v);
}

Test(runs, add_and_ask)
{
	struct ma_runs r = { 0 };
	size_t hint = 0;
	cr_assert(ma_runs_add(&r, 0x1000, 0x2000));
	cr_assert(ma_runs_add(&r, 0x2000, 0x3000));
	cr_assert(ma_runs_add(&r, 0x5000, 0x6000));
	cr_assert(!ma_runs_add(&r, 0x4000, 0x7000), "behind the last only");
	cr_assert(!ma_runs_add(&r, 0x7000, 0x7000), "empty");
	cr_expect_eq(r.count, 2, "neighbours are one");
	cr_expect_eq(ma_runs_bytes(&r, 0, 0x10000, &hint), 0x3000);
	cr_expect_eq(ma_runs_bytes(&r, 0x2800, 0x5800, &hint), 0x1000);
	cr_expect_eq(ma_runs_bytes(&r, 0x3000, 0x5000, &hint), 0);
	cr_expect_eq(ma_runs_bytes(&r, 0x5ff0, 0x5ff8, &hint), 8);
	cr_expect_eq(ma_runs_bytes(&r, 0x1000, 0x1010, &hint), 16, "back");
	cr_expect_eq(ma_runs_bytes(&r, 0x6000, 0x7000, &hint), 0);
	ma_runs_deinit(&r);
}
