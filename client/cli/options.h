// SPDX-License-Identifier: Apache-2.0
/* options.h - the command line. */
#ifndef MA_OPTIONS_H
#define MA_OPTIONS_H

#include "cli.h"

enum ma_wish { MA_WISH_RUN, MA_WISH_HELP, MA_WISH_VERSION, MA_WISH_STDIO };

struct ma_request {
	enum ma_wish wish;
	const struct ma_command *command; /* with HELP: NULL = of the whole program */
};

/* Reads argv. Sets everything of *cli but `out`, `colour` by --no-color only, and *ret. MA_ERR_USAGE when it makes no
 * sense. */
MA_CHECK struct ma_error *ma_options_parse(int argc, char **argv, struct ma_cli *cli, struct ma_request *ret);
void ma_options_help(FILE *out, const struct ma_command *command);

#endif
