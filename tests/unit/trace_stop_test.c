// link: ma_trace
// SPDX-License-Identifier: Apache-2.0
#include "stop.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

static int stopped(int sig, int event)
{
	return 0x7f | sig << 8 | event << 16;
}

Test(stop, kinds)
{
	cr_assert_eq(ma_stop_decode(7 << 8).kind, MA_STOP_EXITED);
	cr_assert_eq(ma_stop_decode(7 << 8).value, 7);
	cr_assert_eq(ma_stop_decode(SIGKILL).kind, MA_STOP_KILLED);
	cr_assert_eq(ma_stop_decode(SIGKILL).value, SIGKILL);
	cr_assert_eq(ma_stop_decode(stopped(SIGTRAP | 0x80, 0)).kind, MA_STOP_SYSCALL);
	cr_assert_eq(ma_stop_decode(stopped(SIGTRAP, PTRACE_EVENT_STOP)).kind, MA_STOP_INTERRUPT);
	cr_assert_eq(ma_stop_decode(stopped(SIGSTOP, PTRACE_EVENT_STOP)).kind, MA_STOP_GROUP);
	cr_assert_eq(ma_stop_decode(stopped(SIGTRAP, PTRACE_EVENT_CLONE)).kind, MA_STOP_CLONE);
	cr_assert_eq(ma_stop_decode(stopped(SIGTRAP, PTRACE_EVENT_EXEC)).kind, MA_STOP_EXEC);
	cr_assert_eq(ma_stop_decode(stopped(SIGTRAP, PTRACE_EVENT_EXIT)).kind, MA_STOP_EVENT);
	cr_assert_eq(ma_stop_decode(stopped(SIGTRAP, 0)).kind, MA_STOP_SIGNAL,
		     "a plain SIGTRAP is a signal of the program");
	cr_assert_eq(ma_stop_decode(stopped(SIGUSR1, 0)).value, SIGUSR1);
	cr_assert_eq(ma_stop_decode(0xffff).kind, MA_STOP_OTHER, "a continued child is no stop");
}
