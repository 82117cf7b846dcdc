// SPDX-License-Identifier: Apache-2.0
/* space.h - the memory of a process that is not there: what a core file holds of it, completed from the files that were
 * mapped. Which bytes stand where, so that a husk (attach/twin) can be given them at the same addresses. */
#ifndef MA_SPACE_H
#define MA_SPACE_H

#include "core.h"
#include "proc.h"

/* Memory of a husk. Pieces are sorted, whole pages, and apart from each other. */
struct ma_piece {
	ma_raddr start, end;
	int fd;                 /* borrowed; -1: kept free, so that nothing of ours comes to lie there */
	uint64_t offset, bytes; /* what of it stands in the file; behind it zeros */
	bool write;
	bool copied; /* it can not be mapped: it does not lie on pages of the file, or must not look like a part of it
		      */
	bool ours;   /* its content was written by the process: not that of a file that it had mapped */
};

struct ma_space {
	struct ma_maps maps; /* as the process had it. Without access: guards, and what no byte is known of */
	struct ma_piece *pieces;
	size_t pieces_count;
	int *fds; /* of mapped files, opened */
	size_t fds_count;
	char *exe; /* path of the executable, as found here; NULL = not known */
	unsigned lost,
		unproven; /* mapped images that were not found here or are others now; that could not be compared */
	char *first_lost; /* NULL = none */
};

/* `exe`: the executable that ran, or NULL: that of the path in the core. Where it is given and its path ends in the one
 * in the core, what is before that is the root of the machine that the libraries are looked up in, too. Only ELF files
 * are opened, and only those whose first page is the one in the core, where the core has it.
 * MA_ERR_USAGE: `exe` is not the one that ran. */
MA_CHECK struct ma_error *ma_space_of_core(const struct ma_core *c, const char *exe, struct ma_space *ret);
void ma_space_deinit(struct ma_space *s);

/* Bytes that a husk has to copy. */
uint64_t ma_space_copied(const struct ma_space *s);

#endif
