// SPDX-License-Identifier: Apache-2.0
/* make_hostile FOLDER - names-N.mem and names-N-later.mem: names made to break what prints them; bomb-NAME.mem: small
 * files that make much. */
#include "hostile.h"

#include <stdio.h>

#define FILES 2u

int main(int argc, char **argv)
{
	char path[4096];
	if (argc != 2) {
		fputs("usage: make_hostile FOLDER\n", stderr);
		return 2;
	}
	for (unsigned i = 0; i < 2 * FILES; i++) {
		snprintf(path, sizeof(path), "%s/names-%u%s.mem", argv[1], i / 2, i % 2 ? "-later" : "");
		hostile_names(path, i / 2, FILES, i % 2 ? 400 : 0);
	}
	hostile_bombs(argv[1]);
	return 0;
}
