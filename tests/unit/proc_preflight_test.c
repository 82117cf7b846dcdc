// link: ma_proc
// SPDX-License-Identifier: Apache-2.0
/* What forbids a twin, on children that have it. */
#include "cleanup.h"
#include "proc.h"
#include "proc_preflight.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

struct child {
	pid_t pid;
	int dir, end;
};

/* A child that runs prepare(), says so, and lives until the pipe ends. prepare() gives 0, or an errno: then the test is
 * skipped. */
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
		prctl(PR_SET_PDEATHSIG, SIGKILL);
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

static struct ma_preflight look(const struct child *c)
{
	struct ma_status s;
	struct ma_maps maps = { 0 };
	struct ma_preflight p = { 0 };
	struct ma_error *err = ma_status_read(c->dir, &s);
	if (!err)
		err = ma_maps_read(c->dir, "maps", &maps);
	if (!err)
		err = ma_preflight_read(c->dir, c->pid, &s, &maps, &p);
	cr_assert_null(err, "%s", err->message);
	ma_maps_deinit(&maps);
	return p;
}

static int nothing(void)
{
	return 0;
}

Test(preflight, nothing_in_the_way)
{
	struct child c = child_start(nothing);
	struct ma_preflight p = look(&c);
	cr_expect_eq(p.obstacle, MA_OBS_NONE, "%s", p.reason);
	cr_expect_null(p.reason);
	cr_expect_null(p.note);
	cr_expect_not(p.seccomp);
	cr_expect_not_null(p.cgroups);
	cr_expect_gt(p.estimate_ns, 0);
	cr_expect_lt(p.estimate_ns, 50000000);
	ma_preflight_deinit(&p);
	child_end(&c);
}

Test(preflight, a_target_that_is_gone)
{
	struct child c = child_start(nothing);
	struct ma_status s;
	struct ma_maps maps = { 0 };
	struct ma_preflight p = { 0 };
	cr_assert_null(ma_status_read(c.dir, &s));
	close(c.end);
	cr_assert_eq(waitpid(c.pid, NULL, 0), c.pid);
	struct ma_error *err = ma_preflight_read(c.dir, c.pid, &s, &maps, &p);
	cr_assert_not_null(err);
	cr_expect_eq(err->code, MA_ERR_TARGET_GONE);
	ma_error_free(err);
	close(c.dir);
}

static int filter_all_allowed(void)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog prog = { 1, &allow };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		return errno;
	return 0;
}

static bool drop_cap(int cap)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct v[2];
	if (syscall(SYS_capget, &head, v))
		return false;
	v[cap / 32].effective &= ~(1u << cap % 32);
	return syscall(SYS_capset, &head, v) == 0;
}

/* Like the child: may be suspended with CAP_SYS_ADMIN, forbids a twin without. */
Test(preflight, seccomp)
{
	struct child c = child_start(filter_all_allowed);
	struct ma_preflight p = look(&c);
	cr_expect(p.seccomp);
	_cleanup_close_ int self = open("/proc/self", O_RDONLY | O_DIRECTORY);
	struct ma_status us;
	cr_assert_null(ma_status_read(self, &us));
	if ((us.cap_eff >> 21 & 1) && !us.seccomp)
		cr_expect_eq(p.obstacle, MA_OBS_NONE, "%s", p.reason);
	ma_preflight_deinit(&p);
	/* The same child seen by a process without the capability; criterion's macros do not work in it. */
	pid_t pid = fork();
	if (!pid) {
		struct ma_status s;
		struct ma_maps maps = { 0 };
		bool ok = drop_cap(21) && !ma_status_read(c.dir, &s) && !ma_maps_read(c.dir, "maps", &maps) &&
			  !ma_preflight_read(c.dir, c.pid, &s, &maps, &p);
		_exit(ok && p.obstacle == MA_OBS_SECCOMP && strstr(p.reason, "CAP_SYS_ADMIN") ? 0 : 1);
	}
	int status;
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect_eq(status, 0);
	child_end(&c);
}

static int userfault(uint64_t features)
{
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	if (fd < 0)
		return errno;
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	return ioctl(fd, UFFDIO_API, &api) < 0 ? errno : 0;
}

static int userfault_fork(void)
{
	return userfault(UFFD_FEATURE_EVENT_FORK);
}

static int userfault_plain(void)
{
	return userfault(0);
}

Test(preflight, userfaultfd_with_event_fork)
{
	struct child c = child_start(userfault_fork);
	_cleanup_error_ struct ma_error *err = ma_descriptors_check(c.dir);
	cr_assert(err && err->code == MA_ERR_UNSUPPORTED);
	child_end(&c);
}

Test(preflight, userfaultfd_without_it)
{
	struct child c = child_start(userfault_plain);
	cr_expect_null(ma_descriptors_check(c.dir));
	child_end(&c);
}

static int nproc_is_full(void)
{
	if (getuid() != 0)
		return EPERM;
	struct rlimit one = { 1, 1 };
	if (setrlimit(RLIMIT_NPROC, &one) || setresgid(64321, 64321, 64321) || setresuid(64321, 64321, 64321))
		return errno;
	return 0;
}

Test(preflight, rlimit_nproc)
{
	struct child c = child_start(nproc_is_full);
	struct ma_preflight p = look(&c);
	cr_expect_eq(p.obstacle, MA_OBS_PIDS_LIMIT, "%s", p.reason);
	ma_preflight_deinit(&p);
	child_end(&c);
}

static int lock_memory(void)
{
	/* not mlock(): the address sanitizer makes it do nothing */
	void *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED || syscall(SYS_mlock, p, 65536) ? errno : 0;
}

Test(preflight, locked_memory_is_noted)
{
	struct child c = child_start(lock_memory);
	struct ma_preflight p = look(&c);
	cr_expect_eq(p.obstacle, MA_OBS_NONE, "%s", p.reason);
	cr_assert_not_null(p.note);
	cr_expect_not_null(strstr(p.note, "locked memory"));
	ma_preflight_deinit(&p);
	child_end(&c);
}

/* In a v1 group of its own, below the hierarchy's mount. */
static bool group_make(char *folder, size_t room, const char *controller)
{
	snprintf(folder, room, "/sys/fs/cgroup/%s/ma-test-%d", controller, getpid());
	return mkdir(folder, 0755) == 0;
}

static bool group_put(const char *folder, const char *file, long long v)
{
	char path[200];
	snprintf(path, sizeof(path), "%s/%s", folder, file);
	_cleanup_close_ int fd = open(path, O_WRONLY);
	return fd >= 0 && dprintf(fd, "%lld", v) > 0;
}

Test(preflight, pids_limit_of_the_cgroup)
{
	char folder[128];
	if (!group_make(folder, sizeof(folder), "pids"))
		cr_skip_test("no v1 pids hierarchy to make a group in: %s", strerror(errno));
	struct child c = child_start(nothing);
	bool made = group_put(folder, "pids.max", 1) && group_put(folder, "cgroup.procs", c.pid);
	struct ma_preflight p = look(&c);
	child_end(&c);
	cr_expect_eq(rmdir(folder), 0);
	cr_expect(made);
	cr_expect_eq(p.obstacle, MA_OBS_PIDS_LIMIT, "%s", p.reason);
	ma_preflight_deinit(&p);
}

static int allocate_64_mb(void)
{
	char *p = mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || madvise(p, 64 << 20, MADV_NOHUGEPAGE))
		return errno;
	memset(p, 1, 64 << 20);
	return 0;
}

Test(preflight, headroom_and_quota_of_the_cgroup)
{
	char memory[128], cpu[128];
	if (!group_make(memory, sizeof(memory), "memory"))
		cr_skip_test("no v1 memory hierarchy to make a group in: %s", strerror(errno));
	bool made = group_make(cpu, sizeof(cpu), "cpu");
	/* The memory stays charged to our own group, so usage is made by the limit alone. */
	struct child c = child_start(allocate_64_mb);
	made &= group_put(memory, "memory.limit_in_bytes", 4 << 20) && group_put(memory, "cgroup.procs", c.pid);
	made &= group_put(cpu, "cpu.cfs_quota_us", 50000) && group_put(cpu, "cgroup.procs", c.pid);
	struct ma_preflight tight = look(&c);
	made &= group_put(memory, "memory.limit_in_bytes", 400 << 20);
	struct ma_preflight wide = look(&c);
	child_end(&c);
	cr_expect_eq(rmdir(memory), 0);
	cr_expect_eq(rmdir(cpu), 0);
	cr_expect(made);
	cr_expect_eq(tight.obstacle, MA_OBS_MEMORY_HEADROOM, "%s", tight.reason);
	cr_expect_eq(tight.cgroup_limit, 4 << 20);
	cr_expect_float_eq(tight.cpu_quota, 0.5, 1e-9);
	cr_expect_eq(wide.obstacle, MA_OBS_NONE, "%s", wide.reason);
	cr_expect_eq(wide.cgroup_limit, 400 << 20);
	/* 64 MB in 4 KiB pages. */
	cr_expect_geq(wide.small_page_bytes, 60 << 20);
	cr_expect_lt(wide.huge_page_bytes, 8 << 20);
	ma_preflight_deinit(&tight);
	ma_preflight_deinit(&wide);
}

static int allocate_huge(void)
{
	char *p = mmap(NULL, 130 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || madvise(p, 130 << 20, MADV_HUGEPAGE))
		return errno;
	memset(p, 1, 130 << 20);
	return 0;
}

Test(preflight, huge_pages_are_told_apart)
{
	struct child c = child_start(allocate_huge);
	/* smaps may be read here: this child is ours and idle. */
	struct ma_maps smaps = { 0 };
	cr_assert_null(ma_maps_read(c.dir, "smaps", &smaps));
	uint64_t huge = 0;
	for (size_t i = 0; i < smaps.count; i++)
		huge += smaps.v[i].huge;
	ma_maps_deinit(&smaps);
	struct ma_preflight p = look(&c);
	_cleanup_close_ int map = openat(c.dir, "pagemap", O_RDONLY);
	child_end(&c);
	uint64_t got = p.huge_page_bytes, small = p.small_page_bytes;
	ma_preflight_deinit(&p);
	if (huge && !got)
		cr_skip_test("this kernel has no PAGEMAP_SCAN");
	cr_expect_lt(got > huge ? got - huge : huge - got, 4 << 20, "%lu of %lu", got, huge);
	cr_expect_lt(small, 40 << 20);
}

Test(preflight, pure_parts)
{
	cr_expect(ma_userfaultfd_text_has_fork("pos:\t0\npending:\t0\ntotal:\t0\nAPI:\taa:80000002:1ffff\n"));
	cr_expect_not(ma_userfaultfd_text_has_fork("pending:\t0\nAPI:\taa:80000001:1ffff\n"));
	cr_expect(ma_userfaultfd_text_has_fork("nonsense")); /* not to be read: the dangerous kind */
	cr_expect(ma_fdinfo_text_is_direct("pos:\t0\nflags:\t0140000\nmnt_id:\t9\n") == !!(0140000 & O_DIRECT));
	cr_expect_not(ma_fdinfo_text_is_direct("pos:\t0\nflags:\t0100000\n"));
	cr_expect_not(ma_fdinfo_text_is_direct(""));
	cr_expect_eq(ma_limits_text_nproc("Limit   Soft\nMax processes             96365    96365   processes\n"),
		     96365);
	cr_expect_eq(ma_limits_text_nproc("Max processes             unlimited  unlimited\n"), UINT64_MAX);
	cr_expect_eq(ma_limits_text_nproc(""), UINT64_MAX);
	cr_expect_eq(ma_meminfo_text_commit_left("CommitLimit:  1000 kB\nCommitted_AS:  400 kB\n"), 600 << 10);
	cr_expect_eq(ma_meminfo_text_commit_left("CommitLimit:  1000 kB\nCommitted_AS:  4000 kB\n"), 0);
	struct ma_map mapped[] = { { .start = 2 << 20, .end = 6 << 20, .prot = 3, .inode = 7 },
				   { .start = 6 << 20, .end = 8 << 20, .prot = 3 | 8, .inode = 7 },
				   { .start = 8 << 20, .end = 10 << 20, .prot = 1, .inode = 7 },
				   { .start = 10 << 20, .end = 12 << 20, .prot = 3 },
				   { .start = 12 << 20, .end = 14 << 20, .prot = 3, .inode = 7, .dev_major = 254 },
				   { .start = 14 << 20, .end = (14 << 20) + 4096, .prot = 3, .inode = 7 } };
	cr_expect_eq(ma_maps_hugetlb_bytes(&(struct ma_maps){ mapped, MA_ARRAY_SIZE(mapped), NULL, false }), 4 << 20);
	uint64_t total, available;
	cr_expect(ma_meminfo_text_memory("MemTotal:  1000 kB\nMemFree: 3 kB\nMemAvailable:  400 kB\n", &total,
					 &available));
	cr_expect_eq(total, 1000 << 10);
	cr_expect_eq(available, 400 << 10);
	cr_expect_not(ma_meminfo_text_memory("MemTotal:  1000 kB\nMemAvailable:  1400 kB\n", &total, &available));
	cr_expect_not(ma_meminfo_text_memory("MemTotal:  1000 kB\n", &total, &available));
	struct ma_map v[] = { { .start = 0, .end = 10, .prot = 3 },
			      { .start = 10, .end = 30, .prot = 1 },
			      { .start = 30, .end = 70, .prot = 3 | 8 } };
	struct ma_maps maps = { .v = v, .count = 3 };
	cr_expect_eq(ma_maps_commit_bytes(&maps), 10);
	/* The estimate grows with each part and stays in the measured corridor: 17 to 74 ms/GB and 0.5 to 4.5. */
	uint64_t gb = (uint64_t)1 << 30, none = ma_pages_estimate_ns(0, 0, 0, 1, 0);
	uint64_t small = ma_pages_estimate_ns(gb, 0, 0, 1, 0) - none;
	uint64_t huge = ma_pages_estimate_ns(0, gb, 0, 1, 0) - none;
	cr_expect(small > 17000000 && small < 74000000);
	cr_expect(huge > 500000 && huge < 4500000);
	cr_expect_gt(ma_pages_estimate_ns(0, 0, gb, 1, 0), none);
	cr_expect_gt(ma_pages_estimate_ns(0, 0, 0, 100, 0), none);
	/* 2 us each, and no more than are looked at */
	uint64_t descriptors = ma_pages_estimate_ns(0, 0, 0, 1, MA_DESCRIPTORS_MAX) - none;
	cr_expect_eq(descriptors, MA_DESCRIPTORS_MAX * UINT64_C(2000));
	cr_expect_eq(ma_pages_estimate_ns(0, 0, 0, 1, 1u << 30) - none, descriptors);
	struct ma_status s = { .rss_anon = 800 << 20, .vm_pte = 2 << 20 };
	cr_expect_eq(ma_twin_need_bytes(&s), (100 + 2 + 1) << 20);
	s.rss_anon = (uint64_t)1 << 40;
	cr_expect_leq(ma_twin_need_bytes(&s), (uint64_t)2 << 30);
}
