// SPDX-License-Identifier: Apache-2.0
/* The input changes words (patched_memory.h) of a copy of glibc's data and of the heap of this very process, which is
 * then read as that of a target would be. */
#include "cleanup.h"
#include "fuzz.h"
#include "heap.h"
#include "patched_memory.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

void *__libc_malloc(size_t);
void __libc_free(void *);

static struct {
	bool made;
	struct ma_maps maps;
	struct ma_runs runs, huge;
} self;

/* A heap with blocks of many sizes, some free: glibc's own, under a sanitizer, too. */
static void fill(void)
{
	enum { N = 400 };
	static void *v[N];
	for (unsigned i = 0; i < N; i++)
		v[i] = __libc_malloc(24 + i * 13 % 700);
	for (unsigned i = 0; i < N; i += 1 + i % 3)
		__libc_free(v[i]);
}

/* The heap comes first; what is left of the maps is only what was copied. */
static void keep(const struct ma_map *m, size_t *kept)
{
	size_t bytes = m->end - m->start;
	uint8_t *copy = bytes <= 1 << 20 ? malloc(bytes) : NULL;
	if (!copy)
		return;
	memcpy(copy, (const void *)(uintptr_t)m->start, bytes);
	patched_memory_add(m->start, copy, bytes);
	(*kept)++;
}

static void make(void)
{
	_cleanup_close_ int dir = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t kept = 0;
	fill();
	if (dir < 0)
		abort();
	struct ma_error *err = ma_maps_read(dir, "maps", &self.maps);
	if (err)
		abort();
	for (size_t i = 0; i < self.maps.count; i++)
		if (!strcmp(self.maps.v[i].path, "[heap]"))
			keep(&self.maps.v[i], &kept);
	for (size_t i = 0; i < self.maps.count; i++) {
		const struct ma_map *m = &self.maps.v[i];
		if ((m->prot & 11) == 3 && strstr(m->path, "libc.so"))
			keep(m, &kept);
	}
	for (size_t i = 0; i < self.maps.count; i++) {
		const struct ma_map *m = &self.maps.v[i];
		bool heap = !strcmp(m->path, "[heap]");
		if (heap || strstr(m->path, "libc.so"))
			(void)ma_runs_add(&self.runs, m->start, m->end);
	}
	if (kept < 2)
		abort();
	self.made = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!self.made)
		make();
	const struct ma_heap_thread thread = { (uint64_t)pthread_self(), 1 };
	const struct ma_survey_job job = { .pid = 1,
					   .maps = &self.maps,
					   .runs = &self.runs,
					   .huge = &self.huge,
					   .threads = &thread,
					   .threads_count = 1 };
	struct ma_survey s;
	patched_memory_change(data, size);
	struct ma_error *err = ma_survey_take(&job, &s);
	patched_memory_restore();
	if (err) {
		ma_error_free(err);
		return 0;
	}
	if (!size && (!s.glibc || !s.heaps_count))
		abort(); /* unchanged it is read: else the fuzzer would stop at the first check */
	for (size_t i = 0; i < s.heaps_count; i++)
		if (s.heaps[i].start > s.heaps[i].end)
			abort();
	ma_survey_deinit(&s);
	return 0;
}
