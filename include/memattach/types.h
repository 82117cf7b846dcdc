// SPDX-License-Identifier: Apache-2.0
/* memattach/types.h - scalar types and units shared by all public headers. */
#ifndef MEMATTACH_TYPES_H
#define MEMATTACH_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MA_API __attribute__((visibility("default")))
#define MA_CHECK __attribute__((warn_unused_result))

/* An address in the target or its twin; never one of ours. */
typedef uint64_t ma_raddr;

#endif
