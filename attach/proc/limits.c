// SPDX-License-Identifier: Apache-2.0
/* limits.c - what a fork may fail at, from texts of /proc. */
#include "proc_preflight.h"
#include "proc_text.h"

static bool number_after(const char *text, const char *key, uint64_t *ret)
{
	struct text t = { text, text + strlen(text) }, line;
	while (text_line(&t, &line, NULL))
		if (text_key(&line, key)) {
			text_blanks(&line);
			return text_u64(&line, ret);
		}
	return false;
}

uint64_t ma_limits_text_nproc(const char *limits)
{
	uint64_t v;
	return number_after(limits, "Max processes", &v) ? v : UINT64_MAX; /* "unlimited" is no number */
}

uint64_t ma_meminfo_text_commit_left(const char *meminfo)
{
	uint64_t limit, used;
	if (!number_after(meminfo, "CommitLimit:", &limit) || !number_after(meminfo, "Committed_AS:", &used))
		return UINT64_MAX;
	return limit > used && limit - used < UINT64_MAX >> 10 ? (limit - used) << 10 : 0;
}

bool ma_meminfo_text_memory(const char *meminfo, uint64_t *total_ret, uint64_t *available_ret)
{
	uint64_t total, available;
	if (!number_after(meminfo, "MemTotal:", &total) || !number_after(meminfo, "MemAvailable:", &available) ||
	    total >= UINT64_MAX >> 10 || available > total)
		return false;
	*total_ret = total << 10;
	*available_ret = available << 10;
	return true;
}

uint64_t ma_maps_commit_bytes(const struct ma_maps *maps)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < maps->count; i++)
		if ((maps->v[i].prot & (2 | 8)) == 2) {
			uint64_t bytes = maps->v[i].end - maps->v[i].start;
			sum = sum + bytes < sum ? UINT64_MAX : sum + bytes;
		}
	return sum;
}

uint64_t ma_twin_need_bytes(const struct ma_status *status)
{
	/* Charged to the target's group while the twin lives: a second set of page tables (at the clone), and one new
	 * page for each page that the target writes to. A walk takes about 1 s for 25 M objects, 2 GB; a busy program
	 * wrote to 2 to 10 % of its heap in such a time, so an eighth is on the safe side. Above 8 GB of heap most of
	 * it is raw data, which takes no longer to walk: there the eighth stops growing. The agent's own memory is
	 * charged to us. */
	uint64_t eighth = status->rss_anon / 8, most = (uint64_t)1 << 30;
	return status->vm_pte + (eighth < most ? eighth : most) + ((uint64_t)1 << 20);
}
