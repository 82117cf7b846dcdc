// SPDX-License-Identifier: Apache-2.0
/* repair.h - hides from the program that a stop broke off a system call.
 *
 * Most blocked calls are restarted by the kernel. 8 of 31 return EINTR on a mere attach (facts/ptrace.md 2a row 2:
 * epoll_wait, epoll_pwait2, recv and accept with a timeout, rt_sigtimedwait, semop, io_getevents, io_uring_enter).
 * So do calls for files of a FUSE server that gives up what it is told to interrupt.
 * At the interrupt stop the program counter goes back on the system call instruction, so the call is made again.
 */
#ifndef MA_REPAIR_H
#define MA_REPAIR_H

#include "series.h"
#include "tracee.h"

/* Before the stop: which call the thread is blocked in and since when, from /proc/PID/task/TID/syscall and sched. */
void ma_repair_observe(int dir, struct ma_thread *th);

/* True for a call that a stop would break off visibly. */
bool ma_repair_disturbs(long nr);

/* At the stop: changes th->saved so that the call is made again, with what is left of a timeout that stands in a
 * register; true when it did. Nothing is changed when a signal waits to be delivered: then EINTR is due;
 * nor when the call was made again by an earlier run and its timeout would begin once more (series.h). */
bool ma_repair_interrupted(int dir, struct ma_thread *th, struct ma_series *series);

#endif
