// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "snap.h"

#include <stdlib.h>

static int by_fs_base(const void *a, const void *b)
{
	const struct ma_snap_tid *x = *(const struct ma_snap_tid *const *)a, *y = *(const struct ma_snap_tid *const *)b;
	return x->fs_base != y->fs_base ? (x->fs_base < y->fs_base ? -1 : 1) : (x > y) - (x < y);
}

static int by_tid(const void *a, const void *b)
{
	const struct ma_snap_tid *x = *(const struct ma_snap_tid *const *)a, *y = *(const struct ma_snap_tid *const *)b;
	return x->tid != y->tid ? (x->tid < y->tid ? -1 : 1) : (x > y) - (x < y);
}

/* The first one with this value; `sorted` has them in its order. */
static const struct ma_snap_tid *first_with(const struct ma_snap_tid *const *sorted, size_t count, bool fs_base,
					    uint64_t value)
{
	size_t low = 0, high = count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if ((fs_base ? sorted[mid]->fs_base : sorted[mid]->tid) < value)
			low = mid + 1;
		else
			high = mid;
	}
	return low < count && (fs_base ? sorted[low]->fs_base : sorted[low]->tid) == value ? sorted[low] : NULL;
}

/* glibc's pthread id is the address of the thread's control block, which is fs_base on x86-64. Where it is not known,
 * the native id says which it is. */
struct ma_error *ma_snap_name_threads(struct ma_snap *s)
{
	struct ma_snap_thread *threads = s->threads.data;
	const struct ma_snap_tid *tids = s->tids.data;
	size_t based = 0, others = 0;
	if (!s->tids.count || !s->threads.count)
		return NULL;
	_cleanup_free_ const struct ma_snap_tid **by_base = calloc(s->tids.count, sizeof(void *));
	_cleanup_free_ const struct ma_snap_tid **by_id = calloc(s->tids.count, sizeof(void *));
	if (!by_base || !by_id)
		return &ma_enomem;
	for (size_t k = 0; k < s->tids.count; k++)
		if (tids[k].fs_base)
			by_base[based++] = &tids[k];
		else
			by_id[others++] = &tids[k];
	qsort(by_base, based, sizeof(void *), by_fs_base);
	qsort(by_id, others, sizeof(void *), by_tid);
	for (size_t i = 0; i < s->threads.count; i++) {
		struct ma_snap_thread *t = &threads[i];
		const struct ma_snap_tid *hit = first_with(by_base, based, true, t->pthread_id);
		if (!hit)
			hit = first_with(by_id, others, false, t->native_id);
		if (hit) {
			t->tid = hit->tid;
			t->name = hit->name;
		}
	}
	return NULL;
}
