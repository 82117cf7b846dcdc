// SPDX-License-Identifier: Apache-2.0
/* outside.h - a walk of memory that is no twin's: it is given to a husk (husk.h), and the agent runs there without a
 * call into it. */
#ifndef MA_OUTSIDE_H
#define MA_OUTSIDE_H

#include "tracer.h"

/* In the tracer: all of it, up to the message that says how it ended. */
void ma_outside_run(const struct ma_tracer_job *job, int end);

#endif
