// link: ma_proc
// SPDX-License-Identifier: Apache-2.0
/* The readers on real processes: ourselves, children in several states, and every process of this machine. */
#include "cleanup.h"
#include "proc.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static int open_pid(const char *pid)
{
	char path[300];
	snprintf(path, sizeof(path), "/proc/%s", pid);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int open_child(pid_t pid)
{
	char text[16];
	snprintf(text, sizeof(text), "%d", pid);
	int dir = open_pid(text);
	cr_assert_geq(dir, 0);
	return dir;
}

/* A child that waits for the end of a pipe: it ends when we do. */
static pid_t child_start(int *end_ret)
{
	int p[2];
	cr_assert_eq(pipe2(p, O_CLOEXEC), 0);
	pid_t pid = fork();
	cr_assert_geq(pid, 0);
	if (!pid) {
		char c;
		close(p[1]);
		_exit(read(p[0], &c, 1) != 0);
	}
	close(p[0]);
	*end_ret = p[1];
	return pid;
}

static void ok(struct ma_error *err)
{
	cr_assert_null(err, "%s", err->message);
}

static int code_of(struct ma_error *err)
{
	int code = err ? (int)err->code : 0;
	ma_error_free(err);
	return code;
}

Test(read, ourselves)
{
	_cleanup_close_ int dir = open_pid("self");
	struct ma_maps maps = { 0 }, smaps = { 0 };
	ok(ma_maps_read(dir, "maps", &maps));
	const struct ma_map *code = ma_maps_find(&maps, (ma_raddr)(uintptr_t)&open_child);
	cr_assert_not_null(code);
	cr_expect_eq(code->prot, 5);
	cr_expect_not_null(strstr(code->path, "proc_read_test"));
	char *page = mmap(NULL, 8 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(page, MAP_FAILED);
	memset(page, 1, 8 << 20);
	cr_assert_eq(madvise(page, 8 << 20, MADV_DONTFORK), 0);
	ok(ma_maps_read(dir, "smaps", &smaps));
	const struct ma_map *m = ma_maps_find(&smaps, (ma_raddr)(uintptr_t)page);
	cr_assert_not_null(m);
	cr_expect_eq(m->rss, 8 << 20);
	cr_expect_eq(m->anonymous, 8 << 20);
	cr_expect(m->dontfork);
	struct ma_status s;
	ok(ma_status_read(dir, &s));
	cr_expect_eq(s.pid, getpid());
	cr_expect_eq(s.tgid, getpid());
	cr_expect_eq(s.uid[1], geteuid());
	cr_expect_geq(s.rss_anon, 8 << 20);
	struct ma_stat st;
	ok(ma_stat_read(dir, &st));
	cr_expect_eq(st.ppid, getppid());
	cr_expect_eq(st.state, 'R');
	cr_expect_gt(st.start_time, 0);
	ma_maps_deinit(&maps);
	ma_maps_deinit(&smaps);
}

Test(read, command_line)
{
	int in[2], exec_done[2];
	char c;
	cr_assert_eq(pipe2(in, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(exec_done, O_CLOEXEC), 0);
	pid_t pid = fork();
	cr_assert_geq(pid, 0);
	if (!pid) {
		dup2(in[0], 0);
		execl("/bin/cat", "cat", "-", "-u", (char *)NULL);
		_exit(127);
	}
	close(exec_done[1]);
	cr_assert_eq(read(exec_done[0], &c, 1), 0); /* the exec closed its end */
	_cleanup_close_ int dir = open_child(pid);
	_cleanup_free_ char *cmd = NULL;
	ok(ma_cmdline_read(dir, &cmd));
	cr_expect_str_eq(cmd, "cat - -u");
	close(in[1]);
	cr_expect_eq(waitpid(pid, NULL, 0), pid);
}

static void *wait_in_thread(void *barrier)
{
	pthread_barrier_wait(barrier);
	pthread_barrier_wait(barrier);
	return NULL;
}

Test(read, tasks)
{
	enum { THREADS = 100 };
	pthread_barrier_t barrier;
	pthread_t thread[THREADS];
	pthread_barrier_init(&barrier, NULL, THREADS + 1);
	for (int i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&thread[i], NULL, wait_in_thread, &barrier), 0);
	pthread_barrier_wait(&barrier);
	_cleanup_close_ int dir = open_pid("self");
	_cleanup_free_ pid_t *tids = NULL;
	size_t count = 0;
	ok(ma_tasks_read(dir, &tids, &count));
	cr_expect_geq(count, THREADS + 1);
	bool self = false;
	for (size_t i = 0; i < count; i++)
		self |= tids[i] == gettid();
	cr_expect(self);
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
}

Test(read, zombie_and_gone)
{
	int end;
	pid_t pid = child_start(&end);
	_cleanup_close_ int dir = open_child(pid);
	close(end);
	siginfo_t info;
	cr_assert_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0); /* a zombie now */
	struct ma_status s;
	ok(ma_status_read(dir, &s));
	cr_expect_eq(s.state, 'Z');
	cr_expect_eq(s.rss_anon, 0);
	struct ma_maps maps = { 0 };
	ok(ma_maps_read(dir, "maps", &maps));
	cr_expect_eq(maps.count, 0);
	ma_maps_deinit(&maps);
	_cleanup_free_ char *cmd = NULL;
	ok(ma_cmdline_read(dir, &cmd));
	cr_expect_eq(cmd[0], '[');
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
	/* The directory is still open and must not follow the number to another process. */
	struct ma_stat st;
	pid_t *tids;
	size_t count;
	char *text;
	cr_expect_eq(code_of(ma_status_read(dir, &s)), MA_ERR_TARGET_GONE);
	cr_expect_eq(code_of(ma_stat_read(dir, &st)), MA_ERR_TARGET_GONE);
	cr_expect_eq(code_of(ma_maps_read(dir, "maps", &maps)), MA_ERR_TARGET_GONE);
	cr_expect_eq(code_of(ma_tasks_read(dir, &tids, &count)), MA_ERR_TARGET_GONE);
	cr_expect_eq(code_of(ma_cmdline_read(dir, &text)), MA_ERR_TARGET_GONE);
}

Test(read, limits)
{
	_cleanup_close_ int dir = open_pid("self");
	char *text;
	size_t bytes;
	cr_expect_eq(code_of(ma_proc_read(dir, "status", 100, &text, &bytes)), MA_ERR_LIMIT);
	cr_expect_eq(code_of(ma_proc_read(dir, "no-such-file", 100, &text, &bytes)), MA_ERR_OS);
	char dirname[] = "/tmp/proc_read_XXXXXX", path[64];
	cr_assert_not_null(mkdtemp(dirname));
	snprintf(path, sizeof(path), "%s/f", dirname);
	_cleanup_close_ int tmp = open(dirname, O_RDONLY | O_DIRECTORY);
	for (size_t size = 0; size < 20000; size = size * 3 + 1) {
		_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		for (size_t i = 0; i < size; i++)
			cr_assert_eq(write(fd, "x", 1), 1);
		ok(ma_proc_read(tmp, "f", size, &text, &bytes)); /* exactly the limit */
		cr_expect_eq(bytes, size);
		cr_expect_eq(strlen(text), size);
		free(text);
		if (size)
			cr_expect_eq(code_of(ma_proc_read(tmp, "f", size - 1, &text, &bytes)), MA_ERR_LIMIT);
	}
	unlink(path);
	rmdir(dirname);
}

Test(read, name_of_a_child_that_lies)
{
	int p[2], end[2];
	char c;
	cr_assert_eq(pipe2(p, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(end, O_CLOEXEC), 0);
	pid_t pid = fork();
	cr_assert_geq(pid, 0);
	if (!pid) {
		close(end[1]);
		prctl(PR_SET_NAME, ") Z 1\n\\State: X");
		if (write(p[1], "x", 1) != 1)
			_exit(1);
		_exit(read(end[0], &c, 1) != 0);
	}
	cr_assert_eq(read(p[0], &c, 1), 1);
	_cleanup_close_ int dir = open_child(pid);
	struct ma_status s;
	struct ma_stat st;
	ok(ma_status_read(dir, &s));
	ok(ma_stat_read(dir, &st));
	cr_expect_str_eq(s.name, ") Z 1\n\\State: X");
	cr_expect(s.state == 'S' || s.state == 'R');
	cr_expect(st.state == 'S' || st.state == 'R');
	cr_expect_eq(st.ppid, getpid());
	cr_expect_eq(st.exit_signal, SIGCHLD);
	close(end[1]);
	cr_expect_eq(waitpid(pid, NULL, 0), pid);
}

/* Whatever runs here can be read, or has gone. */
Test(read, every_process)
{
	DIR *d = opendir("/proc");
	cr_assert_not_null(d);
	unsigned seen = 0;
	for (struct dirent *e; (e = readdir(d));) {
		if (e->d_name[0] < '1' || e->d_name[0] > '9')
			continue;
		_cleanup_close_ int dir = open_pid(e->d_name);
		if (dir < 0)
			continue;
		struct ma_status s;
		struct ma_stat st;
		struct ma_maps maps = { 0 };
		_cleanup_free_ char *cmd = NULL;
		struct ma_error *errs[] = { ma_status_read(dir, &s), ma_stat_read(dir, &st),
					    ma_maps_read(dir, "maps", &maps), ma_cmdline_read(dir, &cmd) };
		for (size_t i = 0; i < MA_ARRAY_SIZE(errs); i++) {
			bool expected = !errs[i] || errs[i]->code == MA_ERR_TARGET_GONE || errs[i]->errnum == EACCES;
			cr_expect(expected, "pid %s, reader %zu: %s", e->d_name, i, errs[i] ? errs[i]->message : "");
			ma_error_free(errs[i]);
		}
		ma_maps_deinit(&maps);
		seen++;
	}
	closedir(d);
	cr_expect_gt(seen, 1);
}
