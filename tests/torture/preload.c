// SPDX-License-Identifier: Apache-2.0
/* preload.c - faulty.c for a program as it is shipped, by LD_PRELOAD, in all processes that it forks. The environment:
 *
 *	FAULTY_KIND	"memory" or "file"
 *	FAULTY_LOG	a file: each way to such a call becomes a line of it, a number of 16 hexadecimal digits
 *	FAULTY_WAY	one of these: the first call to which it leads fails, in each process
 *	FAULTY_SHOW	a file that gets the return addresses of the call that failed */
#include "faulty.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

__attribute__((constructor)) static void arm(void)
{
	const char *kind = getenv("FAULTY_KIND"), *log = getenv("FAULTY_LOG"), *way = getenv("FAULTY_WAY");
	if (!kind || (!log && !way))
		return;
	int fd = log ? open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
	faulty_arm_way(!strcmp(kind, "file") ? FAULTY_FILE : FAULTY_MALLOC, way ? strtoull(way, NULL, 16) : 0, fd);
}
