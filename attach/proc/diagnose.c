// SPDX-License-Identifier: Apache-2.0
/* diagnose.c - which of the kernel's checks said no, and what helps. The order follows ptrace_attach() of
 * kernel/ptrace.c, then __ptrace_may_access(), then the security modules. */
#include "cleanup.h"
#include "proc.h"
#include "proc_text.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define PF_KTHREAD 0x200000

struct who { /* ourselves, or the target as far as it may be read */
	struct ma_status status;
	uint64_t cap_permitted;
	bool have_ns;
	struct stat user_ns;
};

static uint64_t cap_permitted_of(const char *status_text)
{
	struct text t = { status_text, status_text + strlen(status_text) }, line;
	uint64_t v;
	while (text_line(&t, &line, NULL))
		if (text_key(&line, "CapPrm:")) {
			text_blanks(&line);
			if (text_hex(&line, &v))
				return v;
		}
	return 0;
}

static struct ma_error *who_read(int dir, struct who *ret)
{
	_cleanup_free_ char *text = NULL;
	size_t bytes;
	MA_TRY(ma_proc_read(dir, "status", 256 << 10, &text, &bytes));
	MA_TRY(ma_status_parse(text, bytes, &ret->status));
	ret->cap_permitted = cap_permitted_of(text);
	ret->have_ns = fstatat(dir, "ns/user", &ret->user_ns, 0) == 0;
	return NULL;
}

static bool have_cap(const struct who *w, int cap)
{
	return w->status.cap_eff >> cap & 1;
}

/* The first number of a file, -1 when there is none. */
static int number_at(const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	int v;
	return f && fscanf(f, "%d", &v) == 1 ? v : -1;
}

static bool in_user_namespace(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/uid_map", "re");
	unsigned inside, outside, count;
	return f && fscanf(f, "%u %u %u", &inside, &outside, &count) == 3 && count != UINT32_MAX;
}

/* Yama's test for scope 1: the target descends from us. */
static bool is_descendant(pid_t pid)
{
	for (int depth = 0; pid > 1 && depth < 1000; depth++) {
		if (pid == getpid())
			return true;
		char path[32];
		snprintf(path, sizeof(path), "/proc/%d", pid);
		_cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		struct ma_stat st;
		_cleanup_error_ struct ma_error *err = dir < 0 ? ma_error_os(errno, "open") : ma_stat_read(dir, &st);
		if (err)
			return false;
		pid = st.ppid;
	}
	return false;
}

static struct ma_error *already_traced(pid_t tracer)
{
	char path[40];
	_cleanup_free_ char *name = NULL;
	size_t bytes;
	snprintf(path, sizeof(path), "/proc/%d", tracer);
	_cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_error_ struct ma_error *err = dir < 0 ? NULL : ma_proc_read(dir, "comm", 256, &name, &bytes);
	if (name && bytes && name[bytes - 1] == '\n')
		name[bytes - 1] = 0;
	return ma_errorf(MA_ERR_PERMISSION, "already traced by pid %d (%s); a snapshot needs it to let go", tracer,
			 name ? name : "?");
}

/* States in which nobody could attach. */
static struct ma_error *explain_state(int dir, const struct who *it)
{
	struct ma_stat st;
	MA_TRY(ma_stat_read(dir, &st));
	if (st.flags & PF_KTHREAD)
		return ma_errorf(MA_ERR_UNSUPPORTED, "a kernel thread (%s), not a program", it->status.name);
	/* A zombie whose other threads live is a program all the same: its main thread has ended. */
	if (it->status.state == 'X' || (it->status.state == 'Z' && it->status.threads <= 1))
		return ma_errorf(MA_ERR_TARGET_GONE, "it has ended and waits for its parent (pid %d) to take note",
				 it->status.ppid);
	if (it->status.tgid == getpid())
		return ma_errorf(MA_ERR_PERMISSION, "that is memattach itself");
	if (it->status.tracer > 0)
		return already_traced(it->status.tracer);
	return NULL;
}

static struct ma_error *explain_yama(pid_t pid, bool capable)
{
	int scope = number_at("/proc/sys/kernel/yama/ptrace_scope");
	if (scope >= 3)
		return ma_errorf(MA_ERR_PERMISSION,
				 "not permitted: Yama ptrace_scope is 3, nobody may attach until the next boot; "
				 "set kernel.yama.ptrace_scope to 1 in /etc/sysctl.d and boot again");
	if (scope == 2 && !capable)
		return ma_errorf(MA_ERR_PERMISSION,
				 "not permitted: Yama ptrace_scope is 2, only CAP_SYS_PTRACE may attach; "
				 "run as root, or: sudo memattach %d",
				 pid);
	if (scope == 1 && !capable && !is_descendant(pid))
		return ma_errorf(MA_ERR_PERMISSION,
				 "not permitted: Yama ptrace_scope is 1 and this is not its parent; "
				 "run as root, or: sudo memattach %d, or in the program: prctl(PR_SET_PTRACER, "
				 "PR_SET_PTRACER_ANY)",
				 pid);
	return NULL;
}

static bool all_equal(const unsigned ids[4], unsigned id)
{
	return ids[0] == id && ids[1] == id && ids[2] == id;
}

/* We are root but without the capability: a container took it, or a user namespace made us root of little. */
static struct ma_error *explain_bare_root(void)
{
	if (in_user_namespace())
		return ma_errorf(MA_ERR_PERMISSION,
				 "not permitted: root of this user namespace has no CAP_SYS_PTRACE over it; "
				 "run memattach on the host, or in the user namespace that the program runs in");
	return ma_errorf(MA_ERR_PERMISSION,
			 "not permitted: root, but without CAP_SYS_PTRACE (a container drops it); "
			 "docker run --cap-add=SYS_PTRACE, in Kubernetes securityContext.capabilities.add: "
			 "[SYS_PTRACE], or run on the host");
}

/* The kernel wants uid and gid to equal all of the target's, its capabilities to be ours, and a dumpable program. */
static struct ma_error *explain_ids(int dir, pid_t pid, const struct who *it, const struct who *us)
{
	bool uid = all_equal(it->status.uid, us->status.uid[0]), gid = all_equal(it->status.gid, us->status.gid[0]);
	bool more_caps = it->cap_permitted & ~us->cap_permitted;
	if ((!(uid && gid) || more_caps) && us->status.uid[1] == 0)
		return explain_bare_root();
	if (!uid && it->status.uid[0] == 0)
		return ma_errorf(MA_ERR_PERMISSION,
				 "not permitted: it runs as uid 0, this is uid %u without CAP_SYS_PTRACE; "
				 "run as root: sudo memattach %d",
				 us->status.uid[0], pid);
	if (!uid)
		return ma_errorf(MA_ERR_PERMISSION,
				 "not permitted: it runs as uid %u, this is uid %u without CAP_SYS_PTRACE; "
				 "run as root: sudo memattach %d, or as its user: sudo -u '#%u' memattach %d",
				 it->status.uid[0], us->status.uid[0], pid, it->status.uid[0], pid);
	if (!gid)
		return ma_errorf(
			MA_ERR_PERMISSION,
			"not permitted: it runs as gid %u, this is gid %u without CAP_SYS_PTRACE; "
			"run as root: sudo memattach %d, or with its group: sudo -u '#%u' -g '#%u' memattach %d",
			it->status.gid[0], us->status.gid[0], pid, it->status.uid[0], it->status.gid[0], pid);
	/* Files of a program that is not dumpable belong to root (task_dump_owner() of fs/proc/base.c). */
	struct stat st;
	if (fstatat(dir, "maps", &st, 0) == 0 && st.st_uid != it->status.uid[1])
		return ma_errorf(
			MA_ERR_PERMISSION,
			"not permitted: the program is not dumpable (it changed its uid, has file "
			"capabilities, or called prctl(PR_SET_DUMPABLE, 0)); run as root, or: sudo memattach %d",
			pid);
	if (more_caps)
		return ma_errorf(MA_ERR_PERMISSION,
				 "not permitted: it holds capabilities that this process lacks (%llx); "
				 "run as root, or: sudo memattach %d",
				 (unsigned long long)(it->cap_permitted & ~us->cap_permitted), pid);
	if (it->have_ns && us->have_ns && it->user_ns.st_ino != us->user_ns.st_ino)
		return ma_errorf(MA_ERR_PERMISSION,
				 "not permitted: it runs in another user namespace; "
				 "run as root, or: sudo memattach %d",
				 pid);
	return NULL;
}

static struct ma_error *explain_rest(int dir, const struct who *us, int errnum)
{
	_cleanup_free_ char *label = NULL;
	size_t bytes;
	_cleanup_error_ struct ma_error *err = ma_proc_read(dir, "attr/current", 4096, &label, &bytes);
	if (label) {
		label[strcspn(label, "\n")] = 0;
		if (*label && strcmp(label, "unconfined") != 0)
			return ma_errorf(MA_ERR_PERMISSION,
					 "not permitted: a security module (SELinux or AppArmor) says no; its "
					 "label is %s; look at the kernel's log for the denial",
					 label);
	}
	if (us->status.seccomp)
		return ma_errorf(MA_ERR_PERMISSION,
				 "not permitted: the seccomp filter of this container forbids ptrace; "
				 "docker run --cap-add=SYS_PTRACE lifts it, or run on the host");
	if (in_user_namespace())
		return explain_bare_root();
	return ma_errorf(MA_ERR_PERMISSION,
			 "not permitted (%s); uid, Yama, capabilities and tracer were looked at and are in order; "
			 "it may be about to end, or a security module says no: look at the kernel's log",
			 strerror(errnum));
}

struct ma_error *ma_diagnose_seize(int dir, pid_t pid, int errnum)
{
	struct who it = { 0 }, us = { 0 };
	if (errnum == ESRCH)
		return ma_errorf(MA_ERR_TARGET_GONE, "no such process");
	struct ma_error *err = who_read(dir, &it);
	if (err && err->code == MA_ERR_TARGET_GONE) {
		ma_error_free(err);
		return ma_errorf(MA_ERR_TARGET_GONE, "no such process");
	}
	if (err)
		return err;
	MA_TRY(explain_state(dir, &it));
	_cleanup_close_ int self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (self < 0)
		return ma_error_os(errno, "/proc/self");
	MA_TRY(who_read(self, &us));
	bool capable = have_cap(&us, CAP_SYS_PTRACE);
	if (!capable)
		MA_TRY(explain_ids(dir, pid, &it, &us));
	MA_TRY(explain_yama(pid, capable));
	return explain_rest(dir, &us, errnum);
}

/* The file `mem` belongs to the process's user and is of mode 0600: with CAP_SYS_PTRACE but without CAP_DAC_OVERRIDE
 * (memattachd) it can not be opened although an attach is permitted. process_vm_readv() makes the check of
 * PTRACE_SEIZE alone, before it looks at the address; nothing is ever mapped at 0. */
static bool may_read(pid_t pid)
{
	char byte;
	struct iovec here = { &byte, 1 }, there = { NULL, 1 };
	return process_vm_readv(pid, &here, 1, &there, 1, 0) >= 0 || errno == EFAULT;
}

struct ma_error *ma_may_attach(int dir, pid_t pid, char **how_ret)
{
	struct who it = { 0 }, us = { 0 };
	MA_TRY(who_read(dir, &it));
	MA_TRY(explain_state(dir, &it));
	_cleanup_close_ int self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (self < 0)
		return ma_error_os(errno, "/proc/self");
	MA_TRY(who_read(self, &us));
	/* PTRACE_MODE_ATTACH: the check of PTRACE_SEIZE, Yama and security modules included. A zombie leader has no
	 * memory of its own; its threads do, and the tracer uses those. */
	_cleanup_close_ int mem = openat(dir, "mem", O_RDONLY | O_CLOEXEC);
	const bool refused = mem < 0 && (errno == EACCES || errno == EPERM);
	if (refused && !may_read(pid))
		return ma_diagnose_seize(dir, pid, EPERM);
	if (mem < 0 && !refused && it.status.state != 'Z')
		return ma_error_os(errno == ENOENT ? ESRCH : errno, "mem");
	bool same = all_equal(it.status.uid, us.status.uid[0]) && all_equal(it.status.gid, us.status.gid[0]);
	char *how = strdup(have_cap(&us, CAP_SYS_PTRACE) ? "CAP_SYS_PTRACE"
			   : same                        ? "same user"
							 : "the kernel says so");
	if (!how)
		return &ma_enomem;
	*how_ret = how;
	return NULL;
}
