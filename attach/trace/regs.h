// SPDX-License-Identifier: Apache-2.0
/* regs.h - the general registers of a stopped tracee, the same words for every CPU. The floating-point
 * state is never touched: nothing but a system call instruction runs in the target. */
#ifndef MA_REGS_H
#define MA_REGS_H

#include <memattach/error.h>
#include <memattach/types.h>
#include <stdint.h>
#include <sys/user.h>

struct ma_regs {
	struct user_regs_struct r;
#if defined(__aarch64__)
	int nr; /* of the system call the tracee is in, -1 if none (NT_ARM_SYSTEM_CALL) */
#endif
};

/* One system call for a tracee to make. */
/* Where a stack faults at the first push or pop. */
#define MA_NO_STACK 16u

struct ma_syscall {
	long nr;
	uint64_t args[6];
};

/* MA_ERR_TARGET_GONE when the tracee is no longer stopped. A 32-bit tracee gives MA_ERR_UNSUPPORTED. */
MA_CHECK struct ma_error *ma_regs_get(pid_t tid, struct ma_regs *ret);
MA_CHECK struct ma_error *ma_regs_set(pid_t tid, const struct ma_regs *regs);

/* The thread pointer, equal to pthread_self() under glibc and musl. */
MA_CHECK struct ma_error *ma_regs_tls(pid_t tid, const struct ma_regs *regs, uint64_t *ret);

uint64_t ma_regs_pc(const struct ma_regs *regs);
uint64_t ma_regs_sp(const struct ma_regs *regs);
void ma_regs_set_pc(struct ma_regs *regs, uint64_t pc);

/* Makes `regs` perform `call` at the system call instruction `gadget`. */
void ma_regs_prepare(struct ma_regs *regs, ma_raddr gadget, const struct ma_syscall *call);
/* Leaves no stack, frame or way back: should the tracer be killed in the call, whoever goes on behind it faults at
 * once, rather than run the program astray with our registers. In the vdso that is `leave; ret`, for which a frame
 * pointer is as good as a stack: a copy ran on in the program's code, with the program's descriptors (tools/soak). */
void ma_regs_no_return(struct ma_regs *regs);
/* What the system call returned: a value or -errno. */
long ma_regs_result(const struct ma_regs *regs);
void ma_regs_set_result(struct ma_regs *regs, long value);
/* The system call the tracee is in or was stopped in, -1 if none; and its arguments, as they were at its entry
 * (aarch64: argument 0 is lost after the exit). */
long ma_regs_syscall(const struct ma_regs *regs, uint64_t args[6]);
/* At a syscall-entry-stop: the call is not made; its result is what regs hold at the exit stop. */
MA_CHECK struct ma_error *ma_regs_skip(pid_t tid, struct ma_regs *regs);

/* True when a stop broke off a system call that the kernel would restart by itself (-ERESTART*). */
bool ma_regs_restarts(const struct ma_regs *regs);
/* Puts the program counter back on the system call instruction with the same arguments, so that the call is made
 * again. Only for a thread that is in a system call. */
void ma_regs_rewind(struct ma_regs *regs);
/* Changes argument `index` of the call that ma_regs_rewind() makes again. */
void ma_regs_set_arg(struct ma_regs *regs, unsigned index, uint64_t value);

/* Start of a function in the twin: pc, stack pointer and first argument; flags clean, in no system call. */
void ma_regs_call(struct ma_regs *regs, uint64_t pc, uint64_t sp, uint64_t arg0);

/* The general registers by their DWARF numbers (x86-64: 17, the last is rip; aarch64: 32, the last is sp). Returns how
 * many. `r` has room for MA_REGS_DWARF. */
#define MA_REGS_DWARF 32
unsigned ma_regs_dwarf(const struct ma_regs *regs, uint64_t r[MA_REGS_DWARF]);

/* Floating-point and vector registers, as the kernel gives them, and on aarch64 the thread pointer: what a thread has
 * besides struct ma_regs. Read of the target, set in the twin only. */
struct ma_fpregs {
	uint32_t bytes; /* of data; 0 = not read */
	uint64_t tls;   /* aarch64 */
	uint8_t data[16384] __attribute__((aligned(64)));
};
MA_CHECK struct ma_error *ma_fpregs_get(pid_t tid, struct ma_fpregs *ret);
MA_CHECK struct ma_error *ma_fpregs_set(pid_t twin, const struct ma_fpregs *fp);

/* The bytes of the system call instruction, and where one may start. */
extern const unsigned char ma_gadget_bytes[];
extern const unsigned ma_gadget_len, ma_gadget_align;

#endif
