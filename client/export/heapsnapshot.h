// SPDX-License-Identifier: Apache-2.0
/* heapsnapshot.h - the .heapsnapshot of V8, for the memory panel of Chrome and Edge, VS Code, and memlab. */
#ifndef MA_HEAPSNAPSHOT_H
#define MA_HEAPSNAPSHOT_H

#include <memattach/snapshot.h>
#include <stdio.h>

/* 40 bytes an object and 8 an edge while it runs. */
MA_CHECK struct ma_error *ma_export_heapsnapshot(FILE *out, const struct ma_snap *s);

#endif
