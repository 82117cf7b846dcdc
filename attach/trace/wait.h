// SPDX-License-Identifier: Apache-2.0
/* wait.h - waiting for one tracee by its tid with a deadline. SIGCHLD must be blocked in the caller: the
 * kernel sends it for every stop, and sigtimedwait() turns it into a wake-up. Never waitpid(-1). */
#ifndef MA_WAIT_H
#define MA_WAIT_H

#include "stop.h"

#include <memattach/types.h>

uint64_t ma_now_ns(void); /* CLOCK_MONOTONIC */

/* 1: *ret is set. 0: `deadline_ns` (CLOCK_MONOTONIC) passed. -1: no such tracee (it is gone). */
int ma_wait_tid(pid_t tid, uint64_t deadline_ns, struct ma_stop *ret);

/* Sleeps until some tracee changes, at most `ns`. */
void ma_wait_change(uint64_t ns);

#endif
