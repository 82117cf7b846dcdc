// SPDX-License-Identifier: Apache-2.0
#include "snapshot_path.h"

#include "cleanup.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* Every folder of `path` that is missing, each 0700: what is in a snapshot is its owner's alone. */
static struct ma_error *make_folders(char *path)
{
	for (char *p = path + 1;; p++) {
		if (*p && *p != '/')
			continue;
		char c = *p;
		*p = '\0';
		int failed = mkdir(path, 0700) && errno != EEXIST ? errno : 0;
		struct ma_error *err = failed ? ma_error_os(failed, "cannot make the folder %s", path) : NULL;
		*p = c;
		if (err || !c)
			return err;
	}
}

static struct ma_error *data_folder(char **ret)
{
	const char *xdg = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
	if (!home || home[0] != '/') {
		struct passwd *pw = getpwuid(geteuid());
		home = pw ? pw->pw_dir : NULL;
	}
	char *folder;
	int n;
	if (xdg && xdg[0] == '/') /* a relative one is to be ignored, says the XDG specification */
		n = asprintf(&folder, "%s/memattach", xdg);
	else if (home && home[0] == '/')
		n = asprintf(&folder, "%s/.local/share/memattach", home);
	else
		return ma_errorf(MA_ERR_USAGE, "no home folder to keep the snapshot in: say where with -o FILE");
	if (n < 0)
		return &ma_enomem;
	*ret = folder;
	return NULL;
}

struct ma_error *ma_snapshot_folder(char **ret)
{
	_cleanup_free_ char *folder = NULL;
	MA_TRY(data_folder(&folder));
	MA_TRY(make_folders(folder));
	*ret = ma_take_ptr(folder);
	return NULL;
}

struct ma_error *ma_snapshot_path_default(pid_t pid, char **ret)
{
	_cleanup_free_ char *folder = NULL;
	MA_TRY(ma_snapshot_folder(&folder));
	time_t now = time(NULL);
	struct tm tm;
	char stamp[32] = "";
	if (localtime_r(&now, &tm))
		strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%S", &tm);
	char *path;
	if (asprintf(&path, "%s/%s-%d.mem", folder, stamp, (int)pid) < 0)
		return &ma_enomem;
	*ret = path;
	return NULL;
}

struct ma_error *ma_snapshot_path_temporary(char **ret)
{
	const char *tmp = getenv("TMPDIR");
	_cleanup_free_ char *folder = NULL;
	if (asprintf(&folder, "%s/memattach-XXXXXX", tmp && tmp[0] == '/' ? tmp : "/tmp") < 0)
		return &ma_enomem;
	if (!mkdtemp(folder))
		return ma_error_os(errno, "cannot make a folder %s", folder);
	char *path;
	if (asprintf(&path, "%s/stacks.mem", folder) < 0) {
		rmdir(folder);
		return &ma_enomem;
	}
	*ret = path;
	return NULL;
}

void ma_snapshot_path_discard(const char *path)
{
	unlink(path);
	_cleanup_free_ char *folder = strdup(path);
	char *slash = folder ? strrchr(folder, '/') : NULL;
	if (slash) {
		*slash = '\0';
		rmdir(folder);
	}
}
