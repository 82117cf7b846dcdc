// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "daemon.h"

#include <errno.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pwd.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define FILTER_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define FILTER_ARCH AUDIT_ARCH_AARCH64
#endif

/* ------------------------------------------------------------------ users and capabilities */

static struct ma_error *get_caps(uint64_t *permitted_ret)
{
	struct __user_cap_header_struct hdr = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];
	if (syscall(SYS_capget, &hdr, data))
		return ma_error_os(errno, "cannot read our capabilities");
	*permitted_ret = (uint64_t)data[1].permitted << 32 | data[0].permitted;
	return NULL;
}

static struct ma_error *set_caps(uint64_t caps)
{
	struct __user_cap_header_struct hdr = { _LINUX_CAPABILITY_VERSION_3, 0 };
	const struct __user_cap_data_struct data[2] = {
		{ .effective = (uint32_t)caps, .permitted = (uint32_t)caps },
		{ .effective = (uint32_t)(caps >> 32), .permitted = (uint32_t)(caps >> 32) },
	};
	if (syscall(SYS_capset, &hdr, data))
		return ma_error_os(errno, "cannot give up capabilities");
	return NULL;
}

static struct ma_error *become(const char *user)
{
	const struct passwd *p = getpwnam(user);
	if (!p)
		return ma_errorf(MA_ERR_USAGE, "--user %s: there is no such user", user);
	if (!p->pw_uid)
		return ma_errorf(MA_ERR_USAGE, "--user %s: it has all rights", user);
	if (prctl(PR_SET_KEEPCAPS, 1) || setgroups(0, NULL) || setresgid(p->pw_gid, p->pw_gid, p->pw_gid) ||
	    setresuid(p->pw_uid, p->pw_uid, p->pw_uid))
		return ma_error_os(errno, "cannot become %s", user);
	return NULL;
}

struct ma_error *ma_confine_daemon(const char *user)
{
	const uint64_t wanted = UINT64_C(1) << CAP_SYS_PTRACE;
	const struct rlimit no_core = { 0, 0 }; /* it would have our key in it */
	uint64_t caps = 0;
	if (user && geteuid() == 0)
		MA_TRY(become(user));
	MA_TRY(get_caps(&caps));
	MA_TRY(set_caps(caps & wanted));
	/* not dumpable: others of that user can not trace us */
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) || setrlimit(RLIMIT_CORE, &no_core))
		return ma_error_os(errno, "cannot give up privileges");
	return NULL;
}

/* ------------------------------------------------------------------ system calls */

#define FILTER_MAX 96

/* If `matching` are system calls that are allowed, all others fail; else they fail and all others are allowed. They
 * fail with EPERM: a C library or OpenSSL that tries another way first is not ended for it. */
static struct ma_error *filter(const int *calls, size_t count, bool matching)
{
#ifdef FILTER_ARCH
	const uint32_t no = SECCOMP_RET_ERRNO | EPERM, yes = SECCOMP_RET_ALLOW;
	struct sock_filter f[FILTER_MAX + 8];
	size_t n = 0;
	if (count > FILTER_MAX)
		return ma_errorf(MA_ERR_LIMIT, "too many system calls in a filter");
	f[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FILTER_ARCH, 1, 0);
	f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	f[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	/* the x32 calls of x86-64 have numbers from here on */
	f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000u,
					      (uint8_t)(count + (matching ? 0 : 1)), 0);
	for (size_t i = 0; i < count; i++)
		f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)calls[i],
						      (uint8_t)(count - i), 0);
	f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, matching ? no : yes);
	f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, matching ? yes : no);
	const struct sock_fprog program = { .len = (unsigned short)n, .filter = f };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		return ma_error_os(errno, "cannot filter system calls");
#else
	(void)calls;
	(void)count;
	(void)matching;
#endif
	return NULL;
}

struct ma_error *ma_confine_session(void)
{
	/* It has what it needs: /proc, ptrace, and the socket to its front. */
	static const int refused[] = {
		SYS_execve,
		SYS_execveat,
		SYS_socket,
		SYS_connect,
		SYS_bind,
		SYS_listen,
		SYS_accept,
		SYS_accept4,
		SYS_mount,
		SYS_umount2,
		SYS_pivot_root,
		SYS_chroot,
		SYS_unshare,
		SYS_setns,
		SYS_init_module,
		SYS_finit_module,
		SYS_delete_module,
		SYS_kexec_load,
		SYS_bpf,
		SYS_reboot,
		SYS_swapon,
		SYS_swapoff,
		SYS_setuid,
		SYS_setresuid,
		SYS_setgid,
		SYS_setresgid,
		SYS_setgroups,
		SYS_keyctl,
		SYS_add_key,
		SYS_request_key,
		SYS_open_by_handle_at,
	};
	return filter(refused, MA_ARRAY_SIZE(refused), false);
}

struct ma_error *ma_confine_front(void)
{
	static const int allowed[] = {
		SYS_read,
		SYS_write,
		SYS_readv,
		SYS_writev,
		SYS_sendto,
		SYS_recvfrom,
		SYS_sendmsg,
		SYS_recvmsg,
		SYS_shutdown,
		SYS_close,
		SYS_ppoll,
		SYS_futex,
		SYS_brk,
		SYS_mmap,
		SYS_munmap,
		SYS_mremap,
		SYS_madvise,
		SYS_mprotect,
		SYS_getrandom,
		SYS_clock_gettime,
		SYS_clock_nanosleep,
		SYS_getpid,
		SYS_gettid,
		SYS_fcntl,
		SYS_rt_sigreturn,
		SYS_rt_sigprocmask,
		SYS_rt_sigaction,
		SYS_restart_syscall,
		SYS_exit,
		SYS_exit_group,
		SYS_tgkill,
#ifdef __SANITIZE_ADDRESS__
		SYS_sigaltstack, /* when it ends */
#endif
#ifdef SYS_poll
		SYS_poll,
		SYS_time,
		SYS_gettimeofday,
#endif
	};
	const struct rlimit none = { 0, 0 };
	MA_TRY(set_caps(0));
	if (setrlimit(RLIMIT_NPROC, &none))
		return ma_error_os(errno, "cannot give up privileges");
	return filter(allowed, MA_ARRAY_SIZE(allowed), true);
}
