// SPDX-License-Identifier: Apache-2.0
/* series_key.h - the key of the hashes of values. Snapshots taken by one user on one machine share it, so that strings
 * can be matched between them. It stays in the folder of the snapshots and is in none of them. */
#ifndef MA_CLI_SERIES_KEY_H
#define MA_CLI_SERIES_KEY_H

#include <memattach/error.h>
#include <memattach/types.h>
#include <memattach/values.h>

/* Reads the key, or makes it (0600) where there is none. When neither is possible the key is a random one for this
 * snapshot alone, and *note_ret says why; the caller frees it. */
MA_CHECK struct ma_error *ma_series_key_get(uint8_t key[MA_SIPHASH_KEY_BYTES], char **note_ret);

#endif
