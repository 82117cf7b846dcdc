// SPDX-License-Identifier: Apache-2.0
/* memattach/error.h - the one error type of every library here.
 *
 * A function that can fail returns `struct ma_error *`: NULL is success. The caller owns a non-NULL
 * error and ends it with ma_error_free() (or _cleanup_error_). Out-parameters are set on success only.
 * Codes name what the caller can do about it; libraries return, only client/cli and server/main print.
 */
#ifndef MEMATTACH_ERROR_H
#define MEMATTACH_ERROR_H

#include <stdarg.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default) /* what libmemattach.so exports */

enum ma_error_code {
	MA_ERR_OS = 1,      /* a system call failed: errnum says why */
	MA_ERR_NO_MEMORY,   /* ours, never the target's */
	MA_ERR_USAGE,       /* the caller asked for something that makes no sense */
	MA_ERR_TARGET_GONE, /* the target exited, was killed, or ran another program: an expected result */
	MA_ERR_PERMISSION,  /* the message names the check that failed and the command that helps */
	MA_ERR_UNSUPPORTED, /* this target, Python or machine is not supported: refused by name */
	MA_ERR_BAD_DATA,    /* bytes from a target, a file or a network are not what they should be */
	MA_ERR_TIMEOUT,     /* a deadline passed */
	MA_ERR_LIMIT,       /* a limit the user set was passed */
	MA_ERR_CANCELLED,   /* the user interrupted us */
};

struct ma_error {
	enum ma_error_code code;
	int errnum;    /* errno where it happened, 0 if none */
	char *message; /* one line, no newline at its end; strings from a target in it are not yet escaped */
};

/* The process exit codes of design.md section 10: 0 done, 1 failed, 2 usage, 3 target gone, 4 not
 * permitted, 5 not supported, 6 bad data, 7 a limit was passed. */
int ma_error_exit_code(const struct ma_error *err);

/* New error. Never NULL: when memory is out it is the static ma_enomem. */
struct ma_error *ma_errorf(enum ma_error_code code, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), warn_unused_result));
/* The same with errno `errnum`; ": <strerror>" is appended to the message. Code MA_ERR_OS, except
 * ESRCH (MA_ERR_TARGET_GONE) and ENOMEM (MA_ERR_NO_MEMORY). */
struct ma_error *ma_error_os(int errnum, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), warn_unused_result));
/* Puts "prefix: " before the message of err and returns err. */
struct ma_error *ma_error_prefix(struct ma_error *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), warn_unused_result));
void ma_error_free(struct ma_error *err);

extern struct ma_error ma_enomem;

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
