// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "proc.h"

#include <memattach/session.h>

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

uint64_t ma_session_memory_left(void)
{
	struct ma_room room;
	_cleanup_close_ int self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_error_ struct ma_error *err = self < 0 ? &ma_enomem : ma_room_read(self, &room);
	if (err)
		return UINT64_MAX;
	uint64_t machine = room.machine_limit ? room.machine_limit - room.machine_usage : UINT64_MAX;
	uint64_t group = room.group_limit ? room.group_limit - room.group_usage : UINT64_MAX;
	return machine < group ? machine : group;
}

/* What RLIMIT_DATA counts of this process; false when it is not known. */
static bool data_bytes(uint64_t *ret)
{
	unsigned long long pages;
	_cleanup_fclose_ FILE *f = fopen("/proc/self/statm", "re");
	if (!f || fscanf(f, "%*u %*u %*u %*u %*u %llu", &pages) != 1 || pages > UINT64_MAX >> 13)
		return false;
	*ret = pages * (uint64_t)sysconf(_SC_PAGESIZE);
	return true;
}

void ma_session_limit_memory(void)
{
	struct rlimit r;
	uint64_t left = ma_session_memory_left(), now;
	if (left == UINT64_MAX || getrlimit(RLIMIT_DATA, &r) || !data_bytes(&now) || left > RLIM_INFINITY - 1 - now ||
	    r.rlim_cur <= now + left)
		return;
	r.rlim_cur = now + left;
	(void)setrlimit(RLIMIT_DATA, &r); /* without it, it is as before */
}
