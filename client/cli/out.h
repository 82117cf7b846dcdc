// SPDX-License-Identifier: Apache-2.0
/* out.h - output that remembers why a write failed: stdio keeps the fact, but not the errno. */
#ifndef MA_OUT_H
#define MA_OUT_H

#include <memattach/error.h>
#include <stdio.h>

/* A stream over descriptor `fd`, which stays open. NULL when memory is out. */
FILE *ma_out_open(int fd, int *errnum);
/* Flushes and closes. The first failure of any write as an error; a reader that went away (EPIPE) is the error with
 * errnum EPIPE, for the caller to pass over in silence. */
struct ma_error *ma_out_close(FILE *out, const int *errnum) __attribute__((warn_unused_result));

#endif
