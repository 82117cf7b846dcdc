// SPDX-License-Identifier: Apache-2.0
/* criterion.h - as much of criterion's interface as the tests of tests/plain use, for a plain program: every test is a
 * function that main() calls in a fork of itself. Criterion 2.4.1 starts each test in a worker, which does not start
 * under TSan, and what valgrind and LeakSanitizer find in it is lost. */
#ifndef MA_PLAIN_CRITERION_H
#define MA_PLAIN_CRITERION_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct plain_test {
	const char *name;
	void (*body)(void);
	void (*init)(void), (*fini)(void);
	double timeout;
	int disabled, signal, exit_code;
	const char *description;
	struct plain_test *next;
};

void plain_add(struct plain_test *t);
void plain_add_suite(struct plain_test *t); /* its init and fini are those of all of its tests */
void plain_failed(const char *file, int line, const char *what, ...);
_Noreturn void plain_stop(void); /* ends the test */
_Noreturn void plain_skip(void);

#define Test(suite, test, ...)                                                            \
	static void suite##_##test##_body(void);                                          \
	static struct plain_test suite##_##test##_test = { .name = #suite "/" #test,      \
							   .body = suite##_##test##_body, \
							   ##__VA_ARGS__ };               \
	__attribute__((constructor)) static void suite##_##test##_add(void)               \
	{                                                                                 \
		plain_add(&suite##_##test##_test);                                        \
	}                                                                                 \
	static void suite##_##test##_body(void)

#define TestSuite(suite, ...)                                                       \
	static struct plain_test suite##_suite = { .name = #suite, ##__VA_ARGS__ }; \
	__attribute__((constructor)) static void suite##_suite_add(void)            \
	{                                                                           \
		plain_add_suite(&suite##_suite);                                    \
	}                                                                           \
	struct plain_test

/* The message after the condition is a format that may be left out: it is printed as text, its arguments are not. */
#define PLAIN_CHECK(stop, good, ...)                                            \
	do {                                                                    \
		if (!(good)) {                                                  \
			plain_failed(__FILE__, __LINE__, #good, ##__VA_ARGS__); \
			if (stop)                                               \
				plain_stop();                                   \
		}                                                               \
	} while (0)

#define cr_assert(c, ...) PLAIN_CHECK(1, c, ##__VA_ARGS__)
#define cr_expect(c, ...) PLAIN_CHECK(0, c, ##__VA_ARGS__)
#define cr_assert_not(c, ...) PLAIN_CHECK(1, !(c), ##__VA_ARGS__)
#define cr_expect_not(c, ...) PLAIN_CHECK(0, !(c), ##__VA_ARGS__)
#define cr_assert_eq(a, b, ...) PLAIN_CHECK(1, (a) == (b), ##__VA_ARGS__)
#define cr_expect_eq(a, b, ...) PLAIN_CHECK(0, (a) == (b), ##__VA_ARGS__)
#define cr_assert_neq(a, b, ...) PLAIN_CHECK(1, (a) != (b), ##__VA_ARGS__)
#define cr_expect_neq(a, b, ...) PLAIN_CHECK(0, (a) != (b), ##__VA_ARGS__)
#define cr_assert_lt(a, b, ...) PLAIN_CHECK(1, (a) < (b), ##__VA_ARGS__)
#define cr_expect_lt(a, b, ...) PLAIN_CHECK(0, (a) < (b), ##__VA_ARGS__)
#define cr_assert_leq(a, b, ...) PLAIN_CHECK(1, (a) <= (b), ##__VA_ARGS__)
#define cr_expect_leq(a, b, ...) PLAIN_CHECK(0, (a) <= (b), ##__VA_ARGS__)
#define cr_assert_gt(a, b, ...) PLAIN_CHECK(1, (a) > (b), ##__VA_ARGS__)
#define cr_expect_gt(a, b, ...) PLAIN_CHECK(0, (a) > (b), ##__VA_ARGS__)
#define cr_assert_geq(a, b, ...) PLAIN_CHECK(1, (a) >= (b), ##__VA_ARGS__)
#define cr_expect_geq(a, b, ...) PLAIN_CHECK(0, (a) >= (b), ##__VA_ARGS__)
#define cr_assert_null(p, ...) PLAIN_CHECK(1, !(p), ##__VA_ARGS__)
#define cr_expect_null(p, ...) PLAIN_CHECK(0, !(p), ##__VA_ARGS__)
#define cr_assert_not_null(p, ...) PLAIN_CHECK(1, (p) != NULL, ##__VA_ARGS__)
#define cr_expect_not_null(p, ...) PLAIN_CHECK(0, (p) != NULL, ##__VA_ARGS__)
#define cr_assert_str_eq(a, b, ...) PLAIN_CHECK(1, !strcmp(a, b), ##__VA_ARGS__)
#define cr_expect_str_eq(a, b, ...) PLAIN_CHECK(0, !strcmp(a, b), ##__VA_ARGS__)
#define cr_assert_str_neq(a, b, ...) PLAIN_CHECK(1, strcmp(a, b), ##__VA_ARGS__)
#define cr_expect_str_neq(a, b, ...) PLAIN_CHECK(0, strcmp(a, b), ##__VA_ARGS__)
#define cr_assert_arr_eq(a, b, n, ...) PLAIN_CHECK(1, !memcmp(a, b, n), ##__VA_ARGS__)
#define cr_expect_arr_eq(a, b, n, ...) PLAIN_CHECK(0, !memcmp(a, b, n), ##__VA_ARGS__)
#define cr_assert_fail(...) PLAIN_CHECK(1, 0, ##__VA_ARGS__)
#define cr_fail(...) PLAIN_CHECK(0, 0, ##__VA_ARGS__)
#define cr_skip(...) plain_skip()
#define cr_skip_test(...) plain_skip()

#endif
