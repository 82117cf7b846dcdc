// SPDX-License-Identifier: Apache-2.0
/* elf_internal.h - the body of struct ma_elf, for this folder. */
#ifndef MA_ELF_INTERNAL_H
#define MA_ELF_INTERNAL_H

#include "elf_image.h"

#include <libelf.h>

struct ma_elf {
	int fd;
	Elf *elf;
	bool fixed;
	struct ma_elf_segment *segments;
	size_t segments_count;
};

#endif
