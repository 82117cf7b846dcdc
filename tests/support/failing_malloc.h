// SPDX-License-Identifier: Apache-2.0
/* failing_malloc.h - an allocator whose n-th call fails. A test that uses it replaces malloc, calloc and realloc of
 * the whole program (glibc; not under a sanitizer, which has its own). */
#ifndef MA_TEST_FAILING_MALLOC_H
#define MA_TEST_FAILING_MALLOC_H

#include <stdbool.h>

/* False under a sanitizer: skip the test. */
bool failing_malloc_works(void);
/* From now on the n-th allocation (counted from 1, in all threads) and, with `all_after`, those behind it fail. */
void failing_malloc_arm(long n, bool all_after);
/* Back to normal. True when an allocation failed. */
bool failing_malloc_disarm(void);

#endif
