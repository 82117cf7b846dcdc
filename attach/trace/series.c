// SPDX-License-Identifier: Apache-2.0
#include "series.h"

#include "cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define SLACK_NS 100000000u    /* clocks of the scheduler and ours differ by ticks */
#define FORGET_NS 60000000000u /* a series has no longer gaps */

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

bool ma_private_folder(char *ret, size_t size)
{
	const char *run = getenv("XDG_RUNTIME_DIR");
	struct stat st;
	int n = run && run[0] == '/' ? snprintf(ret, size, "%s/memattach", run)
				     : snprintf(ret, size, "/tmp/memattach-%u", geteuid());
	if (n < 0 || (size_t)n >= size)
		return false;
	if (mkdir(ret, 0700) && errno != EEXIST)
		return false;
	return !lstat(ret, &st) && S_ISDIR(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & 077);
}

void ma_series_load(pid_t pid, uint64_t start_time, struct ma_series *ret)
{
	char dir[80];
	memset(ret, 0, sizeof(*ret));
	if (!ma_private_folder(dir, sizeof(dir)))
		return;
	snprintf(ret->path, sizeof(ret->path), "%s/%d-%" PRIu64, dir, pid, start_time);
	_cleanup_close_ int fd = open(ret->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return;
	_cleanup_fclose_ FILE *f = fdopen(fd, "r");
	if (!f)
		return;
	fd = -1;
	struct ma_series_call c = { 0 };
	uint64_t now = now_ns();
	while (ret->count < MA_SERIES_MAX && fscanf(f, "%d %ld %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNu64, &c.tid,
						    &c.nr, &c.pc, &c.sp, &c.arg0, &c.at_ns) == 6) {
		if (now - c.at_ns < FORGET_NS)
			ret->calls[ret->count++] = c;
		else
			ret->changed = true;
	}
}

/* Files that are older hold nothing that counts: those of processes that have ended, and of tracers that were killed.
 */
static void sweep(void)
{
	char dir[80];
	struct timespec now;
	DIR *d = ma_private_folder(dir, sizeof(dir)) ? opendir(dir) : NULL;
	clock_gettime(CLOCK_REALTIME, &now);
	for (const struct dirent *e; d && (e = readdir(d));) {
		struct stat st;
		if (strspn(e->d_name, "0123456789-") != strlen(e->d_name))
			continue;
		if (!fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) &&
		    now.tv_sec - st.st_mtim.tv_sec > (time_t)(FORGET_NS / 1000000000u))
			unlinkat(dirfd(d), e->d_name, 0);
	}
	if (d)
		closedir(d);
}

void ma_series_store(struct ma_series *s)
{
	if (!s->path[0] || !s->changed)
		return;
	s->changed = false;
	if (!s->count) {
		unlink(s->path);
		return;
	}
	sweep();
	int fd = open(s->path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (!f) {
		if (fd >= 0)
			close(fd);
		return;
	}
	for (unsigned i = 0; i < s->count; i++) {
		const struct ma_series_call *c = &s->calls[i];
		fprintf(f, "%d %ld %" PRIx64 " %" PRIx64 " %" PRIx64 " %" PRIu64 "\n", c->tid, c->nr, c->pc, c->sp,
			c->arg0, c->at_ns);
	}
	fclose(f);
}

bool ma_series_allow(struct ma_series *s, const struct ma_series_call *call, uint64_t blocked_ns)
{
	uint64_t now = now_ns();
	struct ma_series_call *c = NULL;
	for (unsigned i = 0; i < s->count; i++)
		if (s->calls[i].tid == call->tid)
			c = &s->calls[i];
	bool same = c && c->nr == call->nr && c->pc == call->pc && c->sp == call->sp && c->arg0 == call->arg0;
	/* It ran between: the same call, but a new one. */
	if (same && !c->ours && blocked_ns && blocked_ns + SLACK_NS < now - c->at_ns)
		same = false;
	if (same && !c->ours) {
		*c = s->calls[--s->count]; /* the program sees EINTR; its next call is a new one */
		s->changed = true;
		return false;
	}
	if (!c && s->count < MA_SERIES_MAX)
		c = &s->calls[s->count++];
	if (c) {
		*c = *call;
		c->at_ns = now;
		c->ours = true;
		s->changed = true;
	}
	return true;
}
