// link: ma_python ma_elf ma_proc ma_base
// SPDX-License-Identifier: Apache-2.0
/* ma_python_find() on every Python of this machine, and on what is none. */
#include "python_internal.h"
#include "python_target.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <time.h>

static void version_of(const char *python, char *ret, size_t bytes)
{
	char command[1200];
	const char *inside = target_in_tree(python) ? strstr(python, "/usr/bin/") : NULL;
	snprintf(command, sizeof(command), "%s%.*s %s -c 'import platform; print(platform.python_version())'",
		 inside ? "chroot " : "", inside ? (int)(inside - python) : 0, python, inside ? inside : python);
	FILE *f = popen(command, "r");
	cr_assert(f && fgets(ret, (int)bytes, f));
	ret[strcspn(ret, "\n")] = 0;
	pclose(f);
}

static void check_found(const char *python, const struct ma_python *py)
{
	char version[64];
	version_of(python, version, sizeof(version));
	cr_expect_str_eq(py->version, version, "%s", python);
	cr_expect_null(ma_layout_missing(&py->layout), "%s: no %s", python, ma_layout_missing(&py->layout)->id);
	cr_expect_neq(py->runtime, 0);
	cr_expect_eq(strlen(py->build_id), 40, "%s: build-id \"%s\"", python, py->build_id);
	cr_expect_eq(py->layout.minor, py->minor);
	cr_expect_eq(py->layout.debug_build, python[strlen(python) - 1] == 'd');
	cr_expect_eq(py->layout.pool_bytes, py->minor < 10 ? 4096 : 16384);
	if (py->minor <= 11) {
		cr_expect_neq(py->arenas, 0, "%s: arenas", python);
		cr_expect_neq(py->maxarenas, 0, "%s: maxarenas", python);
	}
	bool pyenv = strstr(python, "/versions/");
	if (target_in_tree(python)) /* Debian's packages of debug builds bring debug files along */
		pyenv = py->sources & MA_LAYOUT_DWARF;
	unsigned expected =
		MA_LAYOUT_TABLE | (pyenv ? MA_LAYOUT_DWARF : 0) | (py->minor >= 13 ? MA_LAYOUT_DEBUG_OFFSETS : 0);
	cr_expect_eq(py->sources, expected, "%s: sources %u agree, not %u: run tools/layouts/generate", python,
		     py->sources, expected);
	cr_expect_str_eq(py->source_name, pyenv ? "dwarf" : py->minor >= 13 ? "debug-offsets" : "table");
}

Test(python_find, every_python, .timeout = 100)
{
	char **pythons;
	size_t count = target_pythons(false, &pythons);
	cr_assert_gt(count, 0, "no Python on this machine");
	for (size_t i = 0; i < count; i++) {
		struct target t = target_python(pythons[i], TARGET_WAIT);
		struct ma_python py;
		assert_ok(ma_python_find(t.pid, t.dir, &py));
		check_found(pythons[i], &py);
		ma_python_deinit(&py);
		target_end(&t);
	}
}

/* The addresses of built-in types are what id() says inside. */
Test(python_find, known_types, .timeout = 100)
{
	static const char program[] =
		"import sys\n"
		"print(*map(id, (type, dict, str, type(None), type(sys), type(lambda: 0))), flush=True)\n"
		"sys.stdin.read()";
	static const enum ma_known_type which[] = { MA_KT_TYPE, MA_KT_DICT,   MA_KT_UNICODE,
						    MA_KT_NONE, MA_KT_MODULE, MA_KT_FUNCTION };
	char **pythons;
	size_t count = target_pythons(false, &pythons);
	for (size_t i = 0; i < count; i++) {
		struct target t = target_python(pythons[i], program);
		unsigned long id[6];
		cr_assert_eq(sscanf(t.line, "%lu %lu %lu %lu %lu %lu", &id[0], &id[1], &id[2], &id[3], &id[4], &id[5]),
			     6);
		struct ma_python py;
		assert_ok(ma_python_find(t.pid, t.dir, &py));
		for (size_t k = 0; k < 6; k++)
			cr_expect_eq(py.known[which[k]], id[k], "%s: type %zu at %#lx, not %#lx", pythons[i], k,
				     py.known[which[k]], id[k]);
		ma_python_deinit(&py);
		target_end(&t);
	}
}

Test(python_find, too_old)
{
	char **pythons;
	size_t count = target_pythons(true, &pythons);
	if (!count)
		cr_skip_test("no Python older than 3.8 here");
	for (size_t i = 0; i < count; i++) {
		struct target t =
			target_python(pythons[i], "import sys; print('ready'); sys.stdout.flush(); sys.stdin.read()");
		struct ma_python py;
		char text[32];
		const char *v = strstr(pythons[i], "versions/") + 9;
		snprintf(text, sizeof(text), "Python %.3s is too old: 3.8", v);
		assert_error(ma_python_find(t.pid, t.dir, &py), MA_ERR_UNSUPPORTED, text);
		target_end(&t);
	}
}

Test(python_find, not_python)
{
	char *argv[] = { (char *)"/bin/sh", (char *)"-c", (char *)"echo ready; read x", NULL };
	struct target t = target_start(argv);
	struct ma_python py;
	assert_error(ma_python_find(t.pid, t.dir, &py), MA_ERR_UNSUPPORTED,
		     "is not a Python process: no _PyRuntime in its");
	target_end(&t);
}

Test(python_find, gone)
{
	char **pythons;
	if (!target_pythons(false, &pythons))
		cr_skip_test("no Python here");
	struct target t = target_python(pythons[0], TARGET_WAIT);
	kill(t.pid, SIGKILL);
	waitpid(t.pid, NULL, 0);
	struct ma_python py;
	assert_error(ma_python_find(t.pid, t.dir, &py), MA_ERR_TARGET_GONE, "");
	close(t.dir);
	close(t.stdin_fd);
}

Test(python_find, quick_enough)
{
	char **pythons;
	size_t count = target_pythons(false, &pythons);
	for (size_t i = 0; i < count; i++) {
		struct target t = target_python(pythons[i], TARGET_WAIT);
		struct ma_python py;
		struct timespec a, b;
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
		assert_ok(ma_python_find(t.pid, t.dir, &py));
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
		double s = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
		cr_expect_lt(s, 0.5, "%s: %.3f s of CPU", pythons[i], s); /* 0.02 to 0.06 here; ASan is slower */
		ma_python_deinit(&py);
		target_end(&t);
	}
}

/* Gives up what map_files asks for (CAP_SYS_ADMIN 21, CAP_CHECKPOINT_RESTORE 40), for the rest of this test. */
static void give_up_map_files(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct caps[2];
	cr_assert_eq(syscall(SYS_capget, &head, caps), 0);
	caps[0].effective &= ~(1u << 21);
	caps[1].effective &= ~(1u << (40 - 32));
	cr_assert_eq(syscall(SYS_capset, &head, caps), 0);
}

/* A libpython of its own in a new folder, so that it can be taken away while the program runs. */
static struct target start_with_copy(const char *python, char *dir)
{
	char command[1500];
	cr_assert_not_null(mkdtemp(dir));
	snprintf(command, sizeof(command),
		 "cp $(%s -c 'import sysconfig as s; print(s.get_config_var(\"LIBDIR\") + \"/\" + "
		 "s.get_config_var(\"INSTSONAME\"))') %s/",
		 python, dir);
	cr_assert_eq(system(command), 0);
	snprintf(command, sizeof(command), "LD_LIBRARY_PATH=%s", dir);
	char *argv[] = { (char *)"/usr/bin/env", command, (char *)python, (char *)"-c", (char *)TARGET_WAIT, NULL };
	return target_start(argv);
}

static void with_copy(bool privileged, bool deleted, const char *source)
{
	char **pythons;
	size_t count = target_pythons(false, &pythons);
	for (size_t i = 0; i < count; i++) {
		if (!strstr(pythons[i], "/versions/"))
			continue;
		char dir[] = "/tmp/python-find-test-XXXXXX", command[200];
		struct target t = start_with_copy(pythons[i], dir);
		/* in its place: another library under the same name */
		snprintf(command, sizeof(command), "f=$(echo %s/*); rm $f; cp /proc/%d/exe $f", dir, getpid());
		if (deleted)
			cr_assert_eq(system(command), 0);
		if (!privileged)
			give_up_map_files();
		struct ma_python py;
		assert_ok(ma_python_find(t.pid, t.dir, &py));
		cr_expect(!strncmp(py.libpython, dir, strlen(dir)), "%s", py.libpython);
		cr_expect_eq(strlen(py.build_id), 40, "\"%s\"", py.build_id);
		cr_expect(py.minor > 11 || (py.arenas && py.maxarenas), "%s: arenas", pythons[i]);
		cr_expect_str_eq(py.source_name, py.minor >= 13 && strcmp(source, "dwarf") ? "debug-offsets" : source);
		ma_python_deinit(&py);
		target_end(&t);
		snprintf(command, sizeof(command), "rm -r %s", dir);
		cr_assert_eq(system(command), 0);
	}
}

Test(python_find, by_name_without_map_files, .timeout = 60)
{
	with_copy(false, false, "dwarf");
}

/* An upgrade replaced the file: with map_files the old one still opens. */
Test(python_find, replaced_library, .timeout = 60)
{
	int fd = open("/proc/self/map_files", O_RDONLY | O_DIRECTORY);
	cr_assert_geq(fd, 0);
	close(fd);
	with_copy(geteuid() == 0, true, geteuid() == 0 ? "dwarf" : "table");
}

/* Without it the image is made from memory: symbols and version are there, debug information is not. */
Test(python_find, replaced_library_without_map_files, .timeout = 60)
{
	with_copy(false, true, "table");
}

/* The name leads somewhere else in the target's mount namespace. */
Test(python_find, other_mount_namespace, .timeout = 60)
{
	if (geteuid())
		cr_skip_test("needs root for a mount namespace");
	char **pythons;
	size_t count = target_pythons(false, &pythons);
	for (size_t i = 0; i < count; i++) {
		if (!strstr(pythons[i], "3.11.") && !strstr(pythons[i], "3.8."))
			continue;
		char dir[] = "/tmp/python-find-test-XXXXXX", command[2000];
		cr_assert_not_null(mkdtemp(dir));
		/* a tmpfs that only the target sees, with a copy of the library in it */
		snprintf(command, sizeof(command),
			 "mount -t tmpfs none %s && cp $(%s -c 'import sysconfig as s; "
			 "print(s.get_config_var(\"LIBDIR\") "
			 "+ \"/\" + s.get_config_var(\"INSTSONAME\"))') %s/ && LD_LIBRARY_PATH=%s exec %s -c \"$0\"",
			 dir, pythons[i], dir, dir, pythons[i]);
		char *argv[] = { (char *)"/usr/bin/unshare", (char *)"-m", (char *)"/bin/sh", (char *)"-c", command,
				 (char *)TARGET_WAIT,        NULL };
		struct target t = target_start(argv);
		struct ma_python py;
		for (int round = 0; round < 2; round++) {
			if (round)
				give_up_map_files();
			assert_ok(ma_python_find(t.pid, t.dir, &py));
			cr_expect(!strncmp(py.libpython, dir, strlen(dir)), "%s", py.libpython);
			cr_expect_str_eq(py.source_name, "dwarf");
			cr_expect_neq(access(py.libpython, F_OK), 0, "the test itself must not see it");
			ma_python_deinit(&py);
		}
		target_end(&t);
		rmdir(dir);
		break; /* the capabilities are gone now */
	}
}

Test(python_find, another_user)
{
	if (geteuid())
		cr_skip_test("needs root to become two users");
	char **pythons;
	size_t count = target_pythons(false, &pythons);
	const char *python = pythons[count - 1];
	if (strncmp(python, "/usr/bin/", 9))
		cr_skip_test("no Python that another user may run");
	char *argv[] = { (char *)"/usr/bin/setpriv",
			 (char *)"--reuid=65534",
			 (char *)"--clear-groups",
			 (char *)python,
			 (char *)"-c",
			 (char *)TARGET_WAIT,
			 NULL };
	struct target t = target_start(argv);
	cr_assert_eq(setresgid(65533, 65533, 65533), 0);
	pid_t child = fork();
	if (child == 0) {
		struct ma_python py;
		struct ma_error *err = setresuid(65533, 65533, 65533) ? NULL : ma_python_find(t.pid, t.dir, &py);
		_exit(err && err->code == MA_ERR_PERMISSION && strstr(err->message, "uid") ? 0 : 1);
	}
	int status;
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_expect_eq(status, 0, "not refused with MA_ERR_PERMISSION and the uid check");
	target_end(&t);
}

/* A stripped library whose debug file lies in the target's root, as Debian installs it: taken by its build-id. */
Test(python_find, separate_debug_file, .timeout = 60)
{
	if (geteuid())
		cr_skip_test("needs root for a mount namespace");
	if (system("command -v objcopy >/dev/null"))
		cr_skip_test("no objcopy");
	static const char script[] =
		"d=$1 p=$2 lib=$(\"$2\" -c 'import sysconfig as s; print(s.get_config_var(\"LIBDIR\") + \"/\" + "
		"s.get_config_var(\"INSTSONAME\"))')\n"
		"set -e; mkdir -p /usr/lib/debug; mount -t tmpfs none \"$d\"; mount -t tmpfs none /usr/lib/debug\n"
		"id=$(readelf -n \"$lib\" | sed -n 's/.*Build ID: //p'); k=${id#??}; h=${id%\"$k\"}\n"
		"mkdir -p /usr/lib/debug/.build-id/$h\n"
		"objcopy --only-keep-debug \"$lib\" /usr/lib/debug/.build-id/$h/$k.debug\n"
		"strip -o \"$d/${lib##*/}\" \"$lib\"\n"
		"LD_LIBRARY_PATH=$d exec \"$p\" -c \"$3\"";
	char **pythons;
	size_t count = target_pythons(false, &pythons);
	for (size_t i = 0; i < count; i++) {
		if (!strstr(pythons[i], "/versions/"))
			continue;
		char dir[] = "/tmp/python-find-test-XXXXXX";
		cr_assert_not_null(mkdtemp(dir));
		char *argv[] = { (char *)"/usr/bin/unshare",
				 (char *)"-m",
				 (char *)"/bin/sh",
				 (char *)"-c",
				 (char *)script,
				 (char *)"sh",
				 dir,
				 pythons[i],
				 (char *)TARGET_WAIT,
				 NULL };
		struct target t = target_start(argv);
		struct ma_python py;
		assert_ok(ma_python_find(t.pid, t.dir, &py));
		cr_expect(!strncmp(py.libpython, dir, strlen(dir)), "%s", py.libpython);
		cr_expect_str_eq(py.source_name, "dwarf", "%s: %s", pythons[i], py.source_name);
		cr_expect(py.minor > 11 || (py.arenas && py.maxarenas));
		ma_python_deinit(&py);
		target_end(&t);
		rmdir(dir);
	}
}
