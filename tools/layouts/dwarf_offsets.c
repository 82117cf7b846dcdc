// SPDX-License-Identifier: Apache-2.0
/* dwarf_offsets IMAGE < rows: for each line "TYPE<tab>MEMBER" (an empty member asks for the size) prints
 * "VALUE BYTES", -1 where there is none. Part of tools/layouts/generate. */
#include "cleanup.h"
#include "elf_image.h"

#include <fcntl.h>
#include <string.h>

#define MAX_ROWS 4096

static struct ma_error *run(const char *path)
{
	static struct ma_dwarf_query rows[MAX_ROWS];
	size_t count = 0, cap = 0;
	_cleanup_free_ char *line = NULL;
	while (count < MAX_ROWS && getline(&line, &cap, stdin) > 0) {
		line[strcspn(line, "\n")] = 0;
		char *tab = strchr(line, '\t');
		if (!tab)
			return ma_errorf(MA_ERR_USAGE, "no tab in \"%s\"", line);
		*tab = 0;
		rows[count].type = strdup(line);
		rows[count].member = tab[1] ? strdup(tab + 1) : NULL;
		if (!rows[count].type || (tab[1] && !rows[count].member))
			return &ma_enomem;
		count++;
	}
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_elf_ struct ma_elf *e = NULL;
	bool any;
	MA_TRY(ma_elf_open(fd, &e));
	MA_TRY(ma_dwarf_resolve(e, rows, count, &any));
	for (size_t i = 0; i < count; i++)
		printf("%ld %ld\n", (long)rows[i].value, (long)rows[i].bytes);
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fputs("usage: dwarf_offsets IMAGE < rows\n", stderr);
		return 2;
	}
	_cleanup_error_ struct ma_error *err = run(argv[1]);
	if (err)
		fprintf(stderr, "dwarf_offsets: %s: %s\n", argv[1], err->message);
	return ma_error_exit_code(err);
}
