// SPDX-License-Identifier: Apache-2.0
#include "core_out.h"

#include "cleanup.h"
#include "core_write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define AUXV_MAX 65536u

/* A thread that ran on in the twin is where it came to. */
static const struct ma_regs *regs_of(const struct ma_thread *th, const struct ma_runners *r)
{
	for (unsigned i = 0; i < r->count; i++)
		if (r->v[i].found && th->tls && r->v[i].gil.holder_thread == th->tls)
			return &r->v[i].regs;
	return &th->saved;
}

static struct ma_error *list_threads(const struct ma_thread *threads, size_t count, const struct ma_runners *r,
				     struct ma_core_regs **ret, size_t *count_ret)
{
	struct ma_core_regs *v = calloc(count + 1, sizeof(*v));
	size_t n = 0;
	if (!v)
		return &ma_enomem;
	for (size_t i = 0; i < count; i++)
		if (threads[i].have_regs && !threads[i].gone)
			v[n++] = (struct ma_core_regs){ threads[i].tid, &regs_of(&threads[i], r)->r };
	*ret = v;
	*count_ret = n;
	return NULL;
}

static struct ma_error *describe(int dir, struct ma_core_source *s, char **command, char **auxv, char name[64])
{
	struct ma_status status;
	struct ma_stat stat;
	MA_TRY(ma_status_read(dir, &status));
	MA_TRY(ma_stat_read(dir, &stat));
	MA_TRY(ma_cmdline_read(dir, command));
	/* of a leader that has ended there is none: it is not needed to read the memory */
	ma_error_free(ma_proc_read(dir, "auxv", AUXV_MAX, auxv, &s->auxv_bytes));
	memcpy(name, status.name, 64);
	s->pid = status.tgid;
	s->ppid = stat.ppid;
	s->uid = status.uid[0];
	return NULL;
}

struct ma_error *ma_core_out(const struct ma_twin *w, int dir, const struct ma_thread *threads, size_t count,
			     const struct ma_runners *runners, const struct ma_runs *present, ma_watch watch, void *arg,
			     int fd)
{
	char path[32], name[64] = "";
	_cleanup_free_ struct ma_core_regs *v = NULL;
	_cleanup_free_ char *command = NULL, *auxv = NULL;
	struct ma_maps maps = { 0 };
	struct ma_core_source s = { .memory = w->pid, .maps = &maps, .present = present, .watch = watch, .arg = arg };
	snprintf(path, sizeof(path), "/proc/%d", w->pid);
	_cleanup_close_ int twin = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (twin < 0)
		return ma_error_os(errno, "cannot open %s", path);
	MA_TRY(list_threads(threads, count, runners, &v, &s.threads_count));
	MA_TRY(describe(dir, &s, &command, &auxv, name));
	s.threads = v;
	s.command = command;
	s.auxv = auxv;
	s.name = name;
	MA_TRY(ma_maps_read(twin, "smaps", &maps));
	struct ma_error *err = ma_core_write(fd, &s);
	ma_maps_deinit(&maps);
	return err;
}
