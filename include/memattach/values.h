// SPDX-License-Identifier: Apache-2.0
/* memattach/values.h - which contents of objects go into a snapshot: --values. The agent decides by it, so that what is
 * not asked for never leaves the copy. */
#ifndef MEMATTACH_VALUES_H
#define MEMATTACH_VALUES_H

#include <memattach/siphash.h>
#include <memattach/wire.h>
#include <stdint.h>

struct ma_values_wish {
	uint32_t mode;  /* enum ma_values */
	uint32_t limit; /* MA_VALUES_PREFIX: characters of each, at most MA_VALUES_PREFIX_MAX */
	uint8_t key[MA_SIPHASH_KEY_BYTES]; /* not for MA_VALUES_NONE */
};

#endif
