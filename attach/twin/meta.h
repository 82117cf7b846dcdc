// SPDX-License-Identifier: Apache-2.0
/* meta.h - the blocks that the tool itself writes: META, REGIONS, RESULT (wire.h). */
#ifndef MA_META_H
#define MA_META_H

#include "buffer.h"
#include "channel.h"
#include "fill.h"
#include "proc.h"
#include "python.h"

#include <memattach/attach.h>

void ma_meta_u64(struct ma_buf *b, enum ma_meta_tag tag, uint64_t value);
void ma_meta_text(struct ma_buf *b, enum ma_meta_tag tag, const char *text);

/* What is known of the target before it is stopped. `dir` is /proc/PID. */
MA_CHECK struct ma_error *ma_meta_target(struct ma_buf *b, int dir, const struct ma_attach_options *options,
					 const struct ma_status *status, const struct ma_python *py,
					 const struct ma_preflight *pre);
/* The interpreter, and which values of its objects are written. */
void ma_meta_python(struct ma_buf *b, const struct ma_attach_options *options, const struct ma_python *py);
void ma_meta_stopped(struct ma_buf *b, const struct ma_msg_stopped *s);
void ma_meta_done(struct ma_buf *b, const struct ma_msg_done *d);

/* Hands the fields in `b` to the sink as one block of `kind`, META or RESULT. */
MA_CHECK struct ma_error *ma_meta_emit(struct ma_sink *sink, enum ma_block_kind kind, const struct ma_buf *b);

/* The text of smaps in `fd`, as REGIONS blocks. Mappings of ours (ring, twin page, agent) are not in it. */
MA_CHECK struct ma_error *ma_meta_regions(struct ma_sink *sink, int fd, const struct ma_kept_out *kept_out,
					  size_t count);

#endif
