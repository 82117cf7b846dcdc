// SPDX-License-Identifier: Apache-2.0
/* core_write.h - writes the core file of a frozen process, as the kernel would have done it: readable by gdb, and by
 * us. */
#ifndef MA_CORE_WRITE_H
#define MA_CORE_WRITE_H

#include "core.h"
#include "proc.h"
#include "runs.h"

struct ma_core_regs {
	pid_t tid;
	const void *regs; /* struct user_regs_struct */
};

struct ma_core_source {
	pid_t memory;                       /* the process that is read: frozen, and our tracee */
	const struct ma_maps *maps;         /* its smaps. Shared mappings are left out */
	const struct ma_runs *present;      /* resident pages of mappings without a file; NULL = not known */
	const struct ma_core_regs *threads; /* the first is the one that a debugger shows first */
	size_t threads_count;
	const char *auxv; /* as in /proc/PID/auxv */
	size_t auxv_bytes;
	pid_t pid, ppid;
	unsigned uid;
	const char *name, *command;
	struct ma_error *(*watch)(void *arg); /* asked all the while; its error ends the work and is returned */
	void *arg;
};

/* Of files the pages that the process wrote, and the first page of each image, by which it is known again; the rest is
 * in the files themselves. Pages of zeros are holes. */
MA_CHECK struct ma_error *ma_core_write(int fd, const struct ma_core_source *src);

#endif
