// SPDX-License-Identifier: Apache-2.0
/* fault_point.h - the steps of a snapshot, each a place where the test binary can kill or stop the tool.
 *
 * Nothing in what is shipped: only memattach-faults (tests/faults) is compiled with MA_FAULT_POINTS. The tests walk the
 * whole list (tests/attach/test_faults.py), so a new step is one line here and one ma_fault_point() where it is done.
 */
#ifndef MA_FAULT_POINT_H
#define MA_FAULT_POINT_H

/* X(name, what SIGKILL of the tracer does here). docs/safety.md, "What is left", has these words:
 * SAFE     nothing is left of it
 * IN_CALL  the registers of one thread of the target are ours: the target does not survive
 * MASKED   that thread's signals are blocked: the command gives it its mask back; who kills that, too, leaves it so
 * UNNAMED  the twin is known by its number only: the command has it reaped; who kills that, too, leaves a zombie */
#define MA_FAULT_POINT_LIST(X)                       \
	/* the command */                            \
	X(FILE_CREATED, SAFE)                        \
	X(TARGET_LOOKED_AT, SAFE)                    \
	X(TRACER_STARTED, SAFE)                      \
	X(RING_ARRIVED, SAFE)                        \
	X(RING_DRAINED, SAFE)                        \
	X(BLOCKS_WRITTEN, SAFE)                      \
	X(FILE_SYNCED, SAFE)                         \
	X(FILE_RENAMED, SAFE)                        \
	/* the tracer, before the stop */            \
	X(TRACER_SETTLED, SAFE)                      \
	X(TARGET_OPENED, SAFE)                       \
	X(LEFTOVERS_REAPED, SAFE)                    \
	X(JOURNAL_WRITTEN, SAFE)                     \
	/* the stop */                               \
	X(THREAD_SEIZED, SAFE)                       \
	X(THREADS_INTERRUPTED, SAFE)                 \
	X(THREADS_STOPPED, SAFE)                     \
	X(REGISTERS_SAVED, SAFE)                     \
	X(STOP_CHECKED, SAFE)                        \
	X(RAW_KEPT_OUT, SAFE)                        \
	X(SIGNALS_BLOCKED, MASKED)                   \
	X(CLONE_SET_UP, IN_CALL)                     \
	X(CLONE_ENTERED, IN_CALL)                    \
	X(CLONE_RETURNED, IN_CALL)                   \
	X(REGISTERS_RESTORED, UNNAMED)               \
	X(RAW_GIVEN_BACK, UNNAMED)                   \
	X(TWIN_BORN, UNNAMED)                        \
	X(TWIN_BOUND, UNNAMED)                       \
	X(TWIN_CALL_SET_UP, UNNAMED)                 \
	X(TWIN_CALL_ENTERED, UNNAMED)                \
	X(TWIN_CALL_RETURNED, UNNAMED)               \
	X(TWIN_LEFT_DESCRIPTORS, UNNAMED)            \
	X(TWIN_NAMED, SAFE)                          \
	X(TWIN_PREPARED, SAFE)                       \
	X(THREAD_DETACHED, SAFE)                     \
	X(TARGET_RELEASED, SAFE)                     \
	/* the twin's life */                        \
	X(TWIN_MOVED, SAFE)                          \
	X(TWIN_ISOLATED, SAFE)                       \
	X(REGIONS_SENT, SAFE)                        \
	X(RUN_FORWARD, SAFE)                         \
	X(SAFE_POINT_REACHED, SAFE)                  \
	X(MEMORY_UNSHARED, SAFE)                     \
	X(AGENT_MAPPED, SAFE)                        \
	X(AGENT_LOADED, SAFE)                        \
	X(WALK_STARTED, SAFE)                        \
	X(WALK_ENDED, SAFE)                          \
	X(MEMORY_SURVEYED, SAFE)                     \
	X(TWIN_KILLED, SAFE)                         \
	/* the stop in which its zombie is reaped */ \
	X(ZOMBIE_FOUND, SAFE)                        \
	X(REAPER_STOPPED, SAFE)                      \
	X(REAPER_SIGNALS_BLOCKED, MASKED)            \
	X(REAP_SET_UP, IN_CALL)                      \
	X(REAP_ENTERED, IN_CALL)                     \
	X(REAP_RETURNED, IN_CALL)                    \
	X(REAPER_RELEASED, SAFE)                     \
	X(RESULT_SENT, SAFE)

#ifdef MA_FAULT_POINTS

#include <sys/syscall.h>

enum ma_fault_point {
#define MA_FAULT_POINT_ENUM(name, harm) MA_AT_##name,
	MA_FAULT_POINT_LIST(MA_FAULT_POINT_ENUM)
#undef MA_FAULT_POINT_ENUM
		MA_FAULT_POINT_COUNT
};

/* Does what the environment asks for at this point (tests/faults/fault_point.c). */
void ma_fault_point_reached(enum ma_fault_point point);

#define ma_fault_point(name) ma_fault_point_reached(MA_AT_##name)
/* One step of an injected call: which point that is, its number says. */
#define ma_fault_point_call(nr, step)                                                         \
	do {                                                                                  \
		if ((nr) != SYS_madvise) /* only where a program has raw data */              \
			ma_fault_point_reached((nr) == SYS_clone   ? MA_AT_CLONE_##step       \
					       : (nr) == SYS_wait4 ? MA_AT_REAP_##step        \
								   : MA_AT_TWIN_CALL_##step); \
	} while (0)
#else
#define ma_fault_point(name) ((void)0)
#define ma_fault_point_call(nr, step) ((void)0)
#endif

#endif
