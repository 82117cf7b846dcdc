// SPDX-License-Identifier: Apache-2.0
#include "snapshot_path.h"

#include "cleanup.h"
#include "data_folder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct ma_error *ma_snapshot_path_default(const char *wanted, pid_t pid, char **ret)
{
	_cleanup_free_ char *folder = NULL;
	if (!wanted)
		MA_TRY(ma_data_folder_make(&folder));
	time_t now = time(NULL);
	struct tm tm;
	char stamp[32] = "";
	if (localtime_r(&now, &tm))
		strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%S", &tm);
	/* two in one second, or the hour that the clock shows twice */
	for (unsigned more = 1;; more++) {
		char suffix[16] = "", number[16] = "core", *path;
		if (pid)
			snprintf(number, sizeof(number), "%d", (int)pid);
		if (more > 1)
			snprintf(suffix, sizeof(suffix), "-%u", more);
		if (asprintf(&path, "%s/%s-%s%s.mem", wanted ? wanted : folder, stamp, number, suffix) < 0)
			return &ma_enomem;
		if (access(path, F_OK) || more == 1000) {
			*ret = path;
			return NULL;
		}
		free(path);
	}
}
