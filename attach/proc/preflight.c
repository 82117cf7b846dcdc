// SPDX-License-Identifier: Apache-2.0
/* preflight.c - everything that forbids a twin, found before the target is touched. Reads only, and never the smaps of
 * the live target. The hazards are those of docs/safety.md. */
#include "cleanup.h"
#include "proc_preflight.h"
#include "proc_text.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#define USER_NS_INIT_INO 0xEFFFFFFDu /* PROC_USER_INIT_INO of include/linux/proc_ns.h */
#define THREADS_LOOKED_AT 256

static int proc_dir(const char *path)
{
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* A file's text or NULL: for what an old kernel or a container may not have. */
static char *text_or_null(int dir, const char *file, size_t limit)
{
	char *text;
	size_t bytes;
	_cleanup_error_ struct ma_error *err = ma_proc_read(dir, file, limit, &text, &bytes);
	return err ? NULL : text;
}

__attribute__((format(printf, 3, 4))) static void obstacle(struct ma_preflight *p, enum ma_obstacle what,
							   const char *fmt, ...)
{
	if (p->obstacle != MA_OBS_NONE)
		return;
	va_list ap;
	va_start(ap, fmt);
	char *reason;
	if (vasprintf(&reason, fmt, ap) < 0)
		reason = NULL;
	va_end(ap);
	p->obstacle = what;
	p->reason = reason;
}

static double mb(uint64_t bytes)
{
	return (double)bytes / 1e6;
}

/* Each thread has its own filters; a program may filter only its workers. */
bool ma_seccomp_filtered(int dir, const struct ma_status *status)
{
	if (status->seccomp)
		return true;
	_cleanup_free_ pid_t *tids = NULL;
	size_t count = 0;
	_cleanup_error_ struct ma_error *err = ma_tasks_read(dir, &tids, &count);
	for (size_t i = 0; !err && i < count && i < THREADS_LOOKED_AT; i++) {
		char path[32];
		snprintf(path, sizeof(path), "task/%d", tids[i]);
		_cleanup_close_ int task = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		struct ma_status s;
		_cleanup_error_ struct ma_error *gone =
			task < 0 ? ma_error_os(ESRCH, "task") : ma_status_read(task, &s);
		if (!gone && s.seccomp)
			return true;
	}
	return false;
}

/* PTRACE_O_SUSPEND_SECCOMP: CAP_SYS_ADMIN in the first user namespace, no filter on ourselves, and a kernel with
 * CONFIG_CHECKPOINT_RESTORE (check_ptrace_options() of kernel/ptrace.c). /proc/self/timers comes with that option. */
static const char *cannot_suspend_seccomp(void)
{
	_cleanup_close_ int self = proc_dir("/proc/self");
	struct ma_status us;
	struct stat st;
	_cleanup_error_ struct ma_error *err = ma_status_read(self, &us);
	if (err)
		return "our own status cannot be read";
	if (!(us.cap_eff >> CAP_SYS_ADMIN & 1))
		return "lifting it takes CAP_SYS_ADMIN: run as root on the host";
	if (us.seccomp)
		return "lifting it takes a memattach without a filter of its own: run on the host";
	if (fstatat(self, "ns/user", &st, 0) == 0 && st.st_ino != USER_NS_INIT_INO)
		return "lifting it takes CAP_SYS_ADMIN outside of a user namespace: run on the host";
	if (faccessat(self, "timers", F_OK, 0) < 0)
		return "this kernel cannot lift it (no CONFIG_CHECKPOINT_RESTORE)";
	return NULL;
}

static void look_at_seccomp(int dir, const struct ma_status *status, struct ma_preflight *p)
{
	if (!ma_seccomp_filtered(dir, status))
		return;
	p->seccomp = true;
	const char *why = cannot_suspend_seccomp();
	if (why)
		obstacle(p, MA_OBS_SECCOMP, "a seccomp filter may kill the program at the clone; %s", why);
}

static bool kernel_before(int major, int minor)
{
	struct utsname u;
	int a = 0, b = 0;
	return uname(&u) == 0 && sscanf(u.release, "%d.%d", &a, &b) == 2 && (a < major || (a == major && b < minor));
}

struct ma_error *ma_descriptors_check(int dir)
{
	struct ma_descriptors d;
	ma_descriptors_read(dir, kernel_before(6, 5), &d); /* pins of O_DIRECT reads: iov_iter_extract_pages */
	if (d.userfaultfd_fork)
		return ma_errorf(MA_ERR_UNSUPPORTED, "it has a userfaultfd with EVENT_FORK: the clone would wait for a "
						     "reader that is stopped");
	if (d.direct)
		return ma_errorf(MA_ERR_UNSUPPORTED,
				 "it has a file open with O_DIRECT, and before Linux 6.5 a fork may "
				 "corrupt reads in flight");
	return NULL;
}

bool ma_is_32bit(int dir)
{
	unsigned char ident[EI_NIDENT];
	_cleanup_close_ int fd = openat(dir, "exe", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fd >= 0 && pread(fd, ident, sizeof(ident), 0) == sizeof(ident) && memcmp(ident, ELFMAG, SELFMAG) == 0 &&
	       ident[EI_CLASS] == ELFCLASS32;
}

static void look_at_elf_class(int dir, struct ma_preflight *p)
{
	if (ma_is_32bit(dir))
		obstacle(p, MA_OBS_32BIT, "it is a 32-bit program, which is not supported");
}

/* Threads of all processes of the real uid; counting stops at `enough`. */
static uint64_t threads_of_uid(unsigned uid, uint64_t enough)
{
	uint64_t sum = 0;
	DIR *d = opendir("/proc");
	for (struct dirent *e; d && sum < enough && (e = readdir(d));) {
		if (e->d_name[0] < '1' || e->d_name[0] > '9')
			continue;
		_cleanup_close_ int dir = openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		struct ma_status s;
		_cleanup_error_ struct ma_error *gone = dir < 0 ? ma_error_os(ESRCH, "proc") : ma_status_read(dir, &s);
		if (!gone && s.uid[0] == uid)
			sum += s.threads;
	}
	if (d)
		closedir(d);
	return sum;
}

static void look_at_nproc(int dir, const struct ma_status *status, struct ma_preflight *p)
{
	/* Does not bind root, CAP_SYS_RESOURCE or CAP_SYS_ADMIN (copy_process() of kernel/fork.c). */
	if (status->uid[0] == 0 || (status->cap_eff & (1ull << CAP_SYS_RESOURCE | 1ull << CAP_SYS_ADMIN)))
		return;
	_cleanup_free_ char *limits = text_or_null(dir, "limits", 8192);
	uint64_t most = limits ? ma_limits_text_nproc(limits) : UINT64_MAX, all;
	if (most == UINT64_MAX)
		return;
	/* "0.31 0.08 0.03 1/234 7701": 234 tasks on the machine. Fewer than the limit: no need to count the user's. */
	_cleanup_fclose_ FILE *f = fopen("/proc/loadavg", "re");
	unsigned long tasks = 0;
	if (f && fscanf(f, "%*s %*s %*s %*[0-9]/%lu", &tasks) == 1 && tasks < most)
		return;
	all = threads_of_uid(status->uid[0], most);
	if (all >= most)
		obstacle(p, MA_OBS_PIDS_LIMIT, "its user has %llu of %llu processes that RLIMIT_NPROC allows",
			 (unsigned long long)all, (unsigned long long)most);
}

static void look_at_overcommit(const struct ma_maps *maps, struct ma_preflight *p)
{
	_cleanup_close_ int proc = proc_dir("/proc");
	_cleanup_free_ char *mode = text_or_null(proc, "sys/vm/overcommit_memory", 64);
	if (!mode || mode[0] != '2')
		return;
	_cleanup_free_ char *meminfo = text_or_null(proc, "meminfo", 64 << 10);
	uint64_t left = meminfo ? ma_meminfo_text_commit_left(meminfo) : UINT64_MAX, need = ma_maps_commit_bytes(maps);
	if (need > left)
		obstacle(p, MA_OBS_OVERCOMMIT,
			 "vm.overcommit_memory is 2 and a copy would commit %.0f MB where %.0f MB are left", mb(need),
			 mb(left));
}

static void huge_pages_left(uint64_t need, uint64_t left, const char *where, struct ma_preflight *p)
{
	if (need > left)
		obstacle(p, MA_OBS_HUGE_PAGES,
			 "it has %.0f MB of private huge pages (hugetlbfs) and %s has %.0f MB left: its first write to "
			 "one of them after a fork may be a SIGBUS",
			 mb(need), where, mb(left));
}

static uint64_t huge_pages_need(const struct ma_status *status, const struct ma_maps *maps)
{
	uint64_t mapped = status->hugetlb ? ma_maps_hugetlb_bytes(maps) : 0;
	return mapped < status->hugetlb ? mapped : status->hugetlb;
}

static void look_at_cgroups(int dir, const struct ma_status *status, const struct ma_maps *maps, struct ma_preflight *p)
{
	_cleanup_close_ int self = proc_dir("/proc/self");
	p->cgroups = text_or_null(dir, "cgroup", 64 << 10);
	_cleanup_free_ char *mountinfo = text_or_null(self, "mountinfo", 16 << 20);
	if (!p->cgroups || !mountinfo)
		return;
	struct ma_cgroup_limits l;
	ma_cgroup_limits_read(mountinfo, p->cgroups, &l);
	p->cgroup_limit = l.memory_limit;
	p->cgroup_usage = l.memory_usage;
	p->cpu_quota = l.cpu_quota;
	if (l.pids_max && l.pids_current >= l.pids_max)
		obstacle(p, MA_OBS_PIDS_LIMIT, "its cgroup has %llu of %llu processes that pids.max allows",
			 (unsigned long long)l.pids_current, (unsigned long long)l.pids_max);
	if (l.hugetlb_limit)
		huge_pages_left(huge_pages_need(status, maps), l.hugetlb_limit - l.hugetlb_usage, "its cgroup", p);
	if (!l.memory_limit)
		return;
	uint64_t need = ma_twin_need_bytes(status), left = l.memory_limit - l.memory_usage;
	if (need > left)
		obstacle(p, MA_OBS_MEMORY_HEADROOM,
			 "its memory cgroup has %.0f MB left and a copy may take %.0f MB before it ends", mb(left),
			 mb(need));
	/* With memory.oom.group the kernel ends all together: our oom_score_adj on the twin would not save the target.
	 */
	if (l.oom_group && 4 * need > left)
		obstacle(p, MA_OBS_OOM_GROUP,
			 "memory.oom.group is on, so running out ends all processes together, and its cgroup has only "
			 "%.0f MB left where a copy may take %.0f MB",
			 mb(left), mb(need));
}

static void take_notes(pid_t pid, const struct ma_status *status, struct ma_preflight *p)
{
	int policy = sched_getscheduler(pid);
	bool realtime = policy == SCHED_FIFO || policy == SCHED_RR;
	if (!realtime && !status->vm_lck && !status->vm_pin)
		return;
	if (asprintf(&p->note, "%s%s%s%s%s: after the stop its first write to each page costs 2 to 5 us",
		     realtime ? "real-time scheduling" : "", realtime && status->vm_lck ? ", " : "",
		     status->vm_lck ? "locked memory" : "", (realtime || status->vm_lck) && status->vm_pin ? ", " : "",
		     status->vm_pin ? "pinned memory (copied during the stop)" : "") < 0)
		p->note = NULL;
}

struct ma_error *ma_preflight_read(int dir, pid_t pid, const struct ma_status *status, const struct ma_maps *maps,
				   struct ma_preflight *ret)
{
	struct ma_preflight p = { 0 };
	look_at_elf_class(dir, &p);
	look_at_seccomp(dir, status, &p);
	look_at_nproc(dir, status, &p);
	look_at_overcommit(maps, &p);
	uint64_t huge = huge_pages_need(status, maps);
	if (huge)
		huge_pages_left(huge, ma_hugetlb_pool_left(), "the pool", &p);
	look_at_cgroups(dir, status, maps, &p);
	take_notes(pid, status, &p);
	ma_pages_read(dir, status, maps, &p.small_page_bytes, &p.huge_page_bytes);
	p.shared_bytes = status->rss_shmem;
	p.estimate_ns = ma_pages_estimate_ns(p.small_page_bytes, p.huge_page_bytes, status->vm_pin, status->threads,
					     ma_descriptors_count(dir));
	/* Gone meanwhile: what was read then says nothing. */
	struct ma_stat st;
	struct ma_error *err = ma_stat_read(dir, &st);
	if (err) {
		ma_preflight_deinit(&p);
		return err;
	}
	*ret = p;
	return NULL;
}

void ma_preflight_deinit(struct ma_preflight *p)
{
	free(p->reason);
	free(p->cgroups);
	free(p->note);
	p->reason = p->cgroups = p->note = NULL;
}
