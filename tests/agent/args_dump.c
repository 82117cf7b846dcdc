// SPDX-License-Identifier: Apache-2.0
/* args_dump PID [VALUES] - writes a struct maa_args with what attach/python knows of that process to stdout. VALUES is
 * an enum ma_values, 0 by default, with a key of zeros. */
#include "cleanup.h"
#include "python.h"

#include <fcntl.h>
#include <memattach/agent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	if (argc != 2 && argc != 3)
		return 2;
	pid_t pid = (pid_t)atoi(argv[1]);
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/task/%d", pid, pid);
	_cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct ma_python py;
	_cleanup_error_ struct ma_error *err = ma_python_find(pid, dir, &py);
	if (err) {
		fprintf(stderr, "%s\n", err->message);
		return 1;
	}
	static struct maa_args args;
	args.abi = MA_WIRE_VERSION;
	args.runtime = py.runtime;
	args.arenas = py.arenas;
	args.maxarenas = py.maxarenas;
	for (int i = 0; i < MA_KNOWN_COUNT; i++)
		args.known[i] = py.known[i];
	args.layout = py.layout;
	args.values.mode = argc == 3 ? (uint32_t)atoi(argv[2]) : MA_VALUES_NONE;
	args.values.limit = 16;
	ma_python_deinit(&py);
	return fwrite(&args, sizeof(args), 1, stdout) == 1 ? 0 : 1;
}
