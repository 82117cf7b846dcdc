// SPDX-License-Identifier: Apache-2.0
/* huge.h - large arrays in huge pages, where the kernel gives them on request: a tenth less time for all that goes
 * through a graph in any order. */
#ifndef MA_HUGE_H
#define MA_HUGE_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#define MA_HUGE_LEAST ((size_t)4 << 20) /* malloc gives what is larger a mapping of its own, mostly */

/* An array that was just allocated and will be filled; returns it. NULL is allowed. */
static inline void *ma_huge(void *p, size_t bytes)
{
	const uintptr_t page = 4096;
	uintptr_t start = ((uintptr_t)p + page - 1) & ~(page - 1), end = ((uintptr_t)p + bytes) & ~(page - 1);
	if (p && bytes >= MA_HUGE_LEAST && start < end)
		(void)madvise((void *)start, end - start, MADV_HUGEPAGE); /* no harm where it fails */
	return p;
}

static inline void *ma_huge_malloc(size_t count, size_t bytes)
{
	void *p = reallocarray(NULL, count, bytes);
	return ma_huge(p, count * bytes);
}

static inline void *ma_huge_calloc(size_t count, size_t bytes)
{
	void *p = calloc(count, bytes);
	return ma_huge(p, p ? count * bytes : 0);
}

#endif
