// SPDX-License-Identifier: Apache-2.0
/* value_text.h - the value of an object in words: as a key in a path, and alone. The bytes of strings stay as the
 * target had them: whoever prints them escapes them (escape.h). */
#ifndef MA_VALUE_TEXT_H
#define MA_VALUE_TEXT_H

#include "buffer.h"

#include <memattach/snapshot.h>

/* As a key: 'k', b'\x00', 42, 0.5, True where the value is in the snapshot, <str #a41f, 1 char> with its hash, else
 * <str>. `v` may be NULL: no value. */
void ma_value_key(struct ma_buf *b, const char *type, const struct ma_snap_value *v);
/* Alone: the text of a str; bytes as ASCII with \\ and \xNN; an int in decimal. Nothing for a float (see
 * ma_value_float) or without text. */
void ma_value_content(struct ma_buf *b, const struct ma_snap_value *v);
/* true and *ret when it is an int of 64 bits. */
bool ma_value_int64(const struct ma_snap_value *v, int64_t *ret);
bool ma_value_float(const struct ma_snap_value *v, double *ret);
/* Is the text only the beginning? */
bool ma_value_is_cut(const struct ma_snap_value *v);

#endif
