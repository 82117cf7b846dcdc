// link: ma_test_support ma_format ma_base
// SPDX-License-Identifier: Apache-2.0
/* The command itself: exit codes, one line on stderr, safe output. Needs BUILD/bin/memattach. */
#include "leaky_snapshot.h"
#include "snapshot_builder.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MEMATTACH TEST_BIN_DIR "/memattach"

static char folder[64], snapshot[128], text[128], broken[128], out_path[128], err_path[128];

struct outcome {
	int code; /* exit code, or 1000 + signal */
	char out[1 << 16], err[1 << 12];
};

static void read_all(const char *path, char *buf, size_t cap)
{
	FILE *f = fopen(path, "re");
	cr_assert_not_null(f);
	size_t n = fread(buf, 1, cap - 1, f);
	buf[n] = '\0';
	fclose(f);
}

static void write_all(const char *path, const char *data, size_t bytes)
{
	FILE *f = fopen(path, "we");
	cr_assert_not_null(f);
	cr_assert_eq(fwrite(data, 1, bytes, f), bytes);
	fclose(f);
}

static void setup(void)
{
	struct leaky_facts facts;
	static char bytes[1 << 20];
	snprintf(folder, sizeof(folder), "/tmp/cli_test-XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	snprintf(snapshot, sizeof(snapshot), "%s/leaky.mem", folder);
	snprintf(text, sizeof(text), "%s/text", folder);
	snprintf(broken, sizeof(broken), "%s/broken.mem", folder);
	snprintf(out_path, sizeof(out_path), "%s/out", folder);
	snprintf(err_path, sizeof(err_path), "%s/err", folder);
	leaky_snapshot(snapshot, &(struct leaky_options){ .sessions = 2000, .hostile = true }, &facts);
	write_all(text, "hello, I am no snapshot\n", 24);
	FILE *f = fopen(snapshot, "re");
	size_t n = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	write_all(broken, bytes, n * 2 / 3);
}

static void teardown(void)
{
	const char *const all[] = { snapshot, text, broken, out_path, err_path };
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		unlink(all[i]);
	char command[128]; /* the key of the hashes, and the catalogue */
	snprintf(command, sizeof(command), "rm -rf %s/.local", folder);
	cr_expect_eq(system(command), 0);
	cr_expect_eq(rmdir(folder), 0, "nothing else is left");
}

TestSuite(cli, .init = setup, .fini = teardown);

/* Runs memattach with its standard output in `out`. */
static const struct outcome *run_to(const char *out, const char *const *args)
{
	static struct outcome o;
	pid_t pid = fork();
	cr_assert_geq(pid, 0);
	if (!pid) {
		const char *argv[16] = { "memattach" };
		for (int i = 0; args[i] && i < 14; i++)
			argv[i + 1] = args[i];
		int fd = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600),
		    err = open(err_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		dup2(fd, 1);
		dup2(err, 2);
		setenv("HOME", folder, 1);
		execv(MEMATTACH, (char **)argv);
		_exit(127);
	}
	int status;
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	o.code = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
	o.out[0] = '\0';
	struct stat st;
	if (!stat(out, &st) && S_ISREG(st.st_mode))
		read_all(out, o.out, sizeof(o.out));
	read_all(err_path, o.err, sizeof(o.err));
	return &o;
}

#define RUN(...) run_to(out_path, (const char *const[]){ __VA_ARGS__, NULL })

/* One line on stderr, "memattach: " before it, nothing on stdout. */
static void expect_failure(const struct outcome *o, int code, const char *says)
{
	cr_expect_eq(o->code, code, "exit code %d, not %d: %s", o->code, code, o->err);
	cr_expect_eq(strncmp(o->err, "memattach: ", 11), 0, "%s", o->err);
	char *end = strchr(o->err, '\n');
	cr_expect(end && !end[1], "one line: %s", o->err);
	cr_expect_not_null(strstr(o->err, says), "says \"%s\": %s", says, o->err);
	cr_expect_str_empty(o->out);
}

Test(cli, usage)
{
	expect_failure(run_to(out_path, (const char *const[]){ NULL }), 2, "usage");
	expect_failure(RUN("frobnicate"), 2, "neither");
	expect_failure(RUN("diff", "a"), 2, "usage");
	expect_failure(RUN("diff", "a", "b", "--fail-over", "much"), 2, "--fail-over");
	expect_failure(RUN("diff", "a", "b", "--fail-over", "-1MB"), 2, "--fail-over");
	expect_failure(RUN("--frobnicate", "1"), 2, "--frobnicate");
	expect_failure(RUN("report"), 2, "usage");
	expect_failure(RUN("report", "a", "b"), 2, "usage");
	expect_failure(RUN("report", snapshot, "-o", "x"), 2, "--output");
	expect_failure(RUN("report", snapshot, "--csv"), 2, "--csv");
	expect_failure(RUN("query", snapshot), 2, "usage");
	expect_failure(RUN("query", snapshot, "SELECT 1", "--json", "--csv"), 2, "exclude");
	expect_failure(RUN("query", snapshot, "SELECT 1", "-o"), 2, "value");
	expect_failure(RUN("query", snapshot, "SELECT nothing"), 2, "nothing");
	expect_failure(RUN("--max-pause", "abc", "1"), 2, "--max-pause");
	expect_failure(RUN("--max-pause", "-1", "1"), 2, "--max-pause");
	expect_failure(RUN("--values", "some", "1"), 2, "--values");
	expect_failure(RUN("--values", "prefix:0", "1"), 2, "--values");
	expect_failure(RUN("--values", "prefix:65537", "1"), 2, "--values");
	expect_failure(RUN("report", snapshot, "--values", "all"), 2, "--values");
	expect_failure(RUN("stacks", "1", "--values", "all"), 2, "--values");
	expect_failure(RUN("evil\x1b[31m\nname"), 2, "evil\\x1b[31m\\nname");
}

Test(cli, files_that_are_none)
{
	static const char *const commands[] = { "report", "check" };
	for (size_t i = 0; i < 2; i++) {
		expect_failure(RUN(commands[i], "/nonexistent/x.mem"), 1, "/nonexistent/x.mem");
		expect_failure(RUN(commands[i], text), 6, "text");
		expect_failure(RUN(commands[i], folder), 6, folder);
		expect_failure(RUN(commands[i], "/dev/null"), 6, "/dev/null");
	}
	expect_failure(RUN("query", "/nonexistent/x.mem", "SELECT 1"), 1, "/nonexistent/x.mem");
	expect_failure(RUN("query", text, "SELECT 1"), 6, "text");
	expect_failure(RUN("check", broken), 6, "broken.mem");
}

/* A damaged file opens as far as it is whole, and the report says so. */
Test(cli, broken_file)
{
	const struct outcome *o = RUN("report", broken);
	if (o->code == 0)
		cr_expect_not_null(strstr(o->out, "INCOMPLETE"));
	else
		expect_failure(o, 6, "broken.mem");
}

Test(cli, report_and_check)
{
	const struct outcome *o = RUN("report", snapshot);
	cr_expect_eq(o->code, 0, "%s", o->err);
	cr_expect_str_empty(o->err);
	cr_expect_not_null(strstr(o->out, "leaky.CACHE"));
	cr_expect_null(strchr(o->out, '\x1b'));
	o = RUN("report", snapshot, "--json");
	cr_expect_eq(o->code, 0);
	cr_expect_eq(o->out[0], '{');
	o = RUN("report", "--type", "leaky.*", snapshot, "--bytes");
	cr_expect_eq(o->code, 0);
	cr_expect_not_null(strstr(o->out, "96,000"), "2000 sessions of 48 bytes");
	o = RUN("check", snapshot);
	cr_expect_eq(o->code, 0);
	cr_expect_not_null(strstr(o->out, "whole"));
	o = RUN("query", snapshot, "SELECT count FROM types WHERE type = 'leaky.Session'", "--csv");
	cr_expect_eq(o->code, 0);
	cr_expect_str_eq(o->out, "count\r\n2000\r\n");
}

Test(cli, help_and_version)
{
	static const char *const commands[] = { "snap", "report", "query", "check", "stacks", "doctor" };
	const struct outcome *o = RUN("--help");
	cr_expect_eq(o->code, 0);
	cr_expect_str_empty(o->err);
	for (size_t i = 0; i < 6; i++)
		cr_expect_not_null(strstr(o->out, commands[i]));
	for (size_t i = 0; i < 6; i++) {
		o = RUN("help", commands[i]);
		cr_expect_eq(o->code, 0);
		cr_expect_not_null(strstr(o->out, "usage: memattach"));
		o = RUN(commands[i], "--help");
		cr_expect_eq(o->code, 0);
		cr_expect_not_null(strstr(o->out, commands[i]));
	}
	o = RUN("--version");
	cr_expect_eq(o->code, 0);
	cr_expect_eq(strncmp(o->out, "memattach ", 10), 0);
	expect_failure(RUN("help", "frobnicate"), 2, "frobnicate");
}

Test(cli, output_errors)
{
	const struct outcome *o =
		run_to("/dev/full", (const char *const[]){ "query", snapshot, "SELECT * FROM objects", NULL });
	cr_expect_eq(o->code, 1);
	cr_expect_not_null(strstr(o->err, "cannot write the output: No space left on device"), "%s", o->err);
	o = run_to("/dev/full", (const char *const[]){ "report", snapshot, "--json", NULL });
	cr_expect_eq(o->code, 1);
	cr_expect_not_null(strstr(o->err, "No space left on device"), "%s", o->err);
}

/* A reader that goes away ends it in silence, and soon. */
Test(cli, closed_pipe)
{
	int fds[2], status;
	char fd_path[32];
	cr_assert_eq(pipe(fds), 0);
	snprintf(fd_path, sizeof(fd_path), "/dev/fd/%d", fds[1]);
	pid_t pid = fork();
	cr_assert_geq(pid, 0);
	if (!pid) {
		int err = open(err_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		close(fds[0]);
		dup2(fds[1], 1);
		dup2(err, 2);
		execl(MEMATTACH, "memattach", "query", snapshot, "SELECT * FROM objects a, types", (char *)NULL);
		_exit(127);
	}
	close(fds[0]);
	close(fds[1]);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	char err[256];
	read_all(err_path, err, sizeof(err));
	cr_expect_str_empty(err);
}

Test(cli, targets)
{
	const struct outcome *o = RUN("--json", "-o", snapshot, "core:/nonexistent/core");
	if (strstr(o->err, "this build reads snapshots only")) {
		cr_expect_eq(o->code, 5); /* the offline half */
		return;
	}
	expect_failure(o, 2, "cannot open it");
	expect_failure(RUN("core:/nonexistent/core", "--tree"), 2, "stands alone");
	expect_failure(RUN("1", "--exe", "/bin/sh"), 2, "--exe goes with core:FILE");
	expect_failure(RUN("tls://host/1"), 2, "--ca FILE");
	expect_failure(RUN("0"), 2, "no process id");
	expect_failure(RUN("99999999999999999999"), 2, "no process id");
	expect_failure(RUN("snap", "12x"), 2, "no process id");
	expect_failure(RUN("4194303", "-o", snapshot), 3, "4194303"); /* above pid_max of almost every machine */
	cr_expect_eq(access(snapshot, F_OK), 0, "what was there stays");
	expect_failure(RUN("1", "-o", "/nonexistent/x.mem"), 1, "/nonexistent");
}
