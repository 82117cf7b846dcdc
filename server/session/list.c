// SPDX-License-Identifier: Apache-2.0
#include "list.h"

#include "cleanup.h"
#include "proc.h"
#include "python.h"
#include "tracee.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

/* False when it is no Python, is not to be looked at, or ends meanwhile. */
static bool look(pid_t pid, struct ma_process *p)
{
	struct ma_tracee t = { .dir = -1, .live_dir = -1, .pidfd = -1 };
	struct ma_python py = { 0 };
	struct ma_status status;
	struct stat st;
	_cleanup_error_ struct ma_error *err = ma_tracee_open(pid, &t);
	if (!err)
		err = ma_python_find(t.live, t.live_dir, &py);
	if (!err)
		err = ma_status_read(t.live_dir, &status);
	if (!err)
		err = ma_cmdline_read(t.dir, &p->command);
	if (!err)
		err = ma_tracee_verify(&t);
	if (!err) {
		p->pid = pid;
		p->uid = fstat(t.dir, &st) ? 0 : st.st_uid;
		p->rss_bytes = status.rss_anon + status.rss_file + status.rss_shmem;
		p->python = strdup(py.version);
	}
	ma_python_deinit(&py);
	ma_tracee_close(&t);
	return !err;
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
		if (!err && pid != getpid() && look(pid, &p))
			err = found(arg, &p);
		ma_record_free(ma_process_fields, ma_process_count, &p);
		free(names[i]);
	}
	free(names);
	return err;
}
