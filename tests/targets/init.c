// SPDX-License-Identifier: Apache-2.0
/* The first process of a container, as tini is: starts the program, passes signals on, reaps whatever ends, and ends
 * with the program's exit code. It says "wrong" when it reaps anything else than its one child. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile pid_t child;

static void pass_on(int sig)
{
	kill(child, sig);
}

int main(int argc, char **argv)
{
	int status, code = 1;
	if (argc < 2)
		return 2;
	child = fork();
	if (!child) {
		execvp(argv[1], argv + 1);
		_exit(127);
	}
	signal(SIGTERM, pass_on);
	for (;;) {
		pid_t pid = waitpid(-1, &status, 0);
		if (pid < 0 && errno == ECHILD)
			break;
		if (pid == child)
			code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		else if (pid > 0) {
			printf("wrong init reaped %d\n", (int)pid);
			fflush(stdout);
		}
	}
	return code;
}
