// SPDX-License-Identifier: Apache-2.0
/* python_internal.h - the steps of ma_python_find(), one file each; for this folder and its tests. */
#ifndef MA_PYTHON_INTERNAL_H
#define MA_PYTHON_INTERNAL_H

#include "elf_image.h"
#include "proc.h"
#include "python.h"

#include <errno.h>
#include <unistd.h>

static inline uint64_t ma_page_bytes(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* ---- peek.c: bytes of the live target by process_vm_readv. */
/* All `bytes` or an error: MA_ERR_BAD_DATA (not mapped), MA_ERR_TARGET_GONE, MA_ERR_PERMISSION. */
MA_CHECK struct ma_error *ma_peek(pid_t pid, ma_raddr addr, void *buf, size_t bytes);
MA_CHECK struct ma_error *ma_peek_u64(pid_t pid, ma_raddr addr, uint64_t *ret);
/* What is readable of it from `addr` on; 0 when nothing is, or on any error. */
size_t ma_peek_some(pid_t pid, ma_raddr addr, void *buf, size_t bytes);

/* ---- young.c */
uint64_t ma_boot_ns(void); /* CLOCK_BOOTTIME */
/* errnum of an error that a Python which is being initialised may give: it may pass. */
#define MA_STARTING EAGAIN
/* True, after a short pause, when what `err` says is missing may be there now: the process of `task_dir` is less than a
 * second old, or, for a second from `began_ns` on (a process that has just executed a new program may be old), its
 * dynamic linker has not mapped libpython yet or Python is not initialised yet. */
bool ma_wait_while_young(int task_dir, const struct ma_error *err, uint64_t began_ns);

/* ---- image.c: the image that holds the interpreter. */
struct ma_image {
	struct ma_elf *elf;
	struct ma_elf *debug; /* its separate debug file, or NULL */
	char *path;           /* as in maps */
	uint64_t bias;        /* address in the target = address in the file + bias */
	pid_t rebuilt;        /* not 0: made from the memory of this process, pages that it never used are empty */
	ma_raddr runtime;     /* &_PyRuntime, 0: an interpreter older than 3.7 */
};
/* MA_ERR_UNSUPPORTED when no image has _PyRuntime or, for older ones, Py_GetVersion. */
MA_CHECK struct ma_error *ma_image_find(pid_t pid, int task_dir, const struct ma_maps *maps, struct ma_image *ret);
/* rebuild.c: a descriptor of an image made from memory, with symbols but without DWARF; -1 when that fails. */
int ma_image_rebuild(pid_t pid, int task_dir, const struct ma_maps *maps, const struct ma_map *file);
void ma_image_deinit(struct ma_image *im);
#define _cleanup_image_ __attribute__((__cleanup__(ma_image_deinit)))
/* Target addresses of the symbols (in the image, then in its debug file): `vaddr` becomes an address in the target. */
MA_CHECK struct ma_error *ma_image_symbols(const struct ma_image *im, struct ma_elf_symbol *symbols, size_t count);

/* ---- version.c */
/* 0x030b07 for 3.11.7; MA_ERR_UNSUPPORTED when it cannot be told. */
MA_CHECK struct ma_error *ma_version_find(const struct ma_image *im, uint32_t *ret);
/* The text part of it, pure: looks for the version in read-only data. False if there is none. */
bool ma_version_search(const char *data, size_t bytes, uint32_t *ret);

/* ---- layout.c: the rows of layout_fields.h, and what the sources say about them. */
struct ma_layout_row {
	const char *id, *type, *member; /* member NULL: a size */
	unsigned lo, hi;                /* versions, 300 + minor */
	size_t at;                      /* offset of the id in struct ma_layout */
};
const struct ma_layout_row *ma_layout_rows(size_t *count_ret);
/* Everything MA_ABSENT, the version set. */
void ma_layout_clear(struct ma_layout *l, uint32_t version);
int32_t ma_layout_get(const struct ma_layout *l, const struct ma_layout_row *row);
void ma_layout_set(struct ma_layout *l, const struct ma_layout_row *row, int32_t value);
bool ma_layout_row_applies(const struct ma_layout_row *row, const struct ma_layout *l);

/* Each fills the rows it knows. *any_ret false: this source is not at hand. */
MA_CHECK struct ma_error *ma_layout_from_dwarf(const struct ma_elf *e, struct ma_layout *l, bool *any_ret);
/* tables.c: of the tables of this minor version, best first (of the same kind of build, release or Py_DEBUG; agreeing
 * with `known`, which may be NULL; nearest to the patch level), number `rank`, from 0. False: there are not so many. */
bool ma_layout_from_table(struct ma_layout *l, const struct ma_layout *known, unsigned rank);
/* Alignment of a row's field by the table nearest to the version, 1 when not known. */
unsigned ma_layout_alignment(const struct ma_layout *l, const struct ma_layout_row *row);
/* tables.c: _Py_DebugOffsets at the start of _PyRuntime, 3.13+. MA_ERR_UNSUPPORTED for a free-threaded build. */
MA_CHECK struct ma_error *ma_layout_from_debug_offsets(pid_t pid, ma_raddr runtime, struct ma_layout *l, bool *any_ret);

/* The first id that both know and that differs, or NULL. */
const struct ma_layout_row *ma_layout_compare(const struct ma_layout *a, const struct ma_layout *b);
/* Values of `from` for the rows that `to` lacks. */
void ma_layout_merge(struct ma_layout *to, const struct ma_layout *from);
/* The first row of this version that has no value, or NULL. */
const struct ma_layout_row *ma_layout_missing(const struct ma_layout *l);

/* ---- validate.c */
/* Every offset within bounds and aligned: pure. MA_ERR_BAD_DATA names the first that is not. */
MA_CHECK struct ma_error *ma_layout_validate(const struct ma_layout *l);
/* The same against the living process: interpreters, threads, GIL, GC lists and the known types are what the
 * layout says. It runs meanwhile, so what looks torn is read again. MA_ERR_BAD_DATA with what is wrong. */
MA_CHECK struct ma_error *ma_python_validate(pid_t pid, const struct ma_python *py);

/* ---- arenas.c */
/* Finds the variables `arenas` and `maxarenas` of obmalloc.c (3.8 to 3.11) by the shape of what they point to, in the
 * writable memory of the image. Either is 0 when it is not found. */
MA_CHECK struct ma_error *ma_arenas_find(pid_t pid, int task_dir, const struct ma_maps *maps, const struct ma_image *im,
					 const struct ma_layout *l, ma_raddr *arenas_ret, ma_raddr *maxarenas_ret);
/* The search proper, in a copy of the image's writable memory. */
struct ma_data {
	ma_raddr base; /* where it is in the target, 8-aligned */
	size_t bytes;
	uint64_t *words;
};
void ma_arenas_search(pid_t pid, const struct ma_maps *maps, const struct ma_layout *l, const struct ma_data *d,
		      ma_raddr *arenas_ret, ma_raddr *maxarenas_ret);

#endif
