// SPDX-License-Identifier: Apache-2.0
/* raw_internal.h - what the files of this folder share. */
#ifndef MA_RAW_INTERNAL_H
#define MA_RAW_INTERNAL_H

#include "raw.h"

/* The arenas of pymalloc, all of their length, sorted. */
struct ma_raw_arenas {
	ma_raddr *v;
	size_t count;
	uint64_t bytes; /* of each */
};
/* Fails when they are not known, or too many: then nothing may be kept out. The caller frees ret->v. */
MA_CHECK struct ma_error *ma_raw_arenas_read(pid_t pid, const struct ma_python *py, struct ma_raw_arenas *ret);
bool ma_raw_arenas_meet(const struct ma_raw_arenas *a, uint64_t start, uint64_t end);

/* Private anonymous memory that may be written: no stack, no heap of malloc, no .bss. */
bool ma_raw_eligible(const struct ma_maps *maps, const struct ma_map *m);

/* One madvise by a stopped thread, which has its own registers again afterwards, but all its signals blocked until
 * ma_thread_restore() or the release. */
MA_CHECK struct ma_error *ma_raw_advise(struct ma_thread *th, ma_raddr gadget, uint64_t start, uint64_t end,
					int advice);

/* A journal as it is on disk. */
#define MA_RAW_JOURNAL_MAX 65536u
struct ma_raw_journal {
	pid_t pid;
	uint64_t start_time;
	char boot[64];
	struct {
		uint64_t start, end;
	} v[MA_RAW_RANGES_MAX];
	size_t count;
};
/* `text` ends with a NUL. False when it is not whole: then no call was made. */
bool ma_raw_journal_parse(const char *text, struct ma_raw_journal *ret);
/* Of this boot; "" where the kernel does not say. */
void ma_raw_boot_id(char ret[64]);

/* Drops v[i]. */
void ma_raw_drop(struct ma_raw *raw, size_t i);

#endif
