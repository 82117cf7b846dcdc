// SPDX-License-Identifier: Apache-2.0
/* family.c - which processes a tree or a control group has. Reads /proc; nothing is stopped. */
#include <memattach/session.h>

#include "cleanup.h"
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#define CGROUPS_MAX (64u << 10)
#define MOUNTINFO_MAX (16u << 20)

struct pids {
	pid_t *v;
	size_t count;
};

static void pids_deinit(struct pids *p)
{
	free(p->v);
}

static struct ma_error *add(struct pids *p, pid_t pid)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->v[i] == pid)
			return NULL;
	pid_t *v = reallocarray(p->v, p->count + 1, sizeof(*v));
	if (!v)
		return &ma_enomem;
	p->v = v;
	v[p->count++] = pid;
	return NULL;
}

struct ma_error *ma_session_is_python(pid_t pid, bool *ret)
{
	struct ma_doctor d = { 0 };
	_cleanup_error_ struct ma_error *err = ma_session_doctor(pid, &d);
	*ret = !err && (d.supported || !d.may_attach);
	ma_doctor_deinit(&d);
	return err && err->code == MA_ERR_NO_MEMORY ? ma_take_ptr(err) : NULL;
}

static struct ma_error *tree(const struct ma_process_rows *all, pid_t top, struct pids *ret)
{
	bool there = false;
	for (size_t i = 0; i < all->count; i++)
		there = there || all->v[i].pid == top;
	if (!there)
		return ma_errorf(MA_ERR_TARGET_GONE, "pid %d: no such process", (int)top);
	MA_TRY(add(ret, top));
	/* those that are no Python, too: others may be below them */
	for (size_t i = 0; i < ret->count; i++)
		for (size_t k = 0; k < all->count; k++)
			if (all->v[k].ppid == ret->v[i])
				MA_TRY(add(ret, all->v[k].pid));
	return NULL;
}

static bool is_in(const char *mountinfo, pid_t pid, const char *group)
{
	char path[32];
	size_t bytes;
	_cleanup_free_ char *cgroups = NULL;
	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	_cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return false;
	_cleanup_error_ struct ma_error *err = ma_proc_read(dir, "cgroup", CGROUPS_MAX, &cgroups, &bytes);
	return !err && ma_cgroup_is_in(mountinfo, cgroups, group);
}

static struct ma_error *group(const struct ma_process_rows *all, const char *path, struct pids *ret)
{
	size_t bytes;
	_cleanup_free_ char *mountinfo = NULL, *real = NULL;
	if (path[0] != '/')
		return ma_errorf(MA_ERR_USAGE, "'%s' is no path of a control group: it begins with a /", path);
	_cleanup_close_ int self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (self < 0)
		return ma_error_os(errno, "cannot read /proc");
	MA_TRY(ma_proc_read(self, "mountinfo", MOUNTINFO_MAX, &mountinfo, &bytes));
	/* a hierarchy may have symbolic links to it: /sys/fs/cgroup/cpu */
	real = realpath(path, NULL);
	for (size_t i = 0; i < all->count; i++)
		if (is_in(mountinfo, all->v[i].pid, path) || (real && is_in(mountinfo, all->v[i].pid, real)))
			MA_TRY(add(ret, all->v[i].pid));
	return ret->count ? NULL : ma_errorf(MA_ERR_TARGET_GONE, "there is no process in the control group '%s'", path);
}

static struct ma_error *find(const struct ma_family *f, const struct ma_process_rows *all, struct pids *ret)
{
	_cleanup_(pids_deinit) struct pids seen = { 0 };
	MA_TRY(f->cgroup ? group(all, f->cgroup, &seen) : tree(all, f->tree, &seen));
	for (size_t i = 0; i < seen.count; i++) {
		bool python = false;
		if (seen.v[i] != getpid())
			MA_TRY(ma_session_is_python(seen.v[i], &python));
		if (python)
			MA_TRY(add(ret, seen.v[i]));
	}
	if (ret->count)
		return NULL;
	if (f->cgroup)
		return ma_errorf(MA_ERR_UNSUPPORTED, "no process in the control group '%s' is a supported Python",
				 f->cgroup);
	return ma_errorf(MA_ERR_UNSUPPORTED, "pid %d: neither it nor a process below it is a supported Python",
			 (int)f->tree);
}

struct ma_error *ma_session_family(const struct ma_family *f, pid_t **ret, size_t *count_ret)
{
	struct ma_process_rows all = { 0 };
	_cleanup_(pids_deinit) struct pids found = { 0 };
	MA_TRY(ma_session_processes(&all));
	struct ma_error *err = find(f, &all, &found);
	ma_session_processes_free(&all);
	if (err)
		return err;
	*ret = ma_take_ptr(found.v);
	*count_ret = found.count;
	return NULL;
}
