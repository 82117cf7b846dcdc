// SPDX-License-Identifier: Apache-2.0
/* What memattach-faults does at a fault point, as its environment says:
 *
 * MEMATTACH_FAULT=NAME[#N]:ACTION, at the N-th time (1) that the process comes to the point NAME:
 *   kill-tracer, kill-command, kill-both   SIGKILL, whichever of the two is here
 *   kill, abort, exit                      the process that is here ends by SIGKILL, SIGABRT, _exit(1)
 *   stop                                   it stops until somebody sends SIGCONT
 * MEMATTACH_FAULT=list prints all names, each with what harm SIGKILL of the tracer does there, and ends.
 * MEMATTACH_FAULT_LOG=FILE: each point that is reached adds the line "PID NAME", the one that acts "PID NAME ACTION".
 * MEMATTACH_FAULT_ONCE=FILE: only the process that makes this file acts, not one that clears up after it.
 */
#include "fault_point.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define TRACER_NAME "memattach-trace"
#define LINE_MAX_BYTES 128

static const struct {
	const char *name, *harm;
} points[] = {
#define POINT(name, harm) { #name, #harm },
	MA_FAULT_POINT_LIST(POINT)
#undef POINT
};

/* Before main(), so that no option of the command is taken up by it. */
__attribute__((constructor)) static void list(void)
{
	const char *wanted = getenv("MEMATTACH_FAULT");
	if (!wanted || strcmp(wanted, "list"))
		return;
	for (int i = 0; i < MA_FAULT_POINT_COUNT; i++)
		printf("%s %s\n", points[i].name, points[i].harm);
	exit(0);
}

static bool read_link_of(pid_t pid, char path[PATH_MAX])
{
	char name[48];
	snprintf(name, sizeof(name), "/proc/%d/exe", pid);
	ssize_t n = readlink(name, path, PATH_MAX - 1);
	path[n > 0 ? n : 0] = 0;
	return n > 0;
}

static bool is_tracer(pid_t pid)
{
	char path[48], comm[32] = "";
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t n = read(fd, comm, sizeof(comm) - 1);
	close(fd);
	return n > 0 && !strncmp(comm, TRACER_NAME "\n", (size_t)n);
}

/* The tracer below a command, 0 if there is none. */
static pid_t tracer_below(pid_t pid)
{
	char path[64], text[4096];
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	char *p = text, *end;
	for (long child; (child = strtol(p, &end, 10)) > 0 && end != p; p = end)
		if (is_tracer((pid_t)child))
			return (pid_t)child;
	return 0;
}

/* The parent of a tracer, if it is a memattach: an orphan's is somebody else. */
static pid_t command_above(void)
{
	char ours[PATH_MAX], theirs[PATH_MAX];
	pid_t parent = getppid();
	return read_link_of(getpid(), ours) && read_link_of(parent, theirs) && !strcmp(ours, theirs) ? parent : 0;
}

static void note(const char *name, const char *action)
{
	char line[LINE_MAX_BYTES];
	const char *path = getenv("MEMATTACH_FAULT_LOG");
	int fd = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
	if (fd < 0)
		return;
	int n = snprintf(line, sizeof(line), "%d %s%s%s\n", getpid(), name, action ? " " : "", action ? action : "");
	if (n <= 0 || write(fd, line, (size_t)n) != n)
		abort(); /* a test that can not see what happened is worth nothing */
	close(fd);
}

static void act(const char *action)
{
	pid_t self = getpid();
	bool here_tracer = is_tracer(self);
	pid_t tracer = here_tracer ? self : tracer_below(self), command = here_tracer ? command_above() : self;
	pid_t other = here_tracer ? command : tracer, named = 0;
	if (!strcmp(action, "kill-both") && other > 0)
		kill(other, SIGKILL);
	if (!strcmp(action, "kill-both") || !strcmp(action, "kill"))
		named = self;
	else if (!strcmp(action, "kill-tracer"))
		named = tracer;
	else if (!strcmp(action, "kill-command"))
		named = command;
	if (named > 0)
		kill(named, SIGKILL);
	else if (!strcmp(action, "stop"))
		kill(self, SIGSTOP);
	else if (!strcmp(action, "abort"))
		abort();
	else if (!strcmp(action, "exit"))
		_exit(1);
}

static bool first(void)
{
	const char *path = getenv("MEMATTACH_FAULT_ONCE");
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
	if (fd >= 0)
		close(fd);
	return !path || fd >= 0;
}

void ma_fault_point_reached(enum ma_fault_point point)
{
	static unsigned times; /* of this process at the point that is asked for */
	const char *wanted = getenv("MEMATTACH_FAULT"), *name = points[point].name;
	size_t n = strlen(name);
	unsigned nth = 1;
	if (!wanted || strncmp(wanted, name, n) || (wanted[n] != ':' && wanted[n] != '#')) {
		note(name, NULL);
		return;
	}
	const char *action = strchr(wanted + n, ':');
	if (wanted[n] == '#')
		nth = (unsigned)strtoul(wanted + n + 1, NULL, 10);
	bool now = action && ++times == nth && first();
	note(name, now ? action + 1 : NULL);
	if (now)
		act(action + 1);
}
