// SPDX-License-Identifier: Apache-2.0
/* faulty.h - malloc and its like, and the system calls of files, of which the n-th fails, in a plain program without
 * criterion. They stand before libc's, for the shared libraries, too (SQLite, jansson, zstd). In a build with a
 * sanitizer, whose allocator must stay, only calls of our own code fail (-Wl,--wrap). */
#ifndef MA_TEST_FAULTY_H
#define MA_TEST_FAULTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum faulty_kind {
	FAULTY_MALLOC, /* NULL, ENOMEM */
	FAULTY_FILE,   /* -1: open, read, write, rename and so on */
};

/* From now on call `n` (from 1) of that kind fails, with `all_after` all that follow, too; n = 0: none. Counts anew. */
/* Where FAULTY_SHOW in the environment names a file, the first call that fails writes there who called. */
void faulty_arm(enum faulty_kind kind, uint64_t n, bool all_after);
/* From now on the first call of that kind fails to which `way` leads: a number for its return addresses, the same in
 * each run without address space randomization. way = 0: none, and each way that is new is a line in `log`. */
void faulty_arm_way(enum faulty_kind kind, uint64_t way, int log);
/* No more faults. */
void faulty_disarm(void);
/* Calls since faulty_arm(), and whether one of them failed. */
uint64_t faulty_calls(void);
bool faulty_hit(void);
/* While armed with n = 0: a number for the way to each call, by return addresses, into ways[call - 1]. */
void faulty_record(uint64_t *ways, size_t max);
/* Blocks of memory that were got and not given back; 0 where the sanitizer keeps these books. */
int64_t faulty_live(void);
/* Is malloc the sanitizer's? */
bool faulty_sanitized(void);

#endif
