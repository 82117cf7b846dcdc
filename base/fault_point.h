// SPDX-License-Identifier: Apache-2.0
/* fault_point.h - the steps of a snapshot, each a place where the test binary can kill or stop the tool.
 *
 * Nothing in what is shipped: only memattach-faults (tests/faults) is compiled with MA_FAULT_POINTS. The tests walk the
 * whole list (tests/attach/test_faults.py), so a new step is one line here and one ma_fault_point() where it is done.
 */
#ifndef MA_FAULT_POINT_H
#define MA_FAULT_POINT_H

/* X(name, in_call). in_call = 1: the registers of one thread of the target are ours; SIGKILL of the tracer there is the
 * one thing that a target does not survive (docs/safety.md, "What is left"). */
#define MA_FAULT_POINT_LIST(X)                       \
	/* the command */                            \
	X(FILE_CREATED, 0)                           \
	X(TARGET_LOOKED_AT, 0)                       \
	X(TRACER_STARTED, 0)                         \
	X(RING_ARRIVED, 0)                           \
	X(RING_DRAINED, 0)                           \
	X(BLOCKS_WRITTEN, 0)                         \
	X(FILE_SYNCED, 0)                            \
	X(FILE_RENAMED, 0)                           \
	/* the tracer, before the stop */            \
	X(TRACER_SETTLED, 0)                         \
	X(TARGET_OPENED, 0)                          \
	X(LEFTOVERS_REAPED, 0)                       \
	/* the stop */                               \
	X(THREAD_SEIZED, 0)                          \
	X(THREADS_INTERRUPTED, 0)                    \
	X(THREADS_STOPPED, 0)                        \
	X(REGISTERS_SAVED, 0)                        \
	X(STOP_CHECKED, 0)                           \
	X(SIGNALS_BLOCKED, 0)                        \
	X(CLONE_SET_UP, 1)                           \
	X(CLONE_ENTERED, 1)                          \
	X(CLONE_RETURNED, 1)                         \
	X(REGISTERS_RESTORED, 0)                     \
	X(TWIN_BORN, 0)                              \
	X(TWIN_BOUND, 0)                             \
	X(TWIN_CALL_SET_UP, 0)                       \
	X(TWIN_CALL_ENTERED, 0)                      \
	X(TWIN_CALL_RETURNED, 0)                     \
	X(TWIN_LEFT_DESCRIPTORS, 0)                  \
	X(TWIN_NAMED, 0)                             \
	X(TWIN_PREPARED, 0)                          \
	X(THREAD_DETACHED, 0)                        \
	X(TARGET_RELEASED, 0)                        \
	/* the twin's life */                        \
	X(TWIN_MOVED, 0)                             \
	X(TWIN_ISOLATED, 0)                          \
	X(REGIONS_SENT, 0)                           \
	X(RUN_FORWARD, 0)                            \
	X(SAFE_POINT_REACHED, 0)                     \
	X(MEMORY_UNSHARED, 0)                        \
	X(AGENT_MAPPED, 0)                           \
	X(AGENT_LOADED, 0)                           \
	X(WALK_STARTED, 0)                           \
	X(WALK_ENDED, 0)                             \
	X(MEMORY_SURVEYED, 0)                        \
	X(TWIN_KILLED, 0)                            \
	/* the stop in which its zombie is reaped */ \
	X(ZOMBIE_FOUND, 0)                           \
	X(REAPER_STOPPED, 0)                         \
	X(REAPER_SIGNALS_BLOCKED, 0)                 \
	X(REAP_SET_UP, 1)                            \
	X(REAP_ENTERED, 1)                           \
	X(REAP_RETURNED, 1)                          \
	X(REAPER_RELEASED, 0)                        \
	X(RESULT_SENT, 0)

#ifdef MA_FAULT_POINTS

#include <sys/syscall.h>

enum ma_fault_point {
#define MA_FAULT_POINT_ENUM(name, in_call) MA_AT_##name,
	MA_FAULT_POINT_LIST(MA_FAULT_POINT_ENUM)
#undef MA_FAULT_POINT_ENUM
		MA_FAULT_POINT_COUNT
};

/* Does what the environment asks for at this point (tests/faults/fault_point.c). */
void ma_fault_point_reached(enum ma_fault_point point);

#define ma_fault_point(name) ma_fault_point_reached(MA_AT_##name)
/* One step of an injected call: which point that is, its number says. */
#define ma_fault_point_call(nr, step)                                   \
	ma_fault_point_reached((nr) == SYS_clone   ? MA_AT_CLONE_##step \
			       : (nr) == SYS_wait4 ? MA_AT_REAP_##step  \
						   : MA_AT_TWIN_CALL_##step)
#else
#define ma_fault_point(name) ((void)0)
#define ma_fault_point_call(nr, step) ((void)0)
#endif

#endif
