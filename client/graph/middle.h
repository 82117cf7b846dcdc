// SPDX-License-Identifier: Apache-2.0
/* middle.h - a third snapshot between two of the same process: what was born before it and still lives, and whether
 * what grew did so all the time. */
#ifndef MA_MIDDLE_H
#define MA_MIDDLE_H

#include "growth.h"

/* `m` matches the two others, `g` is what grew between them; first_ns and second_ns of `ret` must be set. An object is
 * the same when its address, its type and the address of what it hangs on are. */
MA_CHECK struct ma_error *ma_middle_compute(const struct ma_match *m, const struct ma_growths *g,
					    const struct ma_side *middle, struct ma_middle *ret);
void ma_middle_deinit(struct ma_middle *mid);

#endif
