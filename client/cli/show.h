// SPDX-License-Identifier: Apache-2.0
/* show.h - the report of a snapshot file, as `memattach PID` and `memattach report` print it. */
#ifndef MA_SHOW_H
#define MA_SHOW_H

#include "cli.h"

/* `id`: its id in the catalogue, by which it is shown then; or "". `taken_ns`: how long taking it took, 0 when it was
 * there before. */
MA_CHECK struct ma_error *ma_show_report(const struct ma_cli *cli, const char *path, const char *id, uint64_t taken_ns);

#endif
