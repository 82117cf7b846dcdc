// SPDX-License-Identifier: Apache-2.0
/* stop.h - what a wait status of a seized tracee means (ptrace(2), "Stopped states"). Pure. */
#ifndef MA_STOP_H
#define MA_STOP_H

#include <stdint.h>

enum ma_stop_kind {
	MA_STOP_EXITED,    /* value = exit status */
	MA_STOP_KILLED,    /* value = signal */
	MA_STOP_SYSCALL,   /* syscall-entry- or syscall-exit-stop (PTRACE_O_TRACESYSGOOD) */
	MA_STOP_INTERRUPT, /* PTRACE_EVENT_STOP of PTRACE_INTERRUPT or of a new tracee */
	MA_STOP_GROUP,     /* PTRACE_EVENT_STOP in a group stop; value = the stopping signal */
	MA_STOP_CLONE,     /* PTRACE_EVENT_CLONE, _FORK or _VFORK; the new tid is the event message */
	MA_STOP_EXEC,
	MA_STOP_EVENT,  /* another event; value = event */
	MA_STOP_SIGNAL, /* signal-delivery-stop; value = signal, to be given back */
	MA_STOP_OTHER,
};

struct ma_stop {
	enum ma_stop_kind kind;
	int value;
};

struct ma_stop ma_stop_decode(int status);

#endif
