// SPDX-License-Identifier: Apache-2.0
/* The input is an ELF image: of a target, of its libraries, or a debug file. */
#include "cleanup.h"
#include "elf_image.h"
#include "fuzz.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static void look(const struct ma_elf *e)
{
	struct ma_elf_symbol symbols[] = { { .name = "_PyRuntime" }, { .name = "arenas" }, { .name = "Py_Version" } };
	struct ma_dwarf_query q[] = {
		{ "struct sample", NULL, 0, 0 },
		{ "sample_t", "inner[1].second[2]", 0, 0 },
		{ "struct sample", "name", 0, 0 },
		{ "union kinds", "number", 0, 0 },
	};
	size_t count;
	uint64_t vaddr, bytes, word;
	char id[MA_BUILD_ID_CHARS];
	bool any;
	const struct ma_elf_segment *segments = ma_elf_segments(e, &count);
	for (size_t i = 0; i < count; i++)
		ma_error_free(ma_elf_read(e, segments[i].vaddr + segments[i].file_bytes - 8, &word, sizeof(word)));
	ma_elf_build_id(e, id);
	(void)ma_elf_is_fixed(e);
	(void)ma_elf_section(e, ".data", &vaddr, &bytes);
	ma_error_free(ma_elf_find_symbols(e, symbols, MA_ARRAY_SIZE(symbols)));
	ma_error_free(ma_dwarf_resolve(e, q, MA_ARRAY_SIZE(q), &any));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ma_elf *e = NULL;
	_cleanup_close_ int fd = memfd_create("elf", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		return 0;
	struct ma_error *err = ma_elf_open(fd, &e);
	if (!err)
		look(e);
	ma_error_free(err);
	ma_elf_close(e);
	return 0;
}
