// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "mem.h"
#include "raw_internal.h"

#include <string.h>

/* struct arena_object (Objects/obmalloc.c, pycore_obmalloc.h), the same in 3.8 to 3.15: 48 bytes, the address first. */
#define ENTRY_WORDS 6u
#define ENTRIES_MAX (1u << 18) /* of all interpreters; read during the stop, too */
#define INTERPS_MAX 1024u

static int by_address(const void *a, const void *b)
{
	const ma_raddr *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

static struct ma_error *unknown(void)
{
	return ma_errorf(MA_ERR_UNSUPPORTED, "its arenas are not known");
}

static struct ma_error *add_array(pid_t pid, ma_raddr array, uint32_t entries, struct ma_raw_arenas *ret)
{
	if (!array || !entries)
		return NULL;
	if (entries > ENTRIES_MAX - ret->count)
		return unknown();
	_cleanup_free_ uint64_t *words = malloc((size_t)entries * ENTRY_WORDS * sizeof(*words));
	ma_raddr *v = realloc(ret->v, (ret->count + entries) * sizeof(*v));
	if (v)
		ret->v = v;
	if (!v || !words)
		return &ma_enomem;
	MA_TRY(ma_mem_read(pid, array, words, (size_t)entries * ENTRY_WORDS * sizeof(*words)));
	for (uint32_t i = 0; i < entries; i++)
		if (words[(size_t)i * ENTRY_WORDS])
			v[ret->count++] = words[(size_t)i * ENTRY_WORDS];
	return NULL;
}

/* 3.8 to 3.11: two variables. From 3.12 on each interpreter has its own, or shares those of the main one. */
static struct ma_error *read_all(pid_t pid, const struct ma_python *py, struct ma_raw_arenas *ret)
{
	const struct ma_layout *l = &py->layout;
	uint64_t array, interp, last = 0;
	uint32_t entries;
	if (l->interp_obmalloc < 0) {
		if (!py->arenas || !py->maxarenas)
			return unknown();
		MA_TRY(ma_mem_read_u64(pid, py->arenas, &array));
		MA_TRY(ma_mem_read_u32(pid, py->maxarenas, &entries));
		return add_array(pid, array, entries, ret);
	}
	if (l->runtime_interp_head < 0 || l->interp_next < 0 || l->obmalloc_arenas < 0 || l->obmalloc_maxarenas < 0)
		return unknown();
	MA_TRY(ma_mem_read_u64(pid, py->runtime + (uint64_t)l->runtime_interp_head, &interp));
	for (unsigned i = 0; interp; i++) {
		uint64_t state = interp + (uint64_t)l->interp_obmalloc;
		if (i == INTERPS_MAX)
			return unknown();
		if (py->minor >= 13)
			MA_TRY(ma_mem_read_u64(pid, state, &state));
		if (state && state != last) {
			MA_TRY(ma_mem_read_u64(pid, state + (uint64_t)l->obmalloc_arenas, &array));
			MA_TRY(ma_mem_read_u32(pid, state + (uint64_t)l->obmalloc_maxarenas, &entries));
			MA_TRY(add_array(pid, array, entries, ret));
			last = state;
		}
		MA_TRY(ma_mem_read_u64(pid, interp + (uint64_t)l->interp_next, &interp));
	}
	return NULL;
}

struct ma_error *ma_raw_arenas_read(pid_t pid, const struct ma_python *py, struct ma_raw_arenas *ret)
{
	struct ma_raw_arenas a = { .bytes = py->layout.arena_bytes };
	struct ma_error *err = a.bytes ? read_all(pid, py, &a) : unknown();
	if (err) {
		free(a.v);
		return err;
	}
	if (a.count)
		qsort(a.v, a.count, sizeof(*a.v), by_address);
	*ret = a;
	return NULL;
}

bool ma_raw_arenas_meet(const struct ma_raw_arenas *a, uint64_t start, uint64_t end)
{
	size_t low = 0, high = a->count;
	while (low < high) { /* the first that ends behind `start` */
		size_t mid = low + (high - low) / 2;
		if (a->v[mid] + a->bytes <= start)
			low = mid + 1;
		else
			high = mid;
	}
	return low < a->count && a->v[low] < end;
}
