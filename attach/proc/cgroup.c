// SPDX-License-Identifier: Apache-2.0
/* cgroup.c - the limits of a group, and moving the twin out of the target's group into ours. */
#include "buffer.h"
#include "cleanup.h"
#include "proc.h"
#include "proc_cgroup.h"
#include "proc_text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#define MOUNTINFO_MAX ((size_t)16 << 20)
#define CGROUPS_MAX ((size_t)64 << 10)
/* cgroup v1 prints "no limit" as LONG_MAX cut to whole pages; nobody owns 2^60 bytes. */
#define UNLIMITED ((uint64_t)1 << 60)

static char *file_read(const char *folder, const char *name)
{
	_cleanup_close_ int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return NULL;
	char *text;
	size_t bytes;
	_cleanup_error_ struct ma_error *err = ma_proc_read(dir, name, 64 << 10, &text, &bytes);
	return err ? NULL : text;
}

/* The file's one number; "max" and what cannot be read are no number. */
static bool number_read(const char *folder, const char *name, uint64_t *ret)
{
	_cleanup_free_ char *text = file_read(folder, name);
	struct text t = { text, text ? text + strlen(text) : NULL };
	return text && text_u64(&t, ret);
}

/* The number after `key` in memory.stat. */
static uint64_t stat_read(const char *folder, const char *key)
{
	_cleanup_free_ char *text = file_read(folder, "memory.stat");
	struct text t = { text, text ? text + strlen(text) : NULL }, line;
	uint64_t v;
	while (text && text_line(&t, &line, NULL))
		if (text_key(&line, key) && text_char(&line, ' ') && text_u64(&line, &v))
			return v;
	return 0;
}

/* "full avg10=1.25 avg60=..." of memory.pressure, Documentation/accounting/psi.rst. */
static double stall_read(const char *folder)
{
	_cleanup_free_ char *text = file_read(folder, "memory.pressure");
	struct text t = { text, text ? text + strlen(text) : NULL }, line;
	uint64_t whole, part;
	while (text && text_line(&t, &line, NULL))
		if (text_key(&line, "full avg10=") && text_u64(&line, &whole) && whole <= 100 &&
		    text_char(&line, '.') && line.end - line.p >= 2 && line.p[0] >= '0' && line.p[0] <= '9') {
			part = (uint64_t)(line.p[0] - '0');
			return (double)whole + (double)part / 10;
		}
	return 0;
}

/* Keeps the pair with the least room. */
static void keep_least(uint64_t limit, uint64_t usage, uint64_t *limit_ret, uint64_t *usage_ret)
{
	usage = usage < limit ? usage : limit;
	if (!*limit_ret || limit - usage < *limit_ret - *usage_ret) {
		*limit_ret = limit;
		*usage_ret = usage;
	}
}

static void memory_level(const char *folder, bool v2, struct ma_cgroup_limits *l)
{
	uint64_t limit, high, usage, on;
	if (v2 && number_read(folder, "memory.oom.group", &on) && on == 1)
		l->oom_group = true;
	double stall = v2 ? stall_read(folder) : 0;
	if (stall > l->memory_stall)
		l->memory_stall = stall;
	bool limited = number_read(folder, v2 ? "memory.max" : "memory.limit_in_bytes", &limit) && limit < UNLIMITED;
	bool slowed = v2 && number_read(folder, "memory.high", &high) && high && high < UNLIMITED;
	if ((!limited && !slowed) || !number_read(folder, v2 ? "memory.current" : "memory.usage_in_bytes", &usage))
		return;
	uint64_t droppable = stat_read(folder, v2 ? "inactive_file" : "total_inactive_file");
	usage -= droppable < usage ? droppable : usage;
	if (limited)
		keep_least(limit, usage, &l->memory_limit, &l->memory_usage);
	if (slowed && (!limited || high < limit))
		limit = high;
	keep_least(limit, usage, &l->pressed_limit, &l->pressed_usage);
}

static void pids_level(const char *folder, bool v2, struct ma_cgroup_limits *l)
{
	(void)v2; /* the same files in both */
	uint64_t max, current;
	if (!number_read(folder, "pids.max", &max) || !number_read(folder, "pids.current", &current))
		return;
	if (!max) /* 0 says "none" in our struct; one of one is as full */
		max = current = 1;
	if (current > max)
		current = max;
	if (!l->pids_max || max - current < l->pids_max - l->pids_current) {
		l->pids_max = max;
		l->pids_current = current;
	}
}

/* Of each size of which the group has any. */
static void hugetlb_level(const char *folder, bool v2, struct ma_cgroup_limits *l)
{
	static const char *const sizes[] = { "64KB", "1MB", "2MB", "16MB", "32MB", "512MB", "1GB", "2GB", "16GB" };
	for (size_t i = 0; i < MA_ARRAY_SIZE(sizes); i++) {
		char limit_file[48], usage_file[48];
		uint64_t limit, usage;
		snprintf(limit_file, sizeof(limit_file), "hugetlb.%s.%s", sizes[i], v2 ? "max" : "limit_in_bytes");
		snprintf(usage_file, sizeof(usage_file), "hugetlb.%s.%s", sizes[i], v2 ? "current" : "usage_in_bytes");
		if (number_read(folder, limit_file, &limit) && limit < UNLIMITED &&
		    number_read(folder, usage_file, &usage) && usage)
			keep_least(limit, usage, &l->hugetlb_limit, &l->hugetlb_usage);
	}
}

static void cpu_level(const char *folder, bool v2, struct ma_cgroup_limits *l)
{
	uint64_t quota, period;
	if (v2) { /* "max 100000" or "50000 100000" */
		_cleanup_free_ char *text = file_read(folder, "cpu.max");
		struct text t = { text, text ? text + strlen(text) : NULL };
		if (!text || !text_u64(&t, &quota) || !text_char(&t, ' ') || !text_u64(&t, &period))
			return;
	} else if (!number_read(folder, "cpu.cfs_quota_us", &quota) || /* -1 = none */
		   !number_read(folder, "cpu.cfs_period_us", &period)) {
		return;
	}
	if (!quota || !period)
		return;
	double cores = (double)quota / (double)period;
	if (l->cpu_quota == 0 || cores < l->cpu_quota)
		l->cpu_quota = cores;
}

typedef void level_fn(const char *folder, bool v2, struct ma_cgroup_limits *l);

/* The group's own folder, then each above it up to the mount point. */
static void each_level(const char *mountinfo, const char *cgroups, const char *controller, level_fn *fn,
		       struct ma_cgroup_limits *l)
{
	struct ma_cgroup_line line;
	bool v1 = ma_cgroup_find(cgroups, controller, &line);
	if (!v1 && !ma_cgroup_find(cgroups, "", &line))
		return;
	size_t mount_len;
	_cleanup_free_ char *folder = ma_cgroup_folder(mountinfo, &line, &mount_len);
	if (!folder)
		return;
	for (;;) {
		fn(folder, !v1, l);
		char *slash = strrchr(folder, '/');
		if (!slash || (size_t)(slash - folder) < mount_len)
			return;
		*slash = 0;
	}
}

void ma_cgroup_limits_read(const char *mountinfo, const char *cgroups, struct ma_cgroup_limits *ret)
{
	*ret = (struct ma_cgroup_limits){ 0 };
	each_level(mountinfo, cgroups, "memory", memory_level, ret);
	each_level(mountinfo, cgroups, "pids", pids_level, ret);
	each_level(mountinfo, cgroups, "cpu", cpu_level, ret);
	each_level(mountinfo, cgroups, "hugetlb", hugetlb_level, ret);
}

/* 0 or an errno. */
static int procs_write(const char *folder, pid_t pid)
{
	char path[PATH_MAX], text[16];
	if (snprintf(path, sizeof(path), "%s/cgroup.procs", folder) >= (int)sizeof(path))
		return ENAMETOOLONG;
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	int n = snprintf(text, sizeof(text), "%d", (int)pid);
	while (write(fd, text, (size_t)n) < 0)
		if (errno != EINTR)
			return errno;
	return 0;
}

/* The line of the same hierarchy in the other process's text. */
static bool same_hierarchy(const char *cgroups, const struct ma_cgroup_line *line, struct ma_cgroup_line *ret)
{
	while (ma_cgroup_next(&cgroups, ret))
		if (ret->id == line->id)
			return true;
	return false;
}

static bool line_has(const struct ma_cgroup_line *line, const char *controller)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "1:%.*s:/", (int)line->controllers_len, line->controllers);
	struct ma_cgroup_line found;
	return n > 0 && n < (int)sizeof(text) && ma_cgroup_find(text, controller, &found);
}

void ma_cgroup_move_to_own(pid_t pid, const char *its_cgroups, bool *moved_ret, char **why_ret)
{
	_cleanup_free_ char *own = NULL;
	_cleanup_free_ char *mountinfo = NULL;
	_cleanup_buf_ struct ma_buf why = MA_BUF_INIT(4096);
	size_t bytes;
	bool cpu_v1 = false, memory_v1 = false, failed = false;
	*moved_ret = false;
	*why_ret = NULL;
	_cleanup_close_ int self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_error_ struct ma_error *err = ma_proc_read(self, "cgroup", CGROUPS_MAX, &own, &bytes);
	if (!err)
		err = ma_proc_read(self, "mountinfo", MOUNTINFO_MAX, &mountinfo, &bytes);
	if (err) {
		*why_ret = strdup(err->message);
		return;
	}
	const char *next = own;
	struct ma_cgroup_line line, its;
	while (ma_cgroup_next(&next, &line)) {
		bool v2 = line.id == 0 && line.controllers_len == 0;
		bool cpu = line_has(&line, "cpu"), memory = line_has(&line, "memory");
		cpu_v1 |= cpu;
		memory_v1 |= memory;
		if (same_hierarchy(its_cgroups, &line, &its) && its.path_len == line.path_len &&
		    memcmp(its.path, line.path, line.path_len) == 0)
			continue;
		size_t mount_len;
		_cleanup_free_ char *folder = ma_cgroup_folder(mountinfo, &line, &mount_len);
		int errnum = folder ? procs_write(folder, pid) : 0;
		if (folder && !errnum)
			continue;
		/* Of v1 only cpu and memory matter to the target's quota. v2 is last in the file; it carries what no v1
		 * hierarchy does. */
		failed |= cpu || memory || (v2 && !(cpu_v1 && memory_v1));
		ma_buf_printf(&why, "%s%.*s: %s", why.len ? "; " : "the copy stays in the target's cgroup ",
			      v2 ? 9 : (int)line.controllers_len, v2 ? "cgroup v2" : line.controllers,
			      folder ? strerror(errnum) : "our group is not below a mounted hierarchy");
	}
	*moved_ret = !failed;
	*why_ret = why.len ? ma_take_ptr(why.data) : NULL;
}

uint64_t ma_cgroup_memory_room(const char *cgroups)
{
	struct ma_cgroup_limits limits = { 0 };
	_cleanup_free_ char *mountinfo = NULL;
	_cleanup_close_ int self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct ma_error *err = self >= 0 ? ma_proc_read(self, "mountinfo", MOUNTINFO_MAX, &mountinfo, NULL) : NULL;
	if (err || !mountinfo || !cgroups) {
		ma_error_free(err);
		return UINT64_MAX;
	}
	each_level(mountinfo, cgroups, "memory", memory_level, &limits);
	if (!limits.memory_limit)
		return UINT64_MAX;
	return limits.memory_limit > limits.memory_usage ? limits.memory_limit - limits.memory_usage : 0;
}
