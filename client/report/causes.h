// SPDX-License-Identifier: Apache-2.0
/* causes.h - one sentence for each row of memory that is large: why it is there, and what helps. */
#ifndef MA_CAUSES_H
#define MA_CAUSES_H

#include "analysis.h"
#include "buffer.h"

/* Appends the sentence for `row`; nothing when there is nothing to say. Untrusted bytes may be in it (names of types).
 */
void ma_cause(struct ma_buf *b, const struct ma_analysis *a, enum ma_memory_row row);

#endif
