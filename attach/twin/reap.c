// SPDX-License-Identifier: Apache-2.0
/* Exit signal 0 hides a twin from the target's wait(), but its zombie would stay until the target exits. A second short
 * stop lets one thread of the target make wait4(N, __WALL | WNOHANG). */
#include "twin.h"

#include "cleanup.h"
#include "fault_point.h"
#include "wait.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define REAP_STOP_NS 4000000000u /* a thread of low priority on a loaded machine; the target runs meanwhile */
#define MAX_LEFT 16
#define DEATH_NS 3000000000u /* the page tables of a large twin take seconds */

/* Zombie, exit signal 0, and our name, or the number that the tracer told: never by number alone. *inside: its pid as
 * the target sees it. */
static bool is_dead_twin(pid_t pid, pid_t told, unsigned level, pid_t *inside)
{
	char path[32];
	snprintf(path, sizeof(path), "/proc/%d", pid);
	_cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct ma_stat st;
	struct ma_status status;
	struct ma_error *err = dir >= 0 ? ma_stat_read(dir, &st) : ma_errorf(MA_ERR_TARGET_GONE, "gone");
	if (!err)
		err = ma_status_read(dir, &status);
	if (err) {
		ma_error_free(err);
		return false;
	}
	if (st.state != 'Z' || st.exit_signal != 0 || (pid != told && strcmp(status.name, MA_TWIN_NAME) != 0))
		return false;
	if (!status.nspid_count || level >= status.nspid_count) {
		*inside = pid; /* kernels without NSpid have one namespace here */
		return level == 0;
	}
	*inside = status.nspid[level];
	return true;
}

static struct ma_error *find_dead(struct ma_tracee *t, pid_t found[MAX_LEFT], size_t *count)
{
	struct ma_status status;
	_cleanup_free_ pid_t *tids = NULL;
	size_t n = 0;
	*count = 0;
	MA_TRY(ma_status_read(t->dir, &status));
	unsigned level = status.nspid_count ? status.nspid_count - 1 : 0;
	MA_TRY(ma_tasks_read(t->dir, &tids, &n));
	for (size_t i = 0; i < n; i++) {
		char path[48];
		_cleanup_free_ char *text = NULL;
		snprintf(path, sizeof(path), "task/%d/children", tids[i]);
		struct ma_error *err = ma_proc_read(t->dir, path, 1u << 20, &text, NULL);
		if (err) { /* the thread is gone, or a kernel without CONFIG_PROC_CHILDREN */
			ma_error_free(err);
			continue;
		}
		char *p = text, *end;
		for (long pid; (pid = strtol(p, &end, 10)) > 0 && end != p && *count < MAX_LEFT; p = end)
			if (is_dead_twin((pid_t)pid, t->undo.twin, level, &found[*count]))
				(*count)++;
	}
	return NULL;
}

void ma_twin_wait_dead(const struct ma_tracee *t)
{
	char path[32];
	struct ma_stat st = { 0 };
	snprintf(path, sizeof(path), "/proc/%d", t->undo.twin);
	_cleanup_close_ int dir = t->undo.twin ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	for (uint64_t end = ma_now_ns() + DEATH_NS; dir >= 0 && ma_now_ns() < end;) {
		struct ma_error *err = ma_stat_read(dir, &st);
		bool over = err || st.state == 'Z' || st.ppid != t->pid;
		ma_error_free(err);
		if (over)
			return;
		ma_wait_change(5000000);
	}
}

struct ma_error *ma_twin_reap(struct ma_tracee *t, ma_raddr gadget, uint64_t *pause_ns)
{
	pid_t dead[MAX_LEFT];
	size_t count;
	struct ma_thread *th;
	MA_TRY(find_dead(t, dead, &count));
	if (!count)
		return NULL;
	ma_fault_point(ZOMBIE_FOUND);
	MA_TRY(ma_tracee_stop_one(t, REAP_STOP_NS, &th));
	ma_fault_point(REAPER_STOPPED);
	struct ma_error *err = ma_thread_abort_rseq(t->live, th);
	if (!err)
		err = ma_thread_block_signals(th);
	ma_fault_point(REAPER_SIGNALS_BLOCKED);
	for (size_t i = 0; i < count && !err; i++) {
		struct ma_syscall sc = { SYS_wait4, { (uint64_t)dead[i], 0, WNOHANG | __WALL, 0, 0, 0 } };
		long result;
		err = ma_remote_call(th, gadget, &sc, &result, NULL);
		if (!err && result != dead[i] && result != -ECHILD)
			err = ma_errorf(MA_ERR_OS, "the twin's zombie (pid %d) could not be reaped: %ld", dead[i],
					result);
	}
	uint64_t began = t->interrupted_ns;
	struct ma_error *undo = ma_tracee_release(t);
	*pause_ns += ma_now_ns() - began;
	if (!err)
		ma_tracee_tell(t, (struct ma_undo){ 0 });
	ma_fault_point(REAPER_RELEASED);
	if (err)
		ma_error_free(undo);
	return err ? err : undo;
}
