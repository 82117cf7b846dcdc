// SPDX-License-Identifier: Apache-2.0
/* descriptors.c - descriptors of the target that make a copy of it dangerous. */
#include "cleanup.h"
#include "proc_preflight.h"
#include "proc_text.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#define UFFD_EVENT_FORK 2u /* UFFD_FEATURE_EVENT_FORK of <linux/userfaultfd.h> */

static bool line_after(const char *text, const char *key, struct text *ret)
{
	struct text t = { text, text + strlen(text) }, line;
	while (text_line(&t, &line, NULL))
		if (text_key(&line, key)) {
			text_blanks(&line);
			*ret = line;
			return true;
		}
	return false;
}

bool ma_userfaultfd_text_has_fork(const char *fdinfo)
{
	struct text line; /* "API:\taa:80000002:7fff" (userfaultfd_show_fdinfo() of fs/userfaultfd.c) */
	uint64_t api, features;
	if (!line_after(fdinfo, "API:", &line) || !text_hex(&line, &api) || !text_char(&line, ':') ||
	    !text_hex(&line, &features))
		return true; /* not to be read: then it is taken for the dangerous kind */
	return features & UFFD_EVENT_FORK;
}

bool ma_fdinfo_text_is_direct(const char *fdinfo)
{
	struct text line;
	uint64_t flags = 0;
	if (!line_after(fdinfo, "flags:", &line))
		return false;
	for (; line.p < line.end && *line.p >= '0' && *line.p <= '7'; line.p++)
		flags = flags << 3 | (uint64_t)(*line.p - '0');
	return flags & O_DIRECT;
}

static void look_at(int dir, const char *name, bool want_direct, struct ma_descriptors *ret)
{
	char path[NAME_MAX + 16], link[64];
	snprintf(path, sizeof(path), "fd/%s", name);
	ssize_t n = readlinkat(dir, path, link, sizeof(link) - 1);
	if (n < 0)
		return; /* closed meanwhile */
	link[n] = 0;
	bool uffd = strstr(link, "[userfaultfd]") != NULL;
	if (!uffd && !(want_direct && *link == '/'))
		return;
	char *info = NULL;
	size_t bytes;
	snprintf(path, sizeof(path), "fdinfo/%s", name);
	/* io_uring and inotify write long lists; flags stand first, so they are not read here. */
	_cleanup_error_ struct ma_error *err = ma_proc_read(dir, path, 64 << 10, &info, &bytes);
	if (uffd)
		ret->userfaultfd_fork |= ma_userfaultfd_text_has_fork(info ? info : "");
	else if (info)
		ret->direct |= ma_fdinfo_text_is_direct(info);
	free(info);
}

/* Listing the folder would take hold of each file for a moment, as a look at its link does. Since Linux 6.2 the size of
 * the folder is their number; before it is 0, and what the table has room for is more than there are. */
uint64_t ma_descriptors_count(int dir)
{
	struct stat st;
	struct text line;
	uint64_t n = 0;
	if (fstatat(dir, "fd", &st, 0) == 0 && st.st_size > 0)
		return (uint64_t)st.st_size;
	_cleanup_free_ char *text = NULL;
	size_t bytes;
	_cleanup_error_ struct ma_error *err = ma_proc_read(dir, "status", 65536, &text, &bytes);
	return !err && line_after(text, "FDSize:", &line) && text_u64(&line, &n) ? n : 0;
}

void ma_descriptors_read(int dir, bool want_direct, struct ma_descriptors *ret)
{
	*ret = (struct ma_descriptors){ 0 };
	int fd = openat(dir, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	unsigned seen = 0;
	for (struct dirent *e; seen < MA_DESCRIPTORS_MAX && (e = readdir(d)); seen++)
		if (e->d_name[0] != '.')
			look_at(dir, e->d_name, want_direct, ret);
	closedir(d);
}
