// SPDX-License-Identifier: Apache-2.0
#include "stop.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

struct ma_stop ma_stop_decode(int status)
{
	if (WIFEXITED(status))
		return (struct ma_stop){ MA_STOP_EXITED, WEXITSTATUS(status) };
	if (WIFSIGNALED(status))
		return (struct ma_stop){ MA_STOP_KILLED, WTERMSIG(status) };
	if (!WIFSTOPPED(status))
		return (struct ma_stop){ MA_STOP_OTHER, 0 };
	int sig = WSTOPSIG(status), event = (int)((unsigned)status >> 16);
	if (sig == (SIGTRAP | 0x80))
		return (struct ma_stop){ MA_STOP_SYSCALL, 0 };
	if (event == PTRACE_EVENT_STOP)
		return (struct ma_stop){ sig == SIGTRAP ? MA_STOP_INTERRUPT : MA_STOP_GROUP, sig };
	if (event == PTRACE_EVENT_CLONE || event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK)
		return (struct ma_stop){ MA_STOP_CLONE, event };
	if (event == PTRACE_EVENT_EXEC)
		return (struct ma_stop){ MA_STOP_EXEC, event };
	if (event)
		return (struct ma_stop){ MA_STOP_EVENT, event };
	return (struct ma_stop){ MA_STOP_SIGNAL, sig };
}
