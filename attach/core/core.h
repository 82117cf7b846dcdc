// SPDX-License-Identifier: Apache-2.0
/* core.h - ELF core files of 64-bit processes of this machine's kind: read (untrusted, bounds first) and written.
 * The layout is that of fs/binfmt_elf.c of the kernel; gdb's gcore writes the same with segments that do not begin on
 * a page of the file. Plain <elf.h>: nothing here asks libelf. */
#ifndef MA_CORE_H
#define MA_CORE_H

#include <memattach/error.h>
#include <memattach/types.h>

#define MA_CORE_PAGE 4096u
/* Behind it no process of ours can have memory (TASK_SIZE of 4-level page tables). */
#define MA_CORE_USER_END UINT64_C(0x7ffffffff000)

struct ma_core_segment {
	ma_raddr start, end;         /* whole pages */
	uint64_t offset, file_bytes; /* what the core holds of it, from `start` on; the rest was not written */
	unsigned prot;               /* 1 r, 2 w, 4 x */
};

/* One mapping of a file, NT_FILE. */
struct ma_core_file {
	ma_raddr start, end;
	uint64_t offset; /* in the file, in bytes */
	const char *path;
};

struct ma_core_thread {
	pid_t tid;
	uint64_t sp, tls; /* tls: thread pointer, 0 where it is not known */
};

struct ma_core {
	int fd;
	uint64_t bytes;
	struct ma_core_segment *segments; /* sorted, apart from each other */
	struct ma_core_file *files;       /* the same */
	struct ma_core_thread *threads;   /* the one that caused it first */
	size_t segments_count, files_count, threads_count;
	pid_t pid, ppid;
	unsigned uid;
	char name[17], command[81]; /* of NT_PRPSINFO: cut by whoever wrote it */
	/* of NT_AUXV: in the executable, in the main stack (both), the vdso. 0 = not there */
	ma_raddr entry, execfn, random, vdso;
	char *notes; /* owns the paths */
};

/* Reads headers and notes of `fd`, which is borrowed. MA_ERR_BAD_DATA: not an ELF core, cut off, or contradictory.
 * MA_ERR_UNSUPPORTED: of a 32-bit process, or of another kind of machine. */
MA_CHECK struct ma_error *ma_core_read(int fd, struct ma_core *ret);
void ma_core_deinit(struct ma_core *c);

/* The segment that has `addr`, or NULL. */
const struct ma_core_segment *ma_core_find(const struct ma_core *c, ma_raddr addr);
/* Copies what the core holds from `addr` on, within one segment; returns how much. */
size_t ma_core_peek(const struct ma_core *c, ma_raddr addr, void *buf, size_t bytes);

#endif
