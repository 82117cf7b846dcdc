// SPDX-License-Identifier: Apache-2.0
#include "settle.h"

#include "cleanup.h"
#include "tracer.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

void ma_tracer_settle(void)
{
	static const int ignored[] = { SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGPIPE, SIGTSTP, SIGTTIN,
				       SIGTTOU, SIGUSR1, SIGUSR2, SIGALRM, SIGXFSZ, SIGXCPU };
	sigset_t chld;
	setsid();
	prctl(PR_SET_NAME, MA_TRACER_NAME);
	/* While the target is stopped each of our wake-ups counts. Best effort: it needs CAP_SYS_NICE. */
	setpriority(PRIO_PROCESS, 0, -20);
	for (size_t i = 0; i < MA_ARRAY_SIZE(ignored); i++)
		signal(ignored[i], SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_SETMASK, &chld, NULL); /* stops arrive by sigtimedwait (wait.h) */
	/* The tracer must outlive a shortage of memory: the target may hang on it. */
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (write(fd, "-1000", 5) < 0) { /* needs CAP_SYS_RESOURCE: without it the score stays as it is */
		}
		close(fd);
	}
}

void ma_tracer_close_others(int end, int kept)
{
	int null = open("/dev/null", O_RDWR);
	if (null >= 0) {
		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		if (null > 2)
			close(null);
	}
	int first = kept >= 3 && kept < end ? kept : end, last = kept >= 3 && kept > end ? kept : end;
	if (first > 3)
		syscall(SYS_close_range, 3u, (unsigned)first - 1, 0u);
	if (last > first + 1)
		syscall(SYS_close_range, (unsigned)first + 1, (unsigned)last - 1, 0u);
	syscall(SYS_close_range, (unsigned)last + 1, ~0u, 0u);
}

double ma_tracer_pace(bool moved, const struct ma_preflight *pre)
{
	_cleanup_free_ char *ours = NULL;
	_cleanup_close_ int self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct ma_error *err = self >= 0 ? ma_proc_read(self, "cgroup", 65536, &ours, NULL) : NULL;
	bool same = !err && ours && pre->cgroups && !strcmp(ours, pre->cgroups);
	ma_error_free(err);
	return moved && !same ? 0 : pre->cpu_quota / 4;
}
