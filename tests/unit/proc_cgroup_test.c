// link: ma_proc
// SPDX-License-Identifier: Apache-2.0
/* Folders and limits of cgroups v1 and v2: from captured texts, from a made-up tree, and a real move on this machine.
 */
#include "cleanup.h"
#include "proc.h"
#include "proc_cgroup.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const char v1_mounts[] =
	"23 1 254:0 / / rw,relatime - ext4 /dev/root rw\n"
	"32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
	"35 31 0:32 /docker/9c1f /mnt/m\\040x rw,relatime - cgroup cgroup rw,memory\n"
	"40 31 0:37 / /sys/fs/cgroup/systemd rw master:2 - cgroup cgroup rw,xattr,name=systemd\n"
	"41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
static const char v1_groups[] = "9:name=systemd:/user.slice\n4:memory:/docker/9c1f/a b\n2:cpu,cpuacct:/app:1/x\n"
				"7:freezer:/\n0::/user.slice/s.scope\n";

static char *folder_of(const char *mounts, const char *groups, const char *controller, size_t *mount_len)
{
	struct ma_cgroup_line line;
	return ma_cgroup_find(groups, controller, &line) ? ma_cgroup_folder(mounts, &line, mount_len) : NULL;
}

static void folder_is(const char *mounts, const char *groups, const char *controller, const char *want,
		      size_t mount_len)
{
	size_t len = 0;
	_cleanup_free_ char *folder = folder_of(mounts, groups, controller, &len);
	if (!want) {
		cr_expect_null(folder, "%s: %s", controller, folder);
		return;
	}
	cr_assert_not_null(folder, "%s", controller);
	cr_expect_str_eq(folder, want);
	cr_expect_eq(len, mount_len);
}

Test(cgroup, is_in)
{
	static const struct {
		const char *path;
		bool in;
	} cases[] = {
		{ "/docker/9c1f/a b", true },
		{ "/docker/9c1f/a b/", true },
		{ "/docker/9c1f", true },
		{ "/docker", true },
		{ "/", true },
		{ "/user.slice/s.scope", true },
		{ "/docker/9c1", false },
		{ "/docker/9c1f/a b/c", false },
		{ "/mnt/m x/a b", true },
		{ "/mnt/m x", true },
		{ "/mnt/m x/a", false },
		{ "/mnt", false }, /* above the hierarchy */
		{ "/sys/fs/cgroup", false },
		{ "/sys/fs/cgroup/unified/user.slice", true },
		{ "/sys/fs/cgroup/cpu,cpuacct/app:1", true },
		{ "/sys/fs/cgroup/cpu,cpuacct/app", false },
		{ "docker", false },
		{ "", false },
	};
	for (size_t i = 0; i < MA_ARRAY_SIZE(cases); i++)
		cr_expect_eq(ma_cgroup_is_in(v1_mounts, v1_groups, cases[i].path), cases[i].in, "%s", cases[i].path);
}

Test(cgroup, folders)
{
	folder_is(v1_mounts, v1_groups, "cpu", "/sys/fs/cgroup/cpu,cpuacct/app:1/x", 26);
	folder_is(v1_mounts, v1_groups, "cpuacct", "/sys/fs/cgroup/cpu,cpuacct/app:1/x", 26);
	folder_is(v1_mounts, v1_groups, "memory", "/mnt/m x/a b", 8);
	folder_is(v1_mounts, v1_groups, "name=systemd", "/sys/fs/cgroup/systemd/user.slice", 22);
	folder_is(v1_mounts, v1_groups, "", "/sys/fs/cgroup/unified/user.slice/s.scope", 22);
	folder_is(v1_mounts, v1_groups, "freezer", NULL, 0); /* not mounted */
	folder_is(v1_mounts, v1_groups, "mem", NULL, 0);     /* no part of a word */
	folder_is(v1_mounts, v1_groups, "pids", NULL, 0);
	folder_is(v1_mounts, "4:memory:/docker/9c1f\n", "memory", "/mnt/m x", 8);
	folder_is(v1_mounts, "4:memory:/docker/9c1f2\n", "memory", NULL, 0); /* beside the mount's root */
	folder_is(v1_mounts, "4:memory:/\n", "memory", NULL, 0);
	folder_is(v1_mounts, "2:cpu,cpuacct:/../other\n", "cpu", NULL, 0); /* outside of our cgroup namespace */
	folder_is(v1_mounts, "2:cpu,cpuacct:/\n", "cpu", "/sys/fs/cgroup/cpu,cpuacct", 26);
	folder_is("41 31 0:38 / /cg rw - cgroup2 cgroup2 rw\n", "0::/x\n", "", "/cg/x", 3);
}

Test(cgroup, hostile)
{
	static const char *const groups[] = { "",
					      "\n",
					      "x:memory:/\n",
					      "4:memory\n",
					      "4:memory:\n",
					      "4:memory:relative\n",
					      "99999999999999999999:memory:/\n" };
	struct ma_cgroup_line line;
	for (size_t i = 0; i < MA_ARRAY_SIZE(groups); i++)
		cr_expect_not(ma_cgroup_find(groups[i], "memory", &line), "%s", groups[i]);
	cr_expect(ma_cgroup_find("junk\n4:memory:/ok", "memory", &line)); /* no newline at the end */
	static const char *const mounts[] = { "",
					      "\n",
					      "1 2 3\n",
					      "1 2 3:4 / /m rw",
					      "1 2 3:4 / /m rw - cgroup\n",
					      "1 2 3:4 / /m rw - cgroup x\n",
					      "1 2 3:4 / /m rw - cgroup x rw,memoryx\n" };
	size_t len;
	for (size_t i = 0; i < MA_ARRAY_SIZE(mounts); i++)
		cr_expect_null(folder_of(mounts[i], "4:memory:/ok\n", "memory", &len), "%s", mounts[i]);
}

static char tree[] = "/tmp/proc_cgroup_XXXXXX";

static void put(const char *name, const char *text)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", tree, name);
	if (!text) {
		cr_assert_eq(mkdir(path, 0700), 0);
		return;
	}
	_cleanup_fclose_ FILE *f = fopen(path, "w");
	cr_assert_not_null(f);
	fputs(text, f);
}

static void tree_remove(void)
{
	char command[64];
	snprintf(command, sizeof(command), "rm -r %s", tree);
	cr_expect_eq(system(command), 0);
}

Test(cgroup, limits_of_v2)
{
	struct ma_cgroup_limits l;
	char mounts[128];
	cr_assert_not_null(mkdtemp(tree));
	snprintf(mounts, sizeof(mounts), "41 31 0:38 / %s rw - cgroup2 cgroup2 rw\n", tree);
	put("a", NULL);
	put("a/b", NULL);
	put("a/b/memory.max", "max\n");
	put("a/b/memory.current", "400000000\n");
	put("a/b/memory.oom.group", "0\n");
	put("a/b/cpu.max", "200000 100000\n");
	put("a/b/pids.max", "max\n");
	put("a/b/pids.current", "12\n");
	put("a/memory.max", "1000000000\n");
	put("a/memory.current", "700000000\n");
	put("a/memory.stat", "anon 1\ninactive_file 200000000\nactive_file 5\n");
	put("a/memory.oom.group", "1\n");
	put("a/cpu.max", "50000 100000\n");
	put("a/pids.max", "40\n");
	put("a/pids.current", "40\n");
	put("cpu.max", "max 100000\n");
	put("memory.max", "9223372036854771712\n"); /* v1's way to say "no limit" */
	put("memory.current", "5\n");
	ma_cgroup_limits_read(mounts, "0::/a/b\n", &l);
	cr_expect_eq(l.memory_limit, 1000000000);
	cr_expect_eq(l.memory_usage, 500000000); /* less what can be dropped */
	cr_expect(l.oom_group);
	cr_expect_float_eq(l.cpu_quota, 0.5, 1e-9);
	cr_expect_eq(l.pids_max, 40);
	cr_expect_eq(l.pids_current, 40);
	cr_expect_eq(l.hugetlb_limit, 0);
	/* Of huge pages the size with the least room, where the group has any of that size. */
	put("a/hugetlb.2MB.max", "20971520\n");
	put("a/hugetlb.2MB.current", "18874368\n");
	put("a/hugetlb.1GB.max", "0\n");
	put("a/hugetlb.1GB.current", "0\n");
	put("a/b/hugetlb.2MB.max", "max\n");
	put("a/b/hugetlb.2MB.current", "18874368\n");
	ma_cgroup_limits_read(mounts, "0::/a/b\n", &l);
	cr_expect_eq(l.hugetlb_limit, 20971520);
	cr_expect_eq(l.hugetlb_usage, 18874368);
	/* A group of its own below a tighter one: the level with the least room counts. */
	put("a/b/memory.max", "410000000\n");
	ma_cgroup_limits_read(mounts, "0::/a/b\n", &l);
	cr_expect_eq(l.memory_limit, 410000000);
	/* memory.high is no limit to a copy, but one to a watch; its own level has the least room. */
	put("a/b/memory.high", "401000000\n");
	put("a/memory.pressure",
	    "some avg10=99.99 avg60=0.00 avg300=0.00 total=1\nfull avg10=12.34 avg60=1.00 total=1\n");
	put("a/b/memory.pressure",
	    "some avg10=1.00 avg60=0.00 avg300=0.00 total=1\nfull avg10=0.50 avg60=1.00 total=1\n");
	ma_cgroup_limits_read(mounts, "0::/a/b\n", &l);
	cr_expect_eq(l.memory_limit, 410000000);
	cr_expect_eq(l.pressed_limit, 401000000);
	cr_expect_eq(l.pressed_usage, 400000000);
	cr_expect_float_eq(l.memory_stall, 12.3, 1e-9);
	put("a/memory.pressure", "full avg10=999.00\nfull avg10=x\nfull avg10=1\n");
	ma_cgroup_limits_read(mounts, "0::/a\n", &l);
	cr_expect_eq(l.memory_stall, 0);
	ma_cgroup_limits_read(mounts, "0::/\n", &l);
	cr_expect_eq(l.memory_limit, 0);
	cr_expect_eq(l.pids_max, 0);
	cr_expect_eq(l.cpu_quota, 0);
	cr_expect_not(l.oom_group);
	tree_remove();
}

Test(cgroup, limits_of_v1)
{
	struct ma_cgroup_limits l;
	char mounts[512];
	cr_assert_not_null(mkdtemp(tree));
	snprintf(mounts, sizeof(mounts),
		 "1 31 0:38 / %s/m rw - cgroup cgroup rw,memory\n2 31 0:38 / %s/c rw - cgroup cgroup rw,cpu\n"
		 "3 31 0:38 / %s/p rw - cgroup cgroup rw,pids\n",
		 tree, tree, tree);
	put("m", NULL);
	put("m/x", NULL);
	put("m/memory.limit_in_bytes", "9223372036854771712\n");
	put("m/memory.usage_in_bytes", "1\n");
	put("m/x/memory.limit_in_bytes", "1000000\n");
	put("m/x/memory.usage_in_bytes", "1200000\n");
	put("m/x/memory.stat", "inactive_file 9\ntotal_inactive_file 300000\n");
	put("c", NULL);
	put("c/cpu.cfs_quota_us", "-1\n");
	put("c/cpu.cfs_period_us", "100000\n");
	put("p", NULL);
	put("p/pids.max", "0\n");
	put("p/pids.current", "3\n");
	ma_cgroup_limits_read(mounts, "3:memory:/x\n2:cpu:/\n1:pids:/\n0::/\n", &l);
	cr_expect_eq(l.memory_limit, 1000000);
	cr_expect_eq(l.memory_usage, 900000);
	cr_expect_eq(l.cpu_quota, 0);
	cr_expect_eq(l.pids_current, l.pids_max);
	cr_expect_gt(l.pids_max, 0);
	tree_remove();
}

/* ---- on this machine */
static char *text_of(const char *path)
{
	_cleanup_close_ int dir = open("/", O_RDONLY | O_DIRECTORY);
	char *text = NULL;
	size_t bytes;
	ma_error_free(ma_proc_read(dir, path + 1, 1 << 20, &text, &bytes));
	return text;
}

static bool put_number(const char *folder, const char *file, long long v)
{
	char path[300];
	snprintf(path, sizeof(path), "%s/%s", folder, file);
	_cleanup_close_ int fd = open(path, O_WRONLY);
	return fd >= 0 && dprintf(fd, "%lld", v) > 0;
}

Test(cgroup, moves_a_child_to_our_groups)
{
	char folder[256], path[64];
	_cleanup_free_ char *mounts = text_of("/proc/self/mountinfo");
	_cleanup_free_ char *own = text_of("/proc/self/cgroup");
	size_t len;
	cr_assert(mounts && own);
	_cleanup_free_ char *cpu = folder_of(mounts, own, "cpu", &len);
	_cleanup_free_ char *v2 = cpu ? NULL : folder_of(mounts, own, "", &len);
	if (!cpu && !v2)
		cr_skip_test("no cgroup hierarchy is mounted here");
	/* A group beside ours, below the mount. */
	snprintf(folder, sizeof(folder), "%.*s/ma-test-%d", (int)len, cpu ? cpu : v2, getpid());
	if (mkdir(folder, 0755) < 0)
		cr_skip_test("no right to make a cgroup: %s", strerror(errno));
	int end[2];
	char c;
	cr_assert_eq(pipe2(end, O_CLOEXEC), 0);
	pid_t pid = fork();
	cr_assert_geq(pid, 0);
	if (!pid) {
		close(end[1]);
		_exit(read(end[0], &c, 1) != 0);
	}
	bool there = put_number(folder, "cgroup.procs", pid);
	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	_cleanup_free_ char *before = text_of(path);
	bool moved = false;
	_cleanup_free_ char *why = NULL;
	ma_cgroup_move_to_own(pid, before, &moved, &why);
	_cleanup_free_ char *after = text_of(path);
	bool again = false;
	_cleanup_free_ char *why_again = NULL;
	ma_cgroup_move_to_own(pid, after, &again, &why_again);
	close(end[1]);
	waitpid(pid, NULL, 0);
	int removed = rmdir(folder);
	if (there) {
		cr_expect_not_null(strstr(before, "/ma-test-"));
		cr_expect(moved, "%s", why ? why : "");
		cr_expect_str_eq(after, own);
		cr_expect(again);
		cr_expect_null(why_again);
	}
	cr_expect_eq(removed, 0);
	if (!there)
		cr_skip_test("the new cgroup takes no process");
}

Test(cgroup, says_why_it_did_not_move)
{
	int end[2];
	char c;
	cr_assert_eq(pipe2(end, O_CLOEXEC), 0);
	pid_t pid = fork();
	cr_assert_geq(pid, 0);
	if (!pid) {
		close(end[1]);
		_exit(read(end[0], &c, 1) != 0);
	}
	close(end[1]);
	waitpid(pid, NULL, 0); /* nobody to move: the kernel says ESRCH, or EACCES where we may not */
	bool moved = true;
	_cleanup_free_ char *why = NULL;
	ma_cgroup_move_to_own(pid, "9:name=x:/elsewhere\n4:memory:/elsewhere\n1:cpu:/elsewhere\n0::/elsewhere\n",
			      &moved, &why);
	cr_expect_not(moved);
	cr_expect_not_null(why);
}
