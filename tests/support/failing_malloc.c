// SPDX-License-Identifier: Apache-2.0
#include "failing_malloc.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define REPLACES 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define REPLACES 0
#endif
#endif
#ifndef REPLACES
#define REPLACES 1
#endif

static atomic_long calls_left; /* 0 = not armed */
static atomic_bool fail_all, failed;

bool failing_malloc_works(void)
{
	return REPLACES;
}

void failing_malloc_arm(long n, bool all_after)
{
	atomic_store(&failed, false);
	atomic_store(&fail_all, all_after);
	atomic_store(&calls_left, n);
}

bool failing_malloc_disarm(void)
{
	atomic_store(&calls_left, 0);
	atomic_store(&fail_all, false);
	return atomic_load(&failed);
}

#if REPLACES
/* glibc's own names for what is replaced here. */
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
__attribute__((visibility("default"))) void *malloc(size_t);
__attribute__((visibility("default"))) void *calloc(size_t, size_t);
__attribute__((visibility("default"))) void *realloc(void *, size_t);

static bool fails(void)
{
	bool now;
	if (atomic_load(&calls_left) > 0)
		now = atomic_fetch_sub(&calls_left, 1) == 1;
	else
		now = atomic_load(&failed) && atomic_load(&fail_all);
	if (now) {
		atomic_store(&failed, true);
		errno = ENOMEM;
	}
	return now;
}

void *malloc(size_t bytes)
{
	return fails() ? NULL : __libc_malloc(bytes);
}

void *calloc(size_t n, size_t bytes)
{
	return fails() ? NULL : __libc_calloc(n, bytes);
}

void *realloc(void *p, size_t bytes)
{
	return fails() ? NULL : __libc_realloc(p, bytes);
}
#endif
