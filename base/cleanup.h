// SPDX-License-Identifier: Apache-2.0
/* cleanup.h - ownership made visible: a variable marked _cleanup_x_ is released when its scope ends,
 * ma_take_ptr()/ma_take_fd() move it out. */
#ifndef MA_CLEANUP_H
#define MA_CLEANUP_H

#include <memattach/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((__cleanup__(f), __unused__)) /* clang does not count the cleanup as a use */

static inline void ma_free_p(void *p)
{
	free(*(void **)p);
}
static inline void ma_close_p(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
static inline void ma_fclose_p(FILE **f)
{
	if (*f)
		fclose(*f);
}
static inline void ma_error_p(struct ma_error **err)
{
	ma_error_free(*err);
}

#define _cleanup_free_ _cleanup_(ma_free_p)
#define _cleanup_close_ _cleanup_(ma_close_p)
#define _cleanup_fclose_ _cleanup_(ma_fclose_p)
#define _cleanup_error_ _cleanup_(ma_error_p)

#define ma_take_ptr(p)                \
	({                            \
		__auto_type p_ = (p); \
		(p) = NULL;           \
		p_;                   \
	})
#define ma_take_fd(fd)          \
	({                      \
		int fd_ = (fd); \
		(fd) = -1;      \
		fd_;            \
	})

/* if (err = expr) return err */
#define MA_TRY(expr)                            \
	do {                                    \
		struct ma_error *err_ = (expr); \
		if (err_)                       \
			return err_;            \
	} while (0)

#define MA_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
