// SPDX-License-Identifier: Apache-2.0
/* husk.h - a process of ours that was emptied and given the memory of another, at the same addresses: a core file's, or
 * a copy of one that was stopped. The agent runs in it as in a twin. None of its memory but the agent's own can be
 * executed, and none is shared with anybody. */
#ifndef MA_HUSK_H
#define MA_HUSK_H

#include "runs.h"
#include "space.h"
#include "twin.h"

/* The name of husks in /proc. */
#define MA_HUSK_NAME "memattach-husk"

/* Forks, empties the child, and maps `pieces` there; ret->maps stays empty. Must be called by the process that traces
 * it from then on. `runs` gets the pages that were written by the process and hold something. `watch` is asked all the
 * while. When it fails nothing is left. */
MA_CHECK struct ma_error *ma_husk_create(const struct ma_piece *pieces, size_t count, ma_watch watch, void *arg,
					 struct ma_runs *runs, struct ma_twin *ret);

#endif
