// SPDX-License-Identifier: Apache-2.0
/* buffers.h - memory outside Python's own structures that objects of extensions own: each byte counted once. */
#ifndef MA_BUFFERS_H
#define MA_BUFFERS_H

#include <memattach/snapshot.h>

/* MA_BUFFER(kind of wire.h, name in JSON and SQL, text in the report, rank: a byte in two ranges counts for the lower)
 */
#define MA_BUFFER_KINDS(MA_BUFFER)                                      \
	MA_BUFFER(NUMPY, "numpy", "arrays of numpy", 0)                 \
	MA_BUFFER(ARROW, "arrow", "Arrow", 1)                           \
	MA_BUFFER(PANDAS, "pandas", "hash tables of pandas", 1)         \
	MA_BUFFER(STRINGS, "strings", "text of numpy's StringDType", 1) \
	MA_BUFFER(FOREIGN, "foreign", "arrays over native memory", 2)   \
	MA_BUFFER(CHUNK, "malloc", "blocks of malloc, by estimate", 3)

enum ma_buffer_row {
#define MA_BUFFER(id, name, text, rank) MA_BUFFER_##id,
	MA_BUFFER_KINDS(MA_BUFFER)
#undef MA_BUFFER
		MA_BUFFER_OTHER, /* of a later version */
	MA_BUFFER_COUNT
};

struct ma_buffer {
	uint64_t addr, bytes, owner;
	uint64_t counted; /* of bytes: what no row before it has */
	uint32_t row;     /* enum ma_buffer_row */
};

struct ma_buffers {
	struct ma_buffer *list; /* by rank, then address */
	size_t count;
	struct {
		uint64_t count, bytes, counted;
	} rows[MA_BUFFER_COUNT];
};

MA_CHECK struct ma_error *ma_buffers_compute(const struct ma_snap *s, struct ma_buffers *ret);
void ma_buffers_deinit(struct ma_buffers *b);
const char *ma_buffer_name(enum ma_buffer_row row);
const char *ma_buffer_text(enum ma_buffer_row row);
/* Its bytes are in the sizes of objects already; it is an estimate. */
static inline bool ma_buffer_in_sizes(enum ma_buffer_row row)
{
	return row == MA_BUFFER_NUMPY;
}
static inline bool ma_buffer_estimate(enum ma_buffer_row row)
{
	return row == MA_BUFFER_CHUNK || row == MA_BUFFER_OTHER;
}

#endif
