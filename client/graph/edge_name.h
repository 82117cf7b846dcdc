// SPDX-License-Identifier: Apache-2.0
/* edge_name.h - an edge as Python would write it: ".attr", "[3]", "[<str>]", "['k']", "<key>". */
#ifndef MA_EDGE_NAME_H
#define MA_EDGE_NAME_H

#include "buffer.h"

#include <memattach/snapshot.h>

/* Appends the name of `e` as stored (not yet escaped). `key_type` is the name of the type of a value's key, NULL when
 * not known; `key` its value, NULL when not known or not wanted. Plain references give "". */
void ma_edge_name(struct ma_buf *b, const struct ma_snap *s, const struct ma_snap_edge *e, const char *key_type,
		  const struct ma_snap_value *key);
/* The text of name `id`; empty when it is 0 or its definition is lost. */
struct ma_str ma_snap_name(const struct ma_snap *s, uint32_t id);

#endif
