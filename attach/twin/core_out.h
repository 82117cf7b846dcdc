// SPDX-License-Identifier: Apache-2.0
/* core_out.h - the core file of a twin: what gcore makes, without its pause. */
#ifndef MA_CORE_OUT_H
#define MA_CORE_OUT_H

#include "runners.h"
#include "runs.h"

/* Of the twin as it stands, at its safe point. `dir`: /proc/PID of the target, `threads`: its threads as they were at
 * the stop; those in `runners` have run on since. `present`: NULL = not known. */
MA_CHECK struct ma_error *ma_core_out(const struct ma_twin *w, int dir, const struct ma_thread *threads, size_t count,
				      const struct ma_runners *runners, const struct ma_runs *present, ma_watch watch,
				      void *arg, int fd);

#endif
