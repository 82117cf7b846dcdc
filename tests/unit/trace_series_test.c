// link: ma_trace
// SPDX-License-Identifier: Apache-2.0
#include "series.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char home[64];

static void set_up(void)
{
	snprintf(home, sizeof(home), "/tmp/ma-series-XXXXXX");
	cr_assert_not_null(mkdtemp(home));
	setenv("XDG_RUNTIME_DIR", home, 1);
}

static void tear_down(void)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/memattach/42-7", home);
	unlink(path);
	snprintf(path, sizeof(path), "%s/memattach", home);
	rmdir(path);
	rmdir(home);
}

static const struct ma_series_call call = { .tid = 43, .nr = 45, .pc = 0x1000, .sp = 0x2000, .arg0 = 5 };

Test(series, once_for_each_run, .init = set_up, .fini = tear_down)
{
	struct ma_series s;
	ma_series_load(42, 7, &s);
	cr_assert(ma_series_allow(&s, &call, 0));
	cr_assert(ma_series_allow(&s, &call, 0), "the second stop of the same run repairs as well");
	ma_series_store(&s);

	ma_series_load(42, 7, &s);
	cr_assert_eq(s.count, 1);
	cr_assert_not(ma_series_allow(&s, &call, 0), "the next run lets EINTR through");
	ma_series_store(&s);

	ma_series_load(42, 7, &s);
	cr_assert_eq(s.count, 0);
	cr_assert(ma_series_allow(&s, &call, 0), "then the program is in a new call");
}

static void old_file(const char *name)
{
	char path[128];
	const struct timespec then[2] = { { 1000, 0 }, { 1000, 0 } };
	snprintf(path, sizeof(path), "%s/memattach/%s", home, name);
	FILE *f = fopen(path, "w");
	cr_assert(f && fputs("1 2 3 4 5 6\n", f) >= 0 && fclose(f) == 0);
	cr_assert_eq(utimensat(AT_FDCWD, path, then, 0), 0);
}

/* False, too, if it was not there. */
static bool remove_file(const char *name)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/memattach/%s", home, name);
	return unlink(path) == 0;
}

Test(series, files_of_processes_that_ended_go, .init = set_up, .fini = tear_down)
{
	struct ma_series s;
	ma_series_load(42, 7, &s);
	old_file("41-6");
	old_file("undo-41-6-1");
	ma_series_store(&s);
	cr_assert(remove_file("41-6"), "nothing was to be stored");
	old_file("41-6");
	cr_assert(ma_series_allow(&s, &call, 0));
	ma_series_store(&s);
	cr_assert_not(remove_file("41-6"));
	cr_assert(remove_file("undo-41-6-1"), "what has another name is not ours");
	cr_assert(remove_file("42-7"));
}

Test(series, another_call_is_not_the_same, .init = set_up, .fini = tear_down)
{
	struct ma_series s;
	struct ma_series_call other = call;
	ma_series_load(42, 7, &s);
	cr_assert(ma_series_allow(&s, &call, 0));
	ma_series_store(&s);
	other.sp += 64;
	ma_series_load(42, 7, &s);
	cr_assert(ma_series_allow(&s, &other, 0));
}

Test(series, a_thread_that_ran_between_is_in_a_new_call, .init = set_up, .fini = tear_down)
{
	struct ma_series s;
	ma_series_load(42, 7, &s);
	cr_assert(ma_series_allow(&s, &call, 0));
	s.calls[0].at_ns -= 2000000000u; /* two seconds ago */
	ma_series_store(&s);
	ma_series_load(42, 7, &s);
	cr_assert(ma_series_allow(&s, &call, 1000000), "blocked for 1 ms only");
}

Test(series, a_damaged_file_or_a_foreign_folder_is_an_empty_series, .init = set_up, .fini = tear_down)
{
	struct ma_series s;
	char path[128];
	ma_series_load(42, 7, &s);
	FILE *f = fopen(s.path, "w");
	cr_assert_not_null(f);
	fputs("43 x y z\n", f);
	fclose(f);
	ma_series_load(42, 7, &s);
	cr_assert_eq(s.count, 0);
	snprintf(path, sizeof(path), "%s/memattach", home);
	chmod(path, 0777);
	ma_series_load(42, 7, &s);
	cr_assert_eq(s.path[0], 0, "a folder that others can write to is not used");
}
