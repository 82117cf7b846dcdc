// SPDX-License-Identifier: Apache-2.0
#include "wait.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

uint64_t ma_now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void ma_wait_change(uint64_t ns)
{
	sigset_t chld;
	struct timespec t = { 0, ns > 999999999u ? 999999999L : (long)ns };
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigtimedwait(&chld, NULL, &t);
}

int ma_wait_tid(pid_t tid, uint64_t deadline_ns, struct ma_stop *ret)
{
	for (;;) {
		int status;
		pid_t got = waitpid(tid, &status, __WALL | WNOHANG);
		if (got == tid) {
			*ret = ma_stop_decode(status);
			return 1;
		}
		if (got < 0 && errno != EINTR)
			return -1;
		uint64_t now = ma_now_ns();
		if (now >= deadline_ns)
			return 0;
		/* A SIGCHLD that another tracee caused may have swallowed ours between waitpid and here: never
		 * sleep longer than 2 ms without looking again. */
		uint64_t left = deadline_ns - now;
		ma_wait_change(left > 2000000 ? 2000000 : left);
	}
}
