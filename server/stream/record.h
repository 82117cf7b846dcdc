// SPDX-License-Identifier: Apache-2.0
/* record.h - a struct as fields of tag, length and bytes, by a table. A reader skips a tag that it does not know,
 * so fields can be added; one that does not come keeps its value, 0. */
#ifndef MA_RECORD_H
#define MA_RECORD_H

#include "buffer.h"

#include <memattach/types.h>

#define MA_RECORD_TEXT_MAX (1u << 16)

enum ma_field_type {
	MA_FIELD_BOOL,   /* bool */
	MA_FIELD_U32,    /* 4 bytes unsigned */
	MA_FIELD_PID,    /* pid_t: 0 to INT_MAX */
	MA_FIELD_U64,    /* uint64_t */
	MA_FIELD_DOUBLE, /* finite */
	MA_FIELD_TEXT,   /* char *, owned by the struct, or NULL; at most MA_RECORD_TEXT_MAX bytes, without a NUL */
	MA_FIELD_KEY,    /* uint8_t[MA_SIPHASH_KEY_BYTES] */
};

struct ma_field {
	uint16_t tag; /* above 0; never given a new meaning */
	uint16_t type;
	uint32_t off; /* in the struct */
};

/* Fields that are 0, or a NULL text, are left out. */
void ma_record_put(struct ma_buf *b, const struct ma_field *fields, size_t count, const void *record);
/* *record must be zeroed; its texts are the caller's also after an error. MA_ERR_BAD_DATA: not such fields. */
MA_CHECK struct ma_error *ma_record_get(const void *data, size_t bytes, const struct ma_field *fields, size_t count,
					void *record);
void ma_record_free(const struct ma_field *fields, size_t count, void *record);

#endif
