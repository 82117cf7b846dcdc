// SPDX-License-Identifier: Apache-2.0
/* elf_image.h - what we ask of an ELF image: symbols, segments, build-id, and the shape of C types from its DWARF.
 * This folder is the only one that includes libelf or libdw. Files are untrusted: everything that they say is
 * bounded by libelf, and read with pread, so that a file that shrinks meanwhile gives an error and no SIGBUS. */
#ifndef MA_ELF_IMAGE_H
#define MA_ELF_IMAGE_H

#include <memattach/error.h>
#include <memattach/types.h>

struct ma_elf;

/* Opens a 64-bit little-endian image of this machine's kind. `fd` is borrowed (a duplicate is kept).
 * MA_ERR_BAD_DATA: not an ELF file, or a broken one. MA_ERR_UNSUPPORTED: 32 bit, or another machine. */
MA_CHECK struct ma_error *ma_elf_open(int fd, struct ma_elf **ret);
/* NULL is allowed. */
void ma_elf_close(struct ma_elf *e);
void ma_elf_close_p(struct ma_elf **e);
#define _cleanup_elf_ __attribute__((__cleanup__(ma_elf_close_p)))

/* A PT_LOAD segment: addresses are the file's own, before the load bias. */
struct ma_elf_segment {
	uint64_t vaddr, offset, file_bytes, mem_bytes;
	bool read, write, exec;
};
/* All PT_LOAD segments in file order (by vaddr). Borrowed, lives as long as `e`. */
const struct ma_elf_segment *ma_elf_segments(const struct ma_elf *e, size_t *count_ret);
/* true: the image is not position independent (ET_EXEC), its bias is 0. */
bool ma_elf_is_fixed(const struct ma_elf *e);

/* The build-id in lower-case hex, "" when there is none (or one of more than 31 bytes). */
#define MA_BUILD_ID_CHARS 64
void ma_elf_build_id(const struct ma_elf *e, char ret[MA_BUILD_ID_CHARS]);

/* Copies `bytes` bytes that the file holds for address `vaddr`. MA_ERR_BAD_DATA when they are not all in one
 * segment's file part. */
MA_CHECK struct ma_error *ma_elf_read(const struct ma_elf *e, uint64_t vaddr, void *buf, size_t bytes);

struct ma_elf_symbol {
	const char *name; /* in: what to look for */
	bool found;       /* out, and the rest too */
	uint64_t vaddr, bytes;
};
/* Looks `count` defined data or function symbols up at once, in .dynsym and then in .symtab. A name in .symtab also
 * matches with a suffix that the compiler gave to a local one ("arenas.lto_priv.0"). */
MA_CHECK struct ma_error *ma_elf_find_symbols(const struct ma_elf *e, struct ma_elf_symbol *symbols, size_t count);

/* Address range of a section by name; false if there is none, or no section table. */
bool ma_elf_section(const struct ma_elf *e, const char *name, uint64_t *vaddr_ret, uint64_t *bytes_ret);

/* Opens regular file `path` for reading below directory `root`: no link in it leads out of `root`, and a FIFO or device
 * in its place is not opened. -1 and errno when there is none. */
int ma_open_inside(int root, const char *path);

/* The separate debug file of build-id `id`, below directory `root` (a descriptor: "/" or /proc/PID/root):
 * usr/lib/debug/.build-id/xx/yyyy.debug. *ret is NULL when there is none with that build-id. */
MA_CHECK struct ma_error *ma_elf_open_debug_file(int root, const char *id, struct ma_elf **ret);

/* ---- DWARF (dwarf.c) */
struct ma_dwarf_query {
	const char *type;   /* a typedef name or "struct tag" / "union tag" */
	const char *member; /* "a.b[2].c", through nested and anonymous members; NULL: the size of the type */
	int64_t value;      /* out: bytes, -1 when the type or member is not there */
	int64_t bytes;      /* out: size of the member (or type), -1 when not known */
};
/* Answers all queries in one pass over the units; it ends when all types were met complete. False in *any_ret
 * when the image holds no DWARF. Types in dwz's shared file are found when libdw finds that file. */
MA_CHECK struct ma_error *ma_dwarf_resolve(const struct ma_elf *e, struct ma_dwarf_query *queries, size_t count,
					   bool *any_ret);

#endif
