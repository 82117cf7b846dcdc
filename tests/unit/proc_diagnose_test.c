// link: ma_proc
// SPDX-License-Identifier: Apache-2.0
/* Why an attach is not permitted: each check, on children that fail it, asked before and after a real PTRACE_SEIZE. */
#include "cleanup.h"
#include "proc.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

struct child {
	pid_t pid;
	int dir, end;
};

static struct child child_start(int (*prepare)(void))
{
	int end[2], said[2];
	cr_assert_eq(pipe2(end, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(said, O_CLOEXEC), 0);
	struct child c = { .pid = fork() };
	cr_assert_geq(c.pid, 0);
	if (!c.pid) {
		char x;
		close(end[1]);
		unsigned char errnum = (unsigned char)prepare();
		if (write(said[1], &errnum, 1) != 1)
			_exit(1);
		_exit(read(end[0], &x, 1) != 0);
	}
	close(end[0]);
	close(said[1]);
	unsigned char errnum = 0;
	cr_assert_eq(read(said[0], &errnum, 1), 1);
	close(said[0]);
	char path[32];
	snprintf(path, sizeof(path), "/proc/%d", c.pid);
	c.dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	c.end = end[1];
	if (errnum) {
		close(c.end);
		waitpid(c.pid, NULL, 0);
		cr_skip_test("not to be had here: %s", strerror(errnum));
	}
	return c;
}

static void child_end(struct child *c)
{
	close(c->end);
	close(c->dir);
	cr_expect_eq(waitpid(c->pid, NULL, 0), c->pid);
}

static int nothing(void)
{
	return 0;
}

static bool is_root(void)
{
	return getuid() == 0;
}

/* What a process of `uid` (0: ours, less all capabilities) is told about c: the real PTRACE_SEIZE's errno, what
 * ma_diagnose_seize() says to it, and whether ma_may_attach() says the same without trying. */
struct verdict {
	int seize_errno, exit_code;
	bool same;
	char message[600];
};

static int drop(unsigned uid)
{
	if (uid)
		return setresgid(uid, uid, uid) || setresuid(uid, uid, uid) ? errno : 0;
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct none[2] = { 0 };
	return syscall(SYS_capset, &head, none) ? errno : 0;
}

static struct verdict ask_as(const struct child *c, unsigned uid, bool keep)
{
	struct verdict v = { 0 };
	int p[2];
	cr_assert_eq(pipe2(p, O_CLOEXEC), 0);
	pid_t pid = fork();
	cr_assert_geq(pid, 0);
	if (!pid) {
		if (!keep && drop(uid))
			_exit(2);
		struct ma_error *before, *after = NULL;
		char *how = NULL;
		before = ma_may_attach(c->dir, c->pid, &how);
		if (ptrace(PTRACE_SEIZE, c->pid, 0, 0) < 0) {
			v.seize_errno = errno;
			after = ma_diagnose_seize(c->dir, c->pid, errno);
		}
		v.exit_code = ma_error_exit_code(after);
		snprintf(v.message, sizeof(v.message), "%s", after ? after->message : how ? how : "");
		v.same = !before == !after && (!before || strcmp(before->message, after->message) == 0);
		_exit(write(p[1], &v, sizeof(v)) != sizeof(v));
	}
	close(p[1]);
	cr_assert_eq(read(p[0], &v, sizeof(v)), sizeof(v));
	close(p[0]);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
	return v;
}

static void says(const struct verdict *v, int exit_code, const char *words)
{
	cr_expect_eq(v->exit_code, exit_code, "%s", v->message);
	cr_expect_not_null(strstr(v->message, words), "%s", v->message);
	cr_expect(v->same, "before: something else than %s", v->message);
	cr_expect_null(strchr(v->message, '\n'), "%s", v->message);
}

Test(diagnose, permitted)
{
	struct child c = child_start(nothing);
	struct verdict v = ask_as(&c, 0, true);
	if (v.seize_errno)
		cr_skip_test("this machine does not let us attach at all: %s", v.message);
	says(&v, 0, is_root() ? "CAP_SYS_PTRACE" : "same user");
	child_end(&c);
}

Test(diagnose, other_user)
{
	if (!is_root())
		cr_skip_test("needs root");
	struct child c = child_start(nothing);
	struct verdict v = ask_as(&c, 64321, false);
	cr_expect_eq(v.seize_errno, EPERM);
	says(&v, 4, "it runs as uid 0, this is uid 64321");
	cr_expect_not_null(strstr(v.message, "sudo"));
	child_end(&c);
}

static int become_64321(void)
{
	if (!is_root())
		return EPERM;
	return setresgid(64321, 64321, 64321) || setresuid(64321, 64321, 64321) || prctl(PR_SET_DUMPABLE, 1) ? errno
													     : 0;
}

static int become_64321_not_dumpable(void)
{
	int errnum = become_64321();
	return errnum ? errnum : prctl(PR_SET_DUMPABLE, 0) ? errno : 0;
}

static int become_64321_gid_7(void)
{
	if (!is_root())
		return EPERM;
	return setresgid(7, 7, 7) || setresuid(64321, 64321, 64321) || prctl(PR_SET_DUMPABLE, 1) ? errno : 0;
}

Test(diagnose, same_user)
{
	struct child c = child_start(become_64321);
	struct verdict v = ask_as(&c, 64321, false);
	if (v.seize_errno && strstr(v.message, "Yama"))
		says(&v, 4, "this is not its parent"); /* the asking process is a sibling */
	else
		says(&v, 0, "same user");
	child_end(&c);
}

Test(diagnose, not_dumpable)
{
	struct child c = child_start(become_64321_not_dumpable);
	struct verdict v = ask_as(&c, 64321, false);
	cr_expect_eq(v.seize_errno, EPERM);
	says(&v, 4, "not dumpable");
	child_end(&c);
}

Test(diagnose, other_group)
{
	struct child c = child_start(become_64321_gid_7);
	struct verdict v = ask_as(&c, 64321, false);
	cr_expect_eq(v.seize_errno, EPERM);
	says(&v, 4, "it runs as gid 7, this is gid 64321");
	child_end(&c);
}

Test(diagnose, root_without_the_capability)
{
	if (!is_root())
		cr_skip_test("needs root");
	struct child c = child_start(become_64321);
	struct verdict v = ask_as(&c, 0, false);
	cr_expect_eq(v.seize_errno, EPERM);
	says(&v, 4, "SYS_PTRACE");
	child_end(&c);
	c = child_start(nothing); /* a root that holds more than we */
	v = ask_as(&c, 0, false);
	cr_expect_eq(v.seize_errno, EPERM);
	says(&v, 4, "SYS_PTRACE");
	child_end(&c);
}

Test(diagnose, already_traced)
{
	struct child c = child_start(nothing);
	int ready[2], end[2];
	char x;
	cr_assert_eq(pipe2(ready, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(end, O_CLOEXEC), 0);
	pid_t tracer = fork();
	cr_assert_geq(tracer, 0);
	if (!tracer) {
		close(end[1]);
		prctl(PR_SET_NAME, "strace (x)");
		char yes = ptrace(PTRACE_SEIZE, c.pid, 0, 0) == 0;
		if (write(ready[1], &yes, 1) != 1)
			_exit(1);
		_exit(read(end[0], &x, 1) != 0);
	}
	cr_assert_eq(read(ready[0], &x, 1), 1);
	if (x) {
		char want[200];
		snprintf(want, sizeof(want), "already traced by pid %d (strace (x)); a snapshot needs it to let go",
			 tracer);
		struct verdict v = ask_as(&c, 0, true);
		cr_expect_eq(v.seize_errno, EPERM);
		says(&v, 4, want);
	}
	close(end[1]);
	cr_expect_eq(waitpid(tracer, NULL, 0), tracer);
	child_end(&c);
	if (!x)
		cr_skip_test("this machine does not let us attach at all");
}

Test(diagnose, zombie_and_gone)
{
	struct child c = child_start(nothing);
	siginfo_t info;
	close(c.end);
	cr_assert_eq(waitid(P_PID, (id_t)c.pid, &info, WEXITED | WNOWAIT), 0);
	struct verdict v = ask_as(&c, 0, true);
	says(&v, 3, "has ended");
	cr_assert_eq(waitpid(c.pid, NULL, 0), c.pid);
	struct ma_error *err = ma_diagnose_seize(c.dir, c.pid, ESRCH);
	cr_expect_eq(err->code, MA_ERR_TARGET_GONE);
	ma_error_free(err);
	err = ma_diagnose_seize(c.dir, c.pid, EPERM); /* it went after the EPERM */
	cr_expect_eq(err->code, MA_ERR_TARGET_GONE);
	ma_error_free(err);
	close(c.dir);
}

Test(diagnose, kernel_thread)
{
	_cleanup_close_ int dir = open("/proc/2", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct ma_stat st;
	if (dir < 0)
		cr_skip_test("no pid 2 here");
	cr_assert_null(ma_stat_read(dir, &st));
	if (!(st.flags & 0x200000))
		cr_skip_test("pid 2 is no kernel thread here");
	struct ma_error *err = ma_diagnose_seize(dir, 2, EPERM);
	cr_expect_eq(err->code, MA_ERR_UNSUPPORTED);
	cr_expect_not_null(strstr(err->message, "kernel thread"));
	ma_error_free(err);
}

Test(diagnose, ourselves)
{
	_cleanup_close_ int dir = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char *how;
	struct ma_error *err = ma_may_attach(dir, getpid(), &how);
	cr_assert_not_null(err);
	cr_expect_not_null(strstr(err->message, "memattach itself"));
	ma_error_free(err);
}
