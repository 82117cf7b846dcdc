// SPDX-License-Identifier: Apache-2.0
/* snapshot_dump.h - all that a snapshot holds, as text, one record a line: to compare whole files. */
#ifndef MA_TEST_SNAPSHOT_DUMP_H
#define MA_TEST_SNAPSHOT_DUMP_H

#include "buffer.h"

#include <memattach/snapshot.h>

/* Appends the tables and then every object with its edges. Control bytes and bytes over 126 are written as \xNN. */
MA_CHECK struct ma_error *snap_dump(const struct ma_snap *s, struct ma_buf *out);

#endif
