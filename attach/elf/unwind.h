// SPDX-License-Identifier: Apache-2.0
/* unwind.h - native call stacks from registers and memory that the caller gives (libdwfl). Nothing is attached to and
 * no file is opened here: images, memory and registers all come from the caller. */
#ifndef MA_UNWIND_H
#define MA_UNWIND_H

#include "elf_image.h"

#include <sys/types.h>

/* General registers by their DWARF numbers, and the program counter. */
#define MA_UNWIND_REGS 32
struct ma_unwind_regs {
	uint64_t r[MA_UNWIND_REGS];
	unsigned count; /* of r: 17 on x86-64 (the last is rip), 32 on aarch64 */
	uint64_t pc;
};

/* Bytes read from `addr` into buf: all of them, or fewer where memory ends. The memory must not change while the
 * unwinder lives: pages are kept. */
typedef size_t (*ma_unwind_read)(void *arg, uint64_t addr, void *buf, size_t bytes);

struct ma_unwind;
/* `pid` is only a number for libdwfl. */
MA_CHECK struct ma_error *ma_unwind_create(pid_t pid, ma_unwind_read read, void *arg, struct ma_unwind **ret);
/* NULL is allowed. */
void ma_unwind_destroy(struct ma_unwind *u);
void ma_unwind_destroy_p(struct ma_unwind **u);
#define _cleanup_unwind_ __attribute__((__cleanup__(ma_unwind_destroy_p)))

/* An image of which file offset `offset` is mapped executable at `start`. Takes *e (sets it to NULL); `name` is
 * copied. An image that does not fit its mapping, or overlaps one that is known, is left out. */
MA_CHECK struct ma_error *ma_unwind_add(struct ma_unwind *u, struct ma_elf **e, const char *name, uint64_t start,
					uint64_t offset);

/* One frame, innermost first. `sp`: its stack pointer, 0 = not known; the frame reaches up to that of the next.
 * `exact`: pc is the next instruction to run there (the innermost frame, and one that a signal interrupted), else a
 * return address. False ends the walk. */
typedef bool (*ma_unwind_frame)(void *arg, uint64_t pc, uint64_t sp, bool exact);

/* After the last ma_unwind_add(). *whole_ret: the outermost frame was reached; false when the walk lost its way or was
 * ended. */
MA_CHECK struct ma_error *ma_unwind_thread(struct ma_unwind *u, pid_t tid, const struct ma_unwind_regs *regs,
					   ma_unwind_frame frame, void *arg, bool *whole_ret);

struct ma_unwind_place {
	const char *module, *function, *file; /* "" where not known; valid until the next call */
	uint32_t line;                        /* 0 = not known */
};
/* What is at `pc` (as handed to ma_unwind_frame, with its `exact`). */
void ma_unwind_name(struct ma_unwind *u, uint64_t pc, bool exact, struct ma_unwind_place *ret);

#endif
