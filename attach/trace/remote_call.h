// SPDX-License-Identifier: Apache-2.0
/* remote_call.h - one system call made by a stopped thread: in the target `clone` and `wait4` only, in the twin
 * whatever is needed. No byte of memory is written, no int3, no single step, no function call: the registers point at a
 * system call instruction that is there already, and two PTRACE_SYSCALL stops bracket it.
 */
#ifndef MA_REMOTE_CALL_H
#define MA_REMOTE_CALL_H

#include "tracee.h"

/* A system call instruction in executable memory of the process: in the vdso, else in libc or the loader. */
MA_CHECK struct ma_error *ma_gadget_find(pid_t pid, const struct ma_maps *maps, ma_raddr *ret);

/* Blocks all signals of the thread until it is released: without it a signal that arrives during the call is lost (776
 * of 3900 were), with it none (facts/ptrace.md 2a row 5). */
MA_CHECK struct ma_error *ma_thread_block_signals(struct ma_thread *th);

/* If the thread was stopped inside a restartable sequence, the kernel would have sent it to the abort handler had it
 * been preempted; moving its pc away hides the section from the kernel, so th->saved goes to the abort handler here. */
MA_CHECK struct ma_error *ma_thread_abort_rseq(pid_t pid, struct ma_thread *th);

/* Precondition: stopped, registers saved; for a live target also ma_thread_block_signals(). Makes the call and leaves
 * the thread in a stop with foreign registers (th->regs_changed) for the next call or the release. *result is the value
 * or -errno. With `child_ret` a clone event is expected and the new tid is stored (as we see it; 0 if there was none).
 * There is no way out in the middle of a call, so this waits as long as the kernel takes. */
MA_CHECK struct ma_error *ma_remote_call(struct ma_thread *th, ma_raddr gadget, const struct ma_syscall *call,
					 long *result, pid_t *child_ret);

/* The same with the arguments in line; a result that is an error becomes an error with `what` in its message. */
MA_CHECK struct ma_error *ma_remote_call_ok(struct ma_thread *th, ma_raddr gadget, const char *what,
					    const struct ma_syscall *call, long *result);

#endif
