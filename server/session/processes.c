// SPDX-License-Identifier: Apache-2.0
/* processes.c - who is a child of whom, and what each was started as: a look at /proc, nothing more. */
#include <memattach/session.h>

#include "cleanup.h"
#include "proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

static void closedir_p(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* False for one that is no program, is a zombie, or ended meanwhile. */
static bool look(int proc, const char *number, struct ma_process_row *row)
{
	struct ma_stat st;
	_cleanup_close_ int dir = openat(proc, number, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return false;
	_cleanup_error_ struct ma_error *err = ma_stat_read(dir, &st);
	if (!err && st.state != 'Z')
		err = ma_cmdline_read(dir, &row->command);
	if (err || !row->command)
		return false;
	row->pid = (pid_t)strtol(number, NULL, 10);
	row->ppid = st.ppid;
	return true;
}

struct ma_error *ma_session_processes(struct ma_process_rows *ret)
{
	struct ma_process_rows rows = { 0 };
	_cleanup_(closedir_p) DIR *d = opendir("/proc");
	if (!d)
		return ma_error_os(errno, "cannot read /proc");
	for (struct dirent *e; (e = readdir(d));) {
		struct ma_process_row row = { 0 };
		if (e->d_name[0] < '1' || e->d_name[0] > '9' || !look(dirfd(d), e->d_name, &row))
			continue;
		/* grown at each power of two */
		if (!(rows.count & (rows.count - 1))) {
			struct ma_process_row *v = reallocarray(rows.v, rows.count ? rows.count * 2 : 1, sizeof(*v));
			if (!v) {
				free(row.command);
				ma_session_processes_free(&rows);
				return &ma_enomem;
			}
			rows.v = v;
		}
		rows.v[rows.count++] = row;
	}
	*ret = rows;
	return NULL;
}

void ma_session_processes_free(struct ma_process_rows *rows)
{
	for (size_t i = 0; i < rows->count; i++)
		free(rows->v[i].command);
	free(rows->v);
	*rows = (struct ma_process_rows){ 0 };
}
