// SPDX-License-Identifier: Apache-2.0
/* diff_sites.h - where memory was allocated that was gained between two snapshots, where tracemalloc was on. */
#ifndef MA_DIFF_SITES_H
#define MA_DIFF_SITES_H

#include "growth.h"
#include "sites.h"

MA_CHECK struct ma_error *ma_diff_sites_create(const struct ma_match *m, const struct ma_growths *growths,
					       struct ma_diff_sites *ret);
void ma_diff_sites_deinit(struct ma_diff_sites *x);

#endif
