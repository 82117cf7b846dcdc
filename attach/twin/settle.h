// SPDX-License-Identifier: Apache-2.0
/* settle.h - what the tracer does to itself before it looks at a target, and what it may take of the machine. */
#ifndef MA_SETTLE_H
#define MA_SETTLE_H

#include "proc.h"

/* Nothing that stops the command or its terminal stops the tracer. */
void ma_tracer_settle(void);

/* All but the channel, `kept` (-1 = none), and stderr: a pipe of the command must not stay open through us. */
void ma_tracer_close_others(int end, int kept);

/* What part of a core the walk may take; 0 = all. Where the twin spends the target's CPU quota, because it could not be
 * moved or because we are in the same cgroups ourselves, it is a quarter of that. `moved`: it was. */
double ma_tracer_pace(bool moved, const struct ma_preflight *pre);

#endif
