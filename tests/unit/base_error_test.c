// link: ma_test_support ma_base
// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "failing_malloc.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

Test(error, message_and_code)
{
	struct ma_error *err = ma_errorf(MA_ERR_BAD_DATA, "%s at %d", "here", 7);
	cr_assert_eq(err->code, MA_ERR_BAD_DATA);
	cr_assert_eq(err->errnum, 0);
	cr_assert_str_eq(err->message, "here at 7");
	ma_error_free(err);
	ma_error_free(NULL);
}

Test(error, of_the_system)
{
	struct ma_error *err = ma_error_os(EACCES, "open %s", "x");
	cr_assert_eq(err->code, MA_ERR_OS);
	cr_assert_eq(err->errnum, EACCES);
	cr_assert_str_eq(err->message, "open x: Permission denied");
	ma_error_free(err);
	err = ma_error_os(ESRCH, "x");
	cr_assert_eq(err->code, MA_ERR_TARGET_GONE);
	ma_error_free(err);
	err = ma_error_os(ENOMEM, "x");
	cr_assert_eq(err->code, MA_ERR_NO_MEMORY);
	ma_error_free(err);
}

Test(error, prefix)
{
	struct ma_error *err = ma_error_prefix(ma_errorf(MA_ERR_LIMIT, "too much"), "pid %d", 3);
	cr_assert_str_eq(err->message, "pid 3: too much");
	cr_assert_eq(err->code, MA_ERR_LIMIT);
	ma_error_free(err);
	cr_assert_eq(ma_error_prefix(&ma_enomem, "x"), &ma_enomem, "the static error is not changed");
	cr_assert_str_eq(ma_enomem.message, "out of memory");
	ma_error_free(&ma_enomem);
}

/* design.md section 10 */
Test(error, exit_codes)
{
	static const struct {
		enum ma_error_code code;
		int exit;
	} table[] = {
		{ MA_ERR_OS, 1 },         { MA_ERR_NO_MEMORY, 1 },   { MA_ERR_USAGE, 2 },    { MA_ERR_TARGET_GONE, 3 },
		{ MA_ERR_PERMISSION, 4 }, { MA_ERR_UNSUPPORTED, 5 }, { MA_ERR_BAD_DATA, 6 }, { MA_ERR_LIMIT, 7 },
		{ MA_ERR_TIMEOUT, 1 },    { MA_ERR_CANCELLED, 1 },
	};
	for (size_t i = 0; i < MA_ARRAY_SIZE(table); i++) {
		struct ma_error e = { .code = table[i].code };
		cr_assert_eq(ma_error_exit_code(&e), table[i].exit, "code %d", e.code);
	}
	cr_assert_eq(ma_error_exit_code(NULL), 0);
}

Test(error, without_memory)
{
	if (!failing_malloc_works())
		cr_skip("a sanitizer has its own allocator");
	failing_malloc_arm(1, true);
	struct ma_error *a = ma_errorf(MA_ERR_USAGE, "x"), *b = ma_error_os(EIO, "x");
	cr_assert(failing_malloc_disarm());
	cr_assert_eq(a, &ma_enomem);
	cr_assert_eq(b, &ma_enomem);
	struct ma_error *err = ma_errorf(MA_ERR_USAGE, "x");
	failing_malloc_arm(1, true);
	struct ma_error *same = ma_error_prefix(err, "longer than anything");
	cr_assert(failing_malloc_disarm());
	cr_assert_eq(same, err, "an error is never lost for its prefix");
	cr_assert_str_eq(same->message, "x");
	ma_error_free(same);
}

static struct ma_error *tries(struct ma_error *err, int *after)
{
	MA_TRY(err);
	++*after;
	return NULL;
}

Test(cleanup, try)
{
	int after = 0;
	struct ma_error *err = ma_errorf(MA_ERR_USAGE, "x");
	cr_assert_eq(tries(err, &after), err);
	cr_assert_eq(after, 0);
	ma_error_free(err);
	cr_assert_null(tries(NULL, &after));
	cr_assert_eq(after, 1);
}

Test(cleanup, closes_and_gives_away)
{
	int kept, given;
	{
		_cleanup_close_ int a = open("/dev/null", O_RDONLY | O_CLOEXEC);
		_cleanup_close_ int b = open("/dev/null", O_RDONLY | O_CLOEXEC);
		cr_assert(a >= 0 && b >= 0);
		kept = a;
		given = ma_take_fd(b);
		cr_assert_eq(b, -1);
	}
	cr_assert_eq(fcntl(kept, F_GETFD), -1);
	cr_assert_neq(fcntl(given, F_GETFD), -1);
	close(given);
	_cleanup_free_ char *p = strdup("x");
	char *q = ma_take_ptr(p);
	cr_assert_null(p);
	free(q);
}
