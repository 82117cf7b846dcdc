// SPDX-License-Identifier: Apache-2.0
/* find.c - which ranges hold no Python object. A page counts as one that may when any of its first words points into a
 * mapping: every object points to its type with its first words, and so do tables of references. A chunk of 2 MiB with
 * one such page is copied. What was taken for raw by mistake is not lost: it is read from the live process then. */
#include "cleanup.h"
#include "mem.h"
#include "raw_internal.h"
#include "runs.h"
#include "wait.h"

#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>

#define PAGE UINT64_C(4096)
#define LOOK_NS 4000000000u /* what was not reached by then is copied: some 20 GB of small pages */
#define SAVES_AT_LEAST_NS 2000000u
#define WORDS 8u /* of each page: where an object with a GC head and a block's head before it has its type */
#define BATCH 128u
#define SLICE (UINT64_C(16) << 20)          /* of one PAGEMAP_SCAN: its mmap lock is free again soon */
#define BLOCKS_MAX 400u                     /* of malloc in all ranges: reading something of each takes a moment */
#define HEAP_MAX_BYTES (UINT64_C(64) << 20) /* glibc, HEAP_MAX_SIZE */
#define STACK_BYTES (UINT64_C(8) << 20)
#define GUARD_MAX 65536u
#define MAPS_SPARE 4096u

/* What the calls for one range cost: four stops of one thread, two changes of the list of mappings. And what it costs
 * to read a line of that list, twice, during the stop. */
#define RANGE_NS 60000u
#define MAP_LINE_NS 2000u

struct look {
	const struct ma_maps *maps;
	struct ma_raw_arenas arenas;
	pid_t pid;
	int dir;
	uint64_t deadline;
	uint64_t gap_start, gap_end; /* the last gap between mappings that a word lay in */
	struct ma_raw_range *v;      /* all ranges that were found */
	size_t count, cap;
	struct ma_raw_range open; /* chunks side by side */
};

bool ma_raw_eligible(const struct ma_maps *maps, const struct ma_map *m)
{
	const struct ma_map *before = m > maps->v && m[-1].end == m->start ? m - 1 : NULL;
	if ((m->prot & 15) != 3 || (m->path[0] && strcmp(m->path, "[anon: glibc: malloc]") != 0))
		return false;
	return !before || before->path[0] != '/' || !(before->prot & 2); /* .bss */
}

/* Other allocators than libc's put small objects anywhere in their memory. */
static bool foreign_malloc(const struct ma_maps *maps)
{
	static const char *const names[] = { "/libjemalloc", "/libtcmalloc", "/libmimalloc", "/libhoard",
					     "/libsnmalloc" };
	for (size_t i = 0; i < maps->count; i++) {
		const char *file = strrchr(maps->v[i].path, '/');
		for (size_t k = 0; file && k < MA_ARRAY_SIZE(names); k++)
			if (!strncmp(file, names[k], strlen(names[k])))
				return true;
	}
	return false;
}

static bool points_into_a_mapping(struct look *l, uint64_t word)
{
	const struct ma_maps *m = l->maps;
	if (word < m->v[0].start || word >> 47 || (word >= l->gap_start && word < l->gap_end))
		return false;
	if (ma_maps_find(m, word))
		return true;
	size_t low = 0, high = m->count;
	while (low < high) { /* the first that begins behind it */
		size_t mid = low + (high - low) / 2;
		if (m->v[mid].start > word)
			high = mid;
		else
			low = mid + 1;
	}
	l->gap_start = low ? m->v[low - 1].end : 0;
	l->gap_end = low < m->count ? m->v[low].start : UINT64_MAX;
	return false;
}

/* The heads of blocks of glibc that have a mapping of their own: malloc.c, IS_MMAPPED. */
static bool begins_block(const uint64_t *v)
{
	return v[0] < PAGE && (v[1] & 7) == 2 && v[1] >= PAGE;
}

/* Looks at the pages [at, at + n pages): false when one may hold an object, or can not be read. */
static bool pages_are_raw(struct look *l, uint64_t at, size_t n, uint32_t *blocks)
{
	uint64_t words[BATCH][WORDS];
	struct iovec there[BATCH] = { 0 }, here = { words, n * sizeof(words[0]) };
	for (size_t i = 0; i < n; i++)
		there[i] = (struct iovec){ (void *)(uintptr_t)(at + i * PAGE), sizeof(words[0]) };
	if (process_vm_readv(l->pid, &here, 1, there, n, 0) != (ssize_t)here.iov_len)
		return false;
	for (size_t i = 0; i < n; i++) {
		for (unsigned k = 0; k < WORDS; k++)
			if (points_into_a_mapping(l, words[i][k]))
				return false;
		*blocks += begins_block(words[i]);
	}
	return true;
}

static struct ma_error *close_open(struct look *l)
{
	struct ma_raw_range r = l->open;
	l->open = (struct ma_raw_range){ 0 };
	if (r.end - r.start < MA_RAW_MIN)
		return NULL;
	if (l->count == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 64;
		struct ma_raw_range *v = realloc(l->v, cap * sizeof(*v));
		if (!v)
			return &ma_enomem;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->count++] = r;
	return NULL;
}

/* The resident pages of one chunk; without any it is not worth a call. */
static bool chunk_is_raw(struct look *l, uint64_t start, const struct ma_runs *runs, const struct ma_runs *huge,
			 struct ma_raw_range *ret)
{
	uint64_t end = start + MA_RAW_STEP;
	size_t hint = 0;
	*ret = (struct ma_raw_range){ .start = start, .end = end };
	for (size_t i = ma_runs_find(runs, start); i < runs->count && runs->v[i].start < end; i++) {
		uint64_t a = runs->v[i].start > start ? runs->v[i].start : start;
		uint64_t b = runs->v[i].end < end ? runs->v[i].end : end;
		for (; a < b; a += BATCH * PAGE) {
			size_t n = (b - a) / PAGE < BATCH ? (size_t)((b - a) / PAGE) : BATCH;
			if (!pages_are_raw(l, a, n, &ret->blocks))
				return false;
		}
	}
	ret->huge = ma_runs_bytes(huge, start, end, &hint);
	hint = 0;
	ret->small = ma_runs_bytes(runs, start, end, &hint) - ret->huge;
	return ret->small + ret->huge != 0;
}

static struct ma_error *add_chunk(struct look *l, const struct ma_raw_range *chunk)
{
	if (l->open.end != chunk->start)
		MA_TRY(close_open(l));
	if (!l->open.end)
		l->open.start = chunk->start;
	l->open.end = chunk->end;
	l->open.small += chunk->small;
	l->open.huge += chunk->huge;
	l->open.blocks += chunk->blocks;
	return NULL;
}

/* A heap of glibc that is not the main one begins at a multiple of 64 MiB (malloc/arena.c, struct heap_info: its arena,
 * the heap before, its size, how much of it may be written). */
static bool in_glibc_heap(struct look *l, const struct ma_map *m, uint64_t chunk)
{
	uint64_t head[4], at = chunk & ~(HEAP_MAX_BYTES - 1);
	if (at < m->start) /* where it would begin is another mapping: that is none of malloc's */
		return false;
	if (ma_mem_read_some(l->pid, at, head, sizeof(head)) != sizeof(head))
		return true;
	return head[0] && points_into_a_mapping(l, head[0]) && (!head[1] || points_into_a_mapping(l, head[1])) &&
	       head[2] && head[2] <= head[3] && head[3] <= HEAP_MAX_BYTES && !(head[3] & (PAGE - 1));
}

static struct ma_error *look_at_map(struct look *l, const struct ma_map *m)
{
	const struct ma_map *before = m > l->maps->v && m[-1].end == m->start ? m - 1 : NULL;
	uint64_t from = m->start + PAGE, to = m->end - PAGE;
	if (before && !(before->prot & 7) && before->end - before->start <= GUARD_MAX)
		from += STACK_BYTES; /* of a thread, or anything: with what stands above it one mapping for the kernel
				      */
	from = (from + MA_RAW_STEP - 1) & ~(MA_RAW_STEP - 1);
	to &= ~(MA_RAW_STEP - 1);
	for (uint64_t at = from; at < to && ma_now_ns() < l->deadline; at += SLICE) {
		_cleanup_(ma_runs_deinit) struct ma_runs runs = { 0 };
		_cleanup_(ma_runs_deinit) struct ma_runs huge = { 0 };
		uint64_t end = to - at < SLICE ? to : at + SLICE;
		struct ma_map slice = { .start = at, .end = end, .prot = m->prot, .path = "" };
		const struct ma_maps one = { .v = &slice, .count = 1 };
		struct ma_error *err = ma_runs_read(l->dir, &one, &runs, &huge);
		if (err) {
			ma_error_free(err);
			continue;
		}
		for (uint64_t c = at; c < end && ma_now_ns() < l->deadline; c += MA_RAW_STEP) {
			struct ma_raw_range chunk;
			if (!ma_raw_arenas_meet(&l->arenas, c, c + MA_RAW_STEP) && !in_glibc_heap(l, m, c) &&
			    chunk_is_raw(l, c, &runs, &huge, &chunk))
				MA_TRY(add_chunk(l, &chunk));
		}
	}
	return close_open(l);
}

static uint64_t saves(const struct ma_raw_range *r)
{
	uint64_t ns = ma_pages_cost_ns(r->small, r->huge);
	return ns > RANGE_NS ? ns - RANGE_NS : 0;
}

static int by_saving(const void *a, const void *b)
{
	uint64_t x = saves(a), y = saves(b);
	return x > y ? -1 : x < y;
}

static int by_start(const void *a, const void *b)
{
	const struct ma_raw_range *x = a, *y = b;
	return x->start < y->start ? -1 : x->start > y->start;
}

/* Those that pay, as many as there is room for. */
static void choose(const struct look *l, struct ma_raw *ret)
{
	uint32_t blocks = 0;
	uint64_t cost = l->maps->count * MAP_LINE_NS, saved = 0;
	qsort(l->v, l->count, sizeof(*l->v), by_saving);
	for (size_t i = 0; i < l->count && ret->count < MA_RAW_RANGES_MAX; i++) {
		struct ma_raw_range r = l->v[i];
		if (!saves(&r))
			break;
		if (r.blocks > BLOCKS_MAX - blocks)
			continue;
		blocks += r.blocks;
		ret->v[ret->count++] = r;
		ret->bytes += r.small + r.huge;
		saved += saves(&r);
	}
	/* each range makes two mappings more for the moment */
	if (saved < cost + SAVES_AT_LEAST_NS || l->maps->count + 2 * ret->count + MAPS_SPARE > ret->maps_max) {
		ret->count = 0;
		ret->bytes = 0;
		return;
	}
	ret->saved_ns = saved - cost;
	qsort(ret->v, ret->count, sizeof(*ret->v), by_start);
}

static uint64_t max_map_count(void)
{
	_cleanup_close_ int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	struct ma_error *err = proc >= 0 ? ma_proc_read(proc, "sys/vm/max_map_count", 64, &text, NULL) : NULL;
	uint64_t n = !err && text ? strtoull(text, NULL, 10) : 65530; /* the kernel's DEFAULT_MAX_MAP_COUNT */
	ma_error_free(err);
	return n;
}

struct place {
	const struct ma_map *map;
};

static int larger(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	uint64_t p = x->map->end - x->map->start, q = y->map->end - y->map->start;
	return p > q ? -1 : p < q;
}

static struct ma_error *look_at_all(struct look *l, struct ma_raw *ret)
{
	size_t n = 0;
	_cleanup_free_ struct place *v = calloc(l->maps->count, sizeof(*v));
	if (!v)
		return &ma_enomem;
	for (size_t i = 0; i < l->maps->count; i++)
		if (l->maps->v[i].end - l->maps->v[i].start >= MA_RAW_MIN && ma_raw_eligible(l->maps, &l->maps->v[i]))
			v[n++].map = &l->maps->v[i];
	if (n)
		qsort(v, n, sizeof(*v), larger);
	for (size_t i = 0; i < n; i++)
		MA_TRY(look_at_map(l, v[i].map));
	if (l->count)
		choose(l, ret);
	return NULL;
}

struct ma_error *ma_raw_find(const struct ma_tracee *t, const struct ma_python *py, const struct ma_maps *maps,
			     uint64_t small_bytes, uint64_t huge_bytes, struct ma_raw *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->journal_fd = -1;
	ret->maps_max = max_map_count();
	if (!maps->count || ma_pages_cost_ns(small_bytes, huge_bytes) < SAVES_AT_LEAST_NS || foreign_malloc(maps) ||
	    sysconf(_SC_PAGESIZE) != (long)PAGE)
		return NULL;
	struct look l = {
		.maps = maps,
		.pid = t->live,
		.dir = t->live_dir,
		.deadline = ma_now_ns() + LOOK_NS,
	};
	struct ma_error *err = ma_raw_arenas_read(t->live, py, &l.arenas);
	if (!err)
		err = look_at_all(&l, ret);
	free(l.arenas.v);
	free(l.v);
	if (err && err->code != MA_ERR_NO_MEMORY) {
		ma_error_free(err);
		err = NULL;
	}
	return err;
}

void ma_raw_drop(struct ma_raw *raw, size_t i)
{
	uint64_t ns = saves(&raw->v[i]);
	raw->bytes -= raw->v[i].small + raw->v[i].huge;
	raw->saved_ns -= ns < raw->saved_ns ? ns : raw->saved_ns;
	memmove(&raw->v[i], &raw->v[i + 1], (raw->count - i - 1) * sizeof(raw->v[0]));
	raw->count--;
}

/* Is it, or may it be, a part of the stack that some thread stands on? */
static bool on_a_stack(const struct ma_tracee *t, const struct ma_map *m, const struct ma_raw_range *r)
{
	for (size_t i = 0; i < t->count; i++) {
		uint64_t sp = t->threads[i].have_regs ? ma_regs_sp(&t->threads[i].saved) : 0;
		if (sp >= m->start && sp < r->end && (sp >= r->start || r->start - sp < STACK_BYTES))
			return true;
	}
	return false;
}

void ma_raw_confirm(const struct ma_tracee *t, const struct ma_python *py, struct ma_raw *raw)
{
	struct ma_raw_arenas arenas = { 0 };
	struct ma_maps maps = { 0 };
	if (!raw->count)
		return;
	struct ma_error *err = ma_maps_read(t->live_dir, "maps", &maps);
	if (!err)
		err = ma_raw_arenas_read(t->live, py, &arenas);
	bool all = err || maps.count + 2 * raw->count + MAPS_SPARE / 2 > raw->maps_max;
	for (size_t i = raw->count; i-- > 0;) {
		const struct ma_raw_range *r = &raw->v[i];
		const struct ma_map *m = all ? NULL : ma_maps_find(&maps, r->start);
		if (!m || m->start >= r->start || m->end <= r->end || !ma_raw_eligible(&maps, m) ||
		    ma_raw_arenas_meet(&arenas, r->start, r->end) || on_a_stack(t, m, r))
			ma_raw_drop(raw, i);
	}
	ma_error_free(err);
	ma_maps_deinit(&maps);
	free(arenas.v);
}
