// SPDX-License-Identifier: Apache-2.0
/* proc_cgroup.h - cgroups v1 and v2 as files: where a group's folder is, what its limits are. Used inside attach/proc
 * and by its tests; `mountinfo` is the text of /proc/self/mountinfo, `cgroups` that of /proc/PID/cgroup. */
#ifndef MA_PROC_CGROUP_H
#define MA_PROC_CGROUP_H

#include <memattach/error.h>
#include <memattach/types.h>

/* One line of /proc/PID/cgroup, "id:controllers:path". Pointers go into the text; nothing is NUL-terminated. */
struct ma_cgroup_line {
	unsigned id;             /* 0 = the v2 hierarchy */
	const char *controllers; /* "cpu,cpuacct", "name=systemd", "" for v2 */
	size_t controllers_len;
	const char *path;
	size_t path_len;
};
/* The next line at *text, which moves on; false at the end. Lines that are none are skipped. */
bool ma_cgroup_next(const char **text, struct ma_cgroup_line *ret);
/* The line of a v1 controller ("memory"), or of v2 (""). */
bool ma_cgroup_find(const char *cgroups, const char *controller, struct ma_cgroup_line *ret);

/* The folder of the group in a mounted hierarchy: NULL when the hierarchy is not mounted here or the group is outside
 * of what is mounted. *mount_len_ret is the length of the mount point, where a walk up ends. The caller frees it. */
char *ma_cgroup_folder(const char *mountinfo, const struct ma_cgroup_line *line, size_t *mount_len_ret);

struct ma_cgroup_limits {
	uint64_t memory_limit; /* bytes, of the level with the least room; 0 = none */
	uint64_t memory_usage; /* bytes at that level, less file cache that can be dropped at once (inactive_file) */
	/* The same with v2's memory.high, above which the kernel slows the group down, as a limit beside memory.max. */
	uint64_t pressed_limit, pressed_usage;
	double memory_stall; /* v2: percent of the last 10 s in which nothing of a level ran for want of memory */
	uint64_t pids_max;   /* of the level with the least room; 0 = none */
	uint64_t pids_current;
	uint64_t hugetlb_limit; /* bytes of huge pages of hugetlbfs, of the size and level with the least room */
	uint64_t hugetlb_usage;
	double cpu_quota; /* cores, the least of all levels; 0 = none */
	bool oom_group;   /* v2: memory.oom.group = 1 at some level */
};
/* Each limit holds for all groups below it, so every level up to the mount is looked at. What cannot be read counts
 * as no limit. */
void ma_cgroup_limits_read(const char *mountinfo, const char *cgroups, struct ma_cgroup_limits *ret);

#endif
