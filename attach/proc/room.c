// SPDX-License-Identifier: Apache-2.0
/* room.c - how much memory a process and what is around it may still take. */
#include "cleanup.h"
#include "proc.h"
#include "proc_preflight.h"

#include <fcntl.h>

#define MOUNTINFO_MAX ((size_t)16 << 20)
#define CGROUPS_MAX ((size_t)64 << 10)

/* A machine hides these files at times: what cannot be read is no limit. */
static char *text_of(int dir, const char *file, size_t limit)
{
	char *text = NULL;
	_cleanup_error_ struct ma_error *err = ma_proc_read(dir, file, limit, &text, NULL);
	return err ? NULL : text;
}

struct ma_error *ma_room_read(int dir, struct ma_room *ret)
{
	struct ma_room room = { 0 };
	struct ma_status status;
	MA_TRY(ma_status_read(dir, &status));
	room.rss = status.rss_anon + status.rss_file + status.rss_shmem;
	room.twin_need = ma_twin_need_bytes(&status);
	_cleanup_close_ int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_free_ char *meminfo = text_of(proc, "meminfo", 64 << 10);
	_cleanup_free_ char *mountinfo = text_of(proc, "self/mountinfo", MOUNTINFO_MAX);
	_cleanup_free_ char *cgroups = text_of(dir, "cgroup", CGROUPS_MAX);
	uint64_t available;
	if (meminfo && ma_meminfo_text_memory(meminfo, &room.machine_limit, &available))
		room.machine_usage = room.machine_limit - available;
	if (mountinfo && cgroups) {
		struct ma_cgroup_limits l;
		ma_cgroup_limits_read(mountinfo, cgroups, &l);
		room.group_limit = l.pressed_limit;
		room.group_usage = l.pressed_usage;
		room.group_stall = l.memory_stall;
	}
	*ret = room;
	return NULL;
}
