// SPDX-License-Identifier: Apache-2.0
/* The helper that memattach copies to a machine where it is not installed: --remove FOLDER --stdio. It removes itself
 * and its folder first of all, so that nothing is left however it ends; the kernel keeps the file while it runs. */
#include "cleanup.h"

#include <memattach/session.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc == 2 && !strcmp(argv[1], "--version")) {
		puts("memattach " MA_VERSION);
		return 0;
	}
	if (argc == 4 && !strcmp(argv[1], "--remove") && !strcmp(argv[3], "--stdio")) {
		if (unlink(argv[0]) || rmdir(argv[2]))
			perror("memattach: cannot remove the helper");
	} else if (argc != 2 || strcmp(argv[1], "--stdio")) {
		fputs("memattach: a helper of memattach ssh://HOST/PID; usage: [--remove FOLDER] --stdio\n", stderr);
		return 2;
	}
	_cleanup_error_ struct ma_error *err = ma_session_serve(STDIN_FILENO, STDOUT_FILENO, NULL);
	if (!err)
		return 0;
	fprintf(stderr, "memattach: %s\n", err->message);
	return ma_error_exit_code(err);
}
