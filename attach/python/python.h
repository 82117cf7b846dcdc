// SPDX-License-Identifier: Apache-2.0
/* python.h - finds the interpreter in a process and learns its layouts, by reading only: /proc/PID/maps, the
 * ELF files behind it (through /proc/PID/map_files or /proc/PID/root, so another mount namespace or a
 * deleted file works), and process_vm_readv. Nothing is stopped. */
#ifndef MA_PYTHON_H
#define MA_PYTHON_H

#include <memattach/error.h>
#include <memattach/layout.h>
#include <memattach/types.h>

struct ma_maps;

enum ma_layout_source { MA_LAYOUT_TABLE = 1, MA_LAYOUT_DEBUG_OFFSETS = 2, MA_LAYOUT_DWARF = 4 };

struct ma_python {
	unsigned minor, micro;      /* 3.minor.micro */
	char version[32];           /* "3.11.7" */
	char *exe;                  /* path of /proc/PID/exe, as the target sees it */
	char *libpython;            /* the image that holds _PyRuntime: path as in maps */
	bool fixed;                 /* that image is not position independent */
	bool from_memory;           /* its file could not be opened: symbols were read from memory */
	char build_id[64];          /* hex of that image, "" if none */
	ma_raddr runtime;           /* &_PyRuntime */
	ma_raddr arenas, maxarenas; /* 3.8-3.11: addresses of these variables, 0 = not found */
	ma_raddr known[MA_KNOWN_COUNT];
	unsigned sources;        /* enum ma_layout_source bits that were at hand and agreed */
	const char *source_name; /* "dwarf", "debug-offsets", "table": the one that was trusted */
	struct ma_layout layout; /* validated */
};

/* `task_dir` is a directory fd of /proc/PID/task/TID of a thread that is alive (the leader may be a zombie).
 * MA_ERR_UNSUPPORTED: not a Python process, older than 3.8, free-threaded, unknown version: by name.
 * MA_ERR_PERMISSION, MA_ERR_TARGET_GONE as they are. */
MA_CHECK struct ma_error *ma_python_find(pid_t pid, int task_dir, struct ma_python *ret);
/* The same of a process that was given the memory of another (a husk): `maps` says what that one had mapped where.
 * ret->exe is NULL. It is asked once: nothing changes any more. */
MA_CHECK struct ma_error *ma_python_find_in(pid_t pid, int task_dir, const struct ma_maps *maps, struct ma_python *ret);
void ma_python_deinit(struct ma_python *py);

#endif
