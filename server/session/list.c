// SPDX-License-Identifier: Apache-2.0
#include "list.h"

#include "cleanup.h"
#include "proc.h"
#include "python.h"
#include "tracee.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

static uint64_t rss(const struct ma_status *s)
{
	return s->rss_anon + s->rss_file + s->rss_shmem;
}

/* The version, or nothing when it is no Python or may not be looked at. */
static void look_inside(pid_t pid, struct ma_process *p)
{
	struct ma_tracee t = { .dir = -1, .live_dir = -1, .pidfd = -1 };
	struct ma_python py = { 0 };
	struct ma_status status;
	_cleanup_error_ struct ma_error *err = ma_tracee_open(pid, &t);
	if (!err)
		err = ma_python_find(t.live, t.live_dir, &py);
	if (!err)
		err = ma_status_read(t.live_dir, &status);
	if (!err)
		err = ma_tracee_verify(&t);
	if (!err) {
		p->python = strdup(py.version);
		p->rss_bytes = rss(&status);
	}
	ma_python_deinit(&py);
	ma_tracee_close(&t);
}

/* False when it has ended. */
static bool look(pid_t pid, struct ma_process *p)
{
	char path[32];
	struct ma_status status;
	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	_cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return false;
	_cleanup_error_ struct ma_error *err = ma_status_read(dir, &status);
	if (!err)
		err = ma_cmdline_read(dir, &p->command);
	if (err)
		return false;
	p->pid = pid;
	p->uid = status.uid[0];
	p->rss_bytes = rss(&status);
	look_inside(pid, p);
	return true;
}

static int process_only(const struct dirent *e)
{
	return e->d_name[0] >= '1' && e->d_name[0] <= '9';
}

struct ma_error *ma_list_processes(struct ma_error *(*found)(void *arg, const struct ma_process *p), void *arg)
{
	struct dirent **names;
	struct ma_error *err = NULL;
	int n = scandir("/proc", &names, process_only, versionsort);
	if (n < 0)
		return ma_errorf(MA_ERR_OS, "cannot read /proc");
	for (int i = 0; i < n; i++) {
		struct ma_process p = { 0 };
		pid_t pid = (pid_t)strtol(names[i]->d_name, NULL, 10);
		if (!err && pid != getpid() && look(pid, &p) && p.python)
			err = found(arg, &p);
		ma_record_free(ma_process_fields, ma_process_count, &p);
		free(names[i]);
	}
	free(names);
	return err;
}

struct ma_error *ma_list_family(const struct ma_family *f,
				struct ma_error *(*found)(void *arg, const struct ma_process *p), void *arg)
{
	_cleanup_free_ pid_t *pids = NULL;
	size_t count = 0;
	struct ma_error *err = ma_session_family(f, &pids, &count);
	if (err && (err->code == MA_ERR_TARGET_GONE || err->code == MA_ERR_UNSUPPORTED)) {
		ma_error_free(err);
		return NULL;
	}
	for (size_t i = 0; !err && i < count; i++) {
		struct ma_process p = { 0 };
		if (look(pids[i], &p))
			err = found(arg, &p);
		ma_record_free(ma_process_fields, ma_process_count, &p);
	}
	return err;
}
