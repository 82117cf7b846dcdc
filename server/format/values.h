// SPDX-License-Identifier: Apache-2.0
/* values.h - the column of values beside the objects, read in step with them (memattach/wire.h, VALUES). */
#ifndef MA_FORMAT_VALUES_H
#define MA_FORMAT_VALUES_H

#include "snap.h"

struct ma_value_reader;
MA_CHECK struct ma_error *ma_value_reader_create(const struct ma_snap *s, struct ma_value_reader **ret);
void ma_value_reader_destroy(struct ma_value_reader *r);
/* A block of objects begins: chunk is its place in s->chunks, first the address / 8 of its first record. Chunks only
 * grow. */
MA_CHECK struct ma_error *ma_value_reader_block(struct ma_value_reader *r, size_t chunk, uint64_t first);
/* The value of its next object of a type with MA_TF_VALUES. ret->known is false when the values of the block are lost.
 */
MA_CHECK struct ma_error *ma_value_reader_next(struct ma_value_reader *r, const struct ma_snap_type *t,
					       const struct ma_snap_object *o, struct ma_snap_value *ret);

#endif
