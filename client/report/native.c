// SPDX-License-Identifier: Apache-2.0
#include "native.h"

#define PAIRS_MAX (1ull << 30) /* of threads and native stacks: 32,768 of each */

bool ma_native_any(const struct ma_snap_tables *tab)
{
	return tab->natives_count && (uint64_t)tab->threads_count * tab->natives_count <= PAIRS_MAX &&
	       (uint64_t)tab->threads_count * tab->threads_count <= PAIRS_MAX &&
	       (uint64_t)tab->meta.tids_count * tab->natives_count <= PAIRS_MAX;
}

const struct ma_snap_native *ma_native_find(const struct ma_snap_tables *tab, const struct ma_snap_thread *th)
{
	for (size_t i = 0; i < tab->natives_count; i++)
		if (tab->natives[i].tid == th->tid)
			return &tab->natives[i];
	return NULL;
}

bool ma_native_is_python(const struct ma_snap_tables *tab, const struct ma_snap_native *n)
{
	for (size_t i = 0; i < tab->threads_count; i++)
		if (tab->threads[i].tid == n->tid)
			return true;
	return false;
}

const char *ma_native_name(const struct ma_snap_tables *tab, const struct ma_snap_native *n)
{
	for (size_t i = 0; i < tab->meta.tids_count; i++)
		if (tab->meta.tids[i].tid == n->tid)
			return tab->meta.tids[i].name;
	return "";
}

/* How often Python was entered from C in the frames of a thread. The outermost frames end an entry, too. */
static size_t entries(const struct ma_snap_tables *tab, const struct ma_snap_thread *th)
{
	size_t n = 0;
	for (size_t f = th->frames_begin; f < th->frames_end && f < tab->frames_count; f++)
		n += tab->frames[f].entry || f + 1 == th->frames_end;
	return n;
}

/* Does frame `i` of the stack run the Python frames that were entered by `entry`? */
static bool runs(const struct ma_snap_native_frame *v, size_t count, size_t i, const struct ma_snap_frame *entry)
{
	uint64_t addr = entry->entry_addr;
	return addr && v[i].sp && i + 1 < count && v[i].sp <= addr && addr < v[i + 1].sp;
}

void ma_native_place(const struct ma_snap_tables *tab, const struct ma_snap_thread *th, const struct ma_snap_native *n,
		     uint32_t *begin)
{
	const struct ma_snap_native_frame *v = tab->native_frames ? tab->native_frames + n->frames_begin : NULL;
	const struct ma_snap_frame *frames = tab->frames;
	size_t count = n->frames_end - n->frames_begin, loops = 0, before = 0, all = 0;
	uint32_t at = th->frames_begin,
		 end = th->frames_end < tab->frames_count ? th->frames_end : (uint32_t)tab->frames_count;
	for (size_t i = 0; i < count; i++)
		loops += (v[i].flags & MA_NF_EVAL) != 0;
	/* One native thread may run several interpreters, one inside the other. The newest is listed first, and it is
	 * the innermost as a rule. */
	for (size_t i = 0; i < tab->threads_count; i++) {
		if (tab->threads[i].tid != n->tid)
			continue;
		if (&tab->threads[i] < th)
			before += entries(tab, &tab->threads[i]);
		all += entries(tab, &tab->threads[i]);
	}
	/* Without addresses (up to 3.11) loops and entries are counted. A loop that was just entered has no frame yet:
	 * the innermost ones are left over, unless outer ones are missing. */
	size_t skip = before + (!n->cut && loops > all ? loops - all : 0);
	for (size_t i = 0; i < count; i++) {
		uint32_t entry = at; /* the next entry */
		begin[i] = at;
		while (entry < end && !frames[entry].entry && entry + 1 < end)
			entry++;
		if (entry < end && frames[entry].entry_addr) {
			if (runs(v, count, i, &frames[entry]))
				at = entry + 1;
		} else if (v[i].flags & MA_NF_EVAL) {
			if (skip)
				skip--;
			else if (entry < end)
				at = entry + 1;
		}
	}
	begin[count] = at;
}
