// SPDX-License-Identifier: Apache-2.0
/* python_target.h - Pythons of this machine as targets: started with a program that writes "ready" to a pipe and
 * then waits for its standard input to end. Ended by their own pid. */
#ifndef MA_TEST_PYTHON_TARGET_H
#define MA_TEST_PYTHON_TARGET_H

#include <criterion/criterion.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct target {
	pid_t pid;
	int stdin_fd;
	int dir;        /* /proc/PID/task/PID */
	char line[256]; /* the first line that it wrote, without its end */
};

#define TARGET_WAIT "import sys; print('ready', flush=True); sys.stdin.read()"

/* Runs argv with the far end of two pipes; returns when it wrote its first line. */
static inline struct target target_start(char *const argv[])
{
	struct target t = { .pid = -1 };
	int in[2], out[2];
	cr_assert_eq(pipe2(in, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
	t.pid = fork();
	cr_assert_geq(t.pid, 0);
	if (t.pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		execv(argv[0], argv);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	t.stdin_fd = in[1];
	char path[64];
	FILE *f = fdopen(out[0], "r");
	cr_assert(f && fgets(t.line, sizeof(t.line), f), "%s did not start", argv[0]);
	t.line[strcspn(t.line, "\n")] = 0;
	fclose(f);
	snprintf(path, sizeof(path), "/proc/%d/task/%d", t.pid, t.pid);
	t.dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(t.dir, 0);
	return t;
}

/* A Python of a Debian tree (tools/pythons), by its path from outside: runs there. */
static inline bool target_in_tree(const char *python)
{
	return strncmp(python, "/usr/", 5) && strstr(python, "/usr/bin/");
}

static inline struct target target_python(const char *python, const char *program)
{
	if (target_in_tree(python)) {
		const char *inside = strstr(python, "/usr/bin/");
		char tree[512];
		snprintf(tree, sizeof(tree), "%.*s", (int)(inside - python), python);
		char *argv[] = {
			(char *)"/usr/sbin/chroot", tree, (char *)inside, (char *)"-c", (char *)program, NULL
		};
		return target_start(argv);
	}
	char *argv[] = { (char *)python, (char *)"-c", (char *)program, NULL };
	return target_start(argv);
}

static inline void target_end(struct target *t)
{
	close(t->dir);
	close(t->stdin_fd);
	kill(t->pid, SIGKILL);
	waitpid(t->pid, NULL, 0);
}

/* The Pythons of this machine that are supported, or with `old` those that are not. The list is not freed. */
static inline size_t target_pythons(bool old, char ***ret)
{
	static const char *const supported[] = { "3.8.*", "3.9.*", "3.10.*", "3.11.*", "3.12.*", "3.13.*" };
	static const char *const too_old[] = { "2.7.*", "3.6.*", "3.7.*" };
	const char *const *names = old ? too_old : supported;
	size_t count = old ? sizeof(too_old) / sizeof(*too_old) : sizeof(supported) / sizeof(*supported);
	static glob_t g;
	const char *root = getenv("PYENV_ROOT"), *home = getenv("HOME");
	g.gl_pathc = 0;
	for (size_t i = 0; i < count; i++) {
		char pattern[512];
		if (root)
			snprintf(pattern, sizeof(pattern), "%s/versions/%s/bin/python", root, names[i]);
		else
			snprintf(pattern, sizeof(pattern), "%s/.pyenv/versions/%s/bin/python", home ? home : "/root",
				 names[i]);
		glob(pattern, i ? GLOB_APPEND : 0, NULL, &g);
	}
	if (!old)
		glob("/usr/bin/python3.[0-9]*[0-9]", GLOB_APPEND, NULL, &g);
	if (!old && geteuid() == 0) {
		glob("/tmp/py/*/usr/bin/python3.[0-9]*[0-9d]", GLOB_APPEND, NULL, &g);
		char pattern[512];
		snprintf(pattern, sizeof(pattern), "%s/.cache/memattach/trees/*/usr/bin/python3.[0-9]*[0-9d]",
			 home ? home : "/root");
		glob(pattern, GLOB_APPEND, NULL, &g);
	}
	*ret = g.gl_pathv;
	return g.gl_pathc;
}

#define assert_ok(expr)                                                           \
	do {                                                                      \
		struct ma_error *err_ = (expr);                                   \
		cr_assert_null(err_, "%s: %s", #expr, err_ ? err_->message : ""); \
	} while (0)

#define assert_error(expr, code_, text)                                                                      \
	do {                                                                                                 \
		struct ma_error *err_ = (expr);                                                              \
		cr_assert_not_null(err_, "%s succeeded", #expr);                                             \
		cr_expect_eq(err_->code, code_, "%s", err_->message);                                        \
		cr_expect_not_null(strstr(err_->message, text), "\"%s\" lacks \"%s\"", err_->message, text); \
		ma_error_free(err_);                                                                         \
	} while (0)

#endif
