// SPDX-License-Identifier: Apache-2.0
/* The input is a text of /proc; what stands behind its first NUL is that of another file (mountinfo beside cgroup). */
#include "cleanup.h"
#include "fuzz.h"
#include "proc.h"
#include "proc_cgroup.h"
#include "proc_preflight.h"

#include <stdlib.h>
#include <string.h>

static void maps(const char *text, size_t bytes)
{
	struct ma_maps m;
	struct ma_error *err = ma_maps_parse(text, bytes, &m);
	if (err) {
		ma_error_free(err);
		return;
	}
	for (size_t i = 0; i < m.count; i++) {
		const struct ma_map *found = ma_maps_find(&m, m.v[i].start);
		if (m.v[i].start >= m.v[i].end || (i && m.v[i].start < m.v[i - 1].end) || found != &m.v[i])
			abort();
		(void)strlen(m.v[i].path);
	}
	(void)ma_maps_commit_bytes(&m);
	(void)ma_maps_hugetlb_bytes(&m);
	ma_maps_deinit(&m);
}

static void cgroups(const char *text, const char *mountinfo)
{
	struct ma_cgroup_line line;
	struct ma_cgroup_limits limits;
	size_t mount_len;
	for (const char *p = text; ma_cgroup_next(&p, &line);)
		free(ma_cgroup_folder(mountinfo, &line, &mount_len));
	if (ma_cgroup_find(text, "memory", &line) && line.path_len > strlen(text))
		abort();
	(void)ma_cgroup_is_in(mountinfo, text, "/docker/0123");
	/* files of this machine are opened where the text leads to them */
	if (!strstr(mountinfo, "/sys") && !strstr(mountinfo, "/proc") && !strstr(mountinfo, "/dev"))
		ma_cgroup_limits_read(mountinfo, text, &limits);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct ma_status status;
	struct ma_stat stat;
	uint64_t total, available;
	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = 0;
	size_t first = strlen(text);
	maps(text, first);
	ma_error_free(ma_status_parse(text, first, &status));
	ma_error_free(ma_stat_parse(text, first, &stat));
	cgroups(text, first < size ? text + first + 1 : "");
	(void)ma_limits_text_nproc(text);
	(void)ma_meminfo_text_commit_left(text);
	(void)ma_meminfo_text_memory(text, &total, &available);
	(void)ma_userfaultfd_text_has_fork(text);
	(void)ma_fdinfo_text_is_direct(text);
	free(text);
	return 0;
}
