// SPDX-License-Identifier: Apache-2.0
/* growth.h - where memory was gained between two snapshots: the containers that explain it.
 *
 * What each pair gained alone (match.h) stands for itself when it is much, else it counts for the pair above. Many
 * elements of one container that all gained are that container; an element of a long chain is the chain's head. */
#ifndef MA_GROWTH_H
#define MA_GROWTH_H

#include "match.h"

#include <memattach/diff.h>

#define MA_GROWTH_MAX 32

/* point_of of `ret`: by pair, the position of the point that has it, or UINT32_MAX. */
MA_CHECK struct ma_error *ma_growths_create(const struct ma_match *m, struct ma_growths *ret);
void ma_growths_deinit(struct ma_growths *g);

#endif
