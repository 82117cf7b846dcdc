// SPDX-License-Identifier: Apache-2.0
#include "data_folder.h"

#include "cleanup.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Every folder of `path` that is missing, each 0700. */
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

struct ma_error *ma_data_folder(char **ret)
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
		return ma_errorf(MA_ERR_USAGE, "no home folder to keep snapshots in: say where with -o FILE");
	if (n < 0)
		return &ma_enomem;
	*ret = folder;
	return NULL;
}

struct ma_error *ma_data_folder_make(char **ret)
{
	_cleanup_free_ char *folder = NULL;
	MA_TRY(ma_data_folder(&folder));
	MA_TRY(make_folders(folder));
	*ret = ma_take_ptr(folder);
	return NULL;
}
